package rules

import (
	"slices"

	"github.com/understudy-ha/understudy/pkg/state"
)

// StepsDown reports whether this node, and not the peer, ends a conflict of two active
// nodes. The node with the older term does. Under the same term, it is the node that
// became active later. Both sides come to the same answer.
func StepsDown(self state.RoleFile, name string, peer PeerState) bool {
	if self.Term != peer.Term {
		return self.Term < peer.Term
	}
	if !self.Since.Equal(peer.Since) {
		return self.Since.After(peer.Since)
	}
	return name > peer.Node
}

// UsedUp reports whether the term of an active node is no longer the newest, or not
// its alone. Two nodes that could not hear each other may have been promoted under the
// same term; both would count as the node that was active last.
func UsedUp(f state.RoleFile, peers []PeerState) bool {
	return f.NewestTerm > f.Term || slices.ContainsFunc(peers, func(p PeerState) bool { return p.ActiveTerm >= f.Term })
}

// HearTerms returns the role file with the newest term that the peers know of.
func HearTerms(f state.RoleFile, peers []PeerState) state.RoleFile {
	for _, p := range peers {
		f.NewestTerm = max(f.NewestTerm, p.NewestTerm, p.Term)
	}
	return f
}

// TakeNewerTerm returns the role file of an active node under a term of its own. Its
// writes from then on are the history of the pair.
func TakeNewerTerm(f state.RoleFile) state.RoleFile {
	f.Term = max(f.NewestTerm, f.Term) + 1
	f.ActiveTerm, f.NewestTerm = f.Term, f.Term
	return f
}

// AnotherWrites reports whether a peer is active, or may still write.
func AnotherWrites(peers []PeerState) bool {
	return slices.ContainsFunc(peers, func(p PeerState) bool { return p.IsActive() || p.Writers })
}

// Unsettled reports whether the others have to be asked again soon. An active node
// asks while an answer does not fit that yet: a node has not stopped writing, or has
// used a newer term. Another node asks until it has heard of an active one: whether
// its own data is out of date depends on that.
func Unsettled(f state.RoleFile, boot string, peers []PeerState, silent []string) bool {
	if f.In(boot) != active {
		return NewestActive(peers) == nil
	}
	writer := slices.ContainsFunc(peers, func(p PeerState) bool { return p.Writers })
	return writer || len(silent) == 0 && f.NewestTerm > f.Term
}
