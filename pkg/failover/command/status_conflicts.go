package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/state"
)

// conflicts say on which datasets this node and another one both have something
// of their own, as the last run of zfs-replicate has found, and how that ends. On
// the active node that is what was sent last, elsewhere what was received: the
// other record is from before the roles changed.
func conflicts(s *failover.Status) []string {
	if s.Replication == nil {
		return nil
	}
	var all []string
	if s.Role == state.RoleActive {
		for _, sent := range s.Replication.Sent {
			all = append(all, conflict(sent.Node, sent.Conflicts, sent.Node)...)
		}
	} else if r := s.Replication.Received; r != nil {
		all = append(all, conflict(r.From, r.Conflicts, s.Node)...)
	}
	return all
}

// conflict says it of one other node. standby is the one on which rejoin ends it.
func conflict(other string, found map[string]string, standby string) []string {
	if len(found) == 0 {
		return nil
	}
	texts := make([]string, 0, len(found))
	for _, dataset := range slices.Sorted(maps.Keys(found)) {
		texts = append(texts, dataset+": "+found[dataset])
	}
	return []string{fmt.Sprintf("it and %s both have something of their own, and replication touches neither. %s. To end that with all of it kept: zfs-replicate rejoin on %s, or failover-notify resolve --keep NODE, where NODE is the one that goes on",
		other, strings.Join(texts, ". "), standby)}
}
