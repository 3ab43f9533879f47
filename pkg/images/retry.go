package images

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/understudy-ha/understudy/pkg/clock"
)

// retry repeats what a registry is asked for as long as it may help.
func (f *fetcher) retry(ctx context.Context, w *want, item *Item, do func() (string, error)) (string, error) {
	most, patience := attempts, longestWait
	if f.canCopy(w) {
		most, patience = attemptsWithPeer, longestWaitWithPeer
	}
	host := w.target.Host
	if f.pauses.givenUp(host) != nil {
		most = 1 // another image has been patient with it already
	}
	for attempt := 1; ; attempt++ {
		if left := f.pauses.left(host, f.node.Now()); left > 0 {
			if left > patience {
				return "", fmt.Errorf("%w, and not to be asked for %s", &StatusError{Ref: w.target.String(), Status: http.StatusTooManyRequests}, left.Round(time.Second))
			}
			if err := clock.Pause(ctx, left); err != nil {
				return "", err
			}
		}
		item.Attempts++
		result, err := do()
		if err == nil || ctx.Err() != nil {
			return result, err
		}
		k := kindOf(err)
		again := k == limited || k == down && !f.canCopy(w)
		if !again || attempt == most {
			return "", err
		}
		f.node.Log.Debug().Err(err).Str("image", w.ref).Int("attempt", attempt).Msg("will be tried again")
		if k == limited {
			f.askWhen(ctx, w, err)
		}
		if f.pauses.left(host, f.node.Now()) <= 0 {
			f.pauses.set(host, f.node.Now().Add(pause(attempt)))
		}
	}
}

// askWhen finds out when a registry wants to be asked again: the engine does
// not pass on what it said. A HEAD counts for no limit.
func (f *fetcher) askWhen(ctx context.Context, w *want, err error) {
	if _, told := errors.AsType[*StatusError](err); told {
		return
	}
	if _, err := f.registry.digest(ctx, w.target); err != nil {
		f.node.Log.Debug().Err(err).Str("image", w.ref).Msg("asked the registry when to try again")
	}
}
