package deliver

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/config"
	"github.com/understudy-ha/understudy/pkg/notify"
	"github.com/understudy-ha/understudy/pkg/state"
)

// New returns a deliverer for the configured channels.
func New(cfg *config.Config, log zerolog.Logger, now func() time.Time) (*Deliverer, error) {
	channels, bad, err := notify.Channels(cfg.Notify.URLsFile)
	if err != nil {
		return nil, err
	}
	template, err := ReadTemplate(cfg.Notify.TemplateFile)
	if err != nil {
		return nil, err
	}
	return &Deliverer{Channels: channels, Bad: bad, Template: template, Timeout: cfg.Notify.Timeout, Log: log, Now: now}, nil
}

// Pass turns new notices into messages and sends the queued messages, once. It returns a
// *state.LockedError if another process does so.
func (d *Deliverer) Pass(ctx context.Context, spool *notify.Spool, dir *state.Dir) ([]Outcome, error) {
	lock, err := dir.Lock(notify.LockName)
	if err != nil {
		return nil, err
	}
	defer lock.Unlock()
	if _, err := spool.Sort(d.Now()); err != nil {
		return nil, err
	}
	messages, err := spool.Outbox(d.Now())
	if err != nil {
		return nil, err
	}
	outcomes, err := d.Run(ctx, spool, messages)
	for _, o := range outcomes {
		if o.Error != "" {
			err = errors.Join(err, errors.New(o.Error))
		}
	}
	return outcomes, err
}
