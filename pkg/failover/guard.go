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
	Requested  state.RequestedRole
	// Own says that the request is a person's, who may well ask for something
	// without keepalived.
	Own bool
	// Idle says that this node is a standby, and may hold the address, though the
	// request that it become active counts as answered: a switchover was killed after it
	// had given everything up, and before the address moved.
	Idle bool
}

// verdict is what has to be done about it.
type verdict struct {
	Remove    bool                // take the address off this machine
	Requested state.RequestedRole // record this one; empty: none
	Again     bool                // also when it is the newest one already
	Reason    string
}

// judge says what has to be done: keepalived's hooks may be lost, and a
// keepalived that was killed leaves the address behind.
func (g *guard) judge(f finding, now time.Time) verdict {
	gone := since(&g.gone, !f.Kept, now, goneAfter)
	absent := since(&g.absent, f.Kept && !f.Here && f.Requested == state.RequestMaster && !f.Own, now, absentAfter)
	present := since(&g.present, f.Kept && f.Here && f.Requested != state.RequestMaster && !f.Own, now, presentAfter)
	idle := since(&g.idle, f.Kept && f.Here && f.Requested == state.RequestMaster && f.Idle, now, presentAfter)
	switch {
	case gone && f.Requested == state.RequestMaster && !f.Own:
		return verdict{Remove: f.Here, Requested: state.RequestStop, Reason: "keepalived is gone"}
	case gone && f.Here && f.Requested != state.RequestMaster:
		return verdict{Remove: true}
	case absent:
		return verdict{Requested: state.RequestBackup, Reason: "keepalived runs, and the floating address is not here"}
	case present:
		return verdict{Requested: state.RequestMaster, Reason: "keepalived runs, and the floating address is here"}
	case idle:
		g.idle = time.Time{}
		return verdict{Requested: state.RequestMaster, Again: true, Reason: "the floating address is here, and nothing serves"}
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
	request, found, err := w.request()
	if err != nil {
		return err
	}
	f := finding{Kept: kept, Here: here}
	if found {
		f.Requested, f.Own = request.Requested, request.Source == state.SourceOperator
		role, err := w.State.Role()
		f.Idle = err == nil && role.Boot == w.Boot && role.Role == state.RoleStandby && role.RequestSeq == request.Seq && state.Shown(w.Config.RunDir)
	}
	v := w.guard.judge(f, w.Now())
	if v.Remove {
		w.Log.Warn().Msg("keepalived is gone and has left the floating address behind: it is removed")
		if err := w.Address.Remove(ctx); err != nil {
			return err
		}
	}
	if v.Requested == "" {
		return nil
	}
	w.Log.Warn().Str("request", string(v.Requested)).Msg(v.Reason)
	return w.submit(ctx, v.Requested, state.SourceGuard, v.Reason, v.Again)
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
		return w.submitOnce(ctx, state.RequestFault, state.SourceGuard, text)
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
