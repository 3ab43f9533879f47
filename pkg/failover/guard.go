package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/state"
)

const (
	// goneAfter is how long keepalived may be gone: a restart is over sooner.
	goneAfter = 2 * time.Second
	// presentAfter and absentAfter are how long the address may be here, or not,
	// other than the last hook said: hooks take their time. To serve without the
	// address does little harm, since another node waits for this one to stop; to
	// turn a promotion round because keepalived was slow for once does more.
	presentAfter, absentAfter = 3 * time.Second, 10 * time.Second
)

// guard remembers since when something is not as it should be.
type guard struct{ gone, absent, present, idle time.Time }

// since notes when a condition began to hold, and says whether it has held for
// long enough.
func since(began *time.Time, holds bool, now time.Time, enough time.Duration) bool {
	if !holds {
		*began = time.Time{}
		return false
	}
	if began.IsZero() {
		*began = now
	}
	return now.Sub(*began) >= enough
}

// finding is what the watcher sees of keepalived and the address.
type finding struct {
	Kept, Here bool
	Wish       state.Wish
	// Own says that the wish is a person's, who may well ask for something
	// without keepalived.
	Own bool
	// Idle says that this node is a standby, and may hold the address, though the
	// wish that it become active counts as answered: a switchover was killed after it
	// had given everything up, and before the address moved.
	Idle bool
}

// verdict is what has to be done about it.
type verdict struct {
	Remove bool       // take the address off this machine
	Wish   state.Wish // record this one; empty: none
	Again  bool       // also when it is the newest one already
	Reason string
}

// judge says what has to be done: keepalived's hooks may be lost, and a
// keepalived that was killed leaves the address behind.
func (g *guard) judge(f finding, now time.Time) verdict {
	gone := since(&g.gone, !f.Kept, now, goneAfter)
	absent := since(&g.absent, f.Kept && !f.Here && f.Wish == state.WishMaster && !f.Own, now, absentAfter)
	present := since(&g.present, f.Kept && f.Here && f.Wish != state.WishMaster && !f.Own, now, presentAfter)
	idle := since(&g.idle, f.Kept && f.Here && f.Wish == state.WishMaster && f.Idle, now, presentAfter)
	switch {
	case gone && f.Wish == state.WishMaster && !f.Own:
		return verdict{Remove: f.Here, Wish: state.WishStop, Reason: "keepalived is gone"}
	case gone && f.Here && f.Wish != state.WishMaster:
		return verdict{Remove: true}
	case absent:
		return verdict{Wish: state.WishBackup, Reason: "keepalived runs, and the floating address is not here"}
	case present:
		return verdict{Wish: state.WishMaster, Reason: "keepalived runs, and the floating address is here"}
	case idle:
		g.idle = time.Time{}
		return verdict{Wish: state.WishMaster, Again: true, Reason: "the floating address is here, and nothing serves"}
	}
	return verdict{}
}

// guards looks at keepalived and the address, and does what has to be done.
func (w *watcher) guards(ctx context.Context) error {
	if !w.Address.Configured() {
		return nil
	}
	kept, err := w.Address.Kept()
	if err != nil {
		return err
	}
	here, err := w.Address.Here()
	if err != nil {
		return err
	}
	intent, found, err := w.wish()
	if err != nil {
		return err
	}
	f := finding{Kept: kept, Here: here}
	if found {
		f.Wish, f.Own = intent.Wish, intent.Source == state.SourceOperator
		role, err := w.State.Role()
		f.Idle = err == nil && role.Boot == w.Boot && role.Role == state.RoleStandby && role.Intent == intent.Seq && state.Shown(w.Config.RunDir)
	}
	v := w.guard.judge(f, w.Now())
	if v.Remove {
		w.Log.Warn().Msg("keepalived is gone and has left the floating address behind: it is removed")
		if err := w.Address.Remove(ctx); err != nil {
			return err
		}
	}
	if v.Wish == "" {
		return nil
	}
	w.Log.Warn().Str("wish", string(v.Wish)).Msg(v.Reason)
	return w.wishes(ctx, v.Wish, state.SourceGuard, v.Reason, v.Again)
}

// settleConflict makes this node give way when another one is active too and
// comes first: by a newer term or, under the same one, by having been active
// earlier. Where the two can hear each other again, keepalived settles it within
// an advert or two, and who does not get the address gives way for that: that both
// did would leave none.
func (w *watcher) settleConflict(ctx context.Context, role state.RoleFile, peers []PeerState) error {
	rival := slices.ContainsFunc(peers, func(p PeerState) bool { return p.Role == state.RoleActive })
	if role.Boot != w.Boot || role.Role != state.RoleActive || !rival {
		w.both = time.Time{}
		return nil
	}
	if w.both.IsZero() {
		w.both = w.Now()
	}
	if w.Now().Sub(w.both) < conflictAfter && w.Address.Configured() {
		return nil
	}
	for _, p := range peers {
		if p.Role != state.RoleActive {
			continue
		}
		text := fmt.Sprintf("%s is active under term %d as well, this node under term %d", p.Node, p.Term, role.Term)
		if !givesWay(role, w.Self.Name, p) {
			w.Log.Error().Msg(text + ": that one has to give way")
			continue
		}
		if err := w.exclude(ctx, state.IneligibleConflict, text); err != nil {
			return err
		}
		return w.ask(ctx, state.WishFault, state.SourceGuard, text)
	}
	return nil
}

// givesWay says whether this node, and not the peer, ends a conflict. Both sides
// come to the same answer.
func givesWay(self state.RoleFile, name string, peer PeerState) bool {
	if self.Term != peer.Term {
		return self.Term < peer.Term
	}
	if !self.Since.Equal(peer.Since) {
		return self.Since.After(peer.Since)
	}
	return name > peer.Node
}
