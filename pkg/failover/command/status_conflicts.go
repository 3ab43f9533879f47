package command

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/state"
)

// conflicts returns the conflicts that the last run of zfs-replicate found, and how to
// end them. On the active node they are in the record of the last send, elsewhere in
// that of the last receive: the other record is from before the roles changed.
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

// conflict describes the conflict with another node. rejoin ends it on standby.
func conflict(other string, found map[string]string, standby string) []string {
	if len(found) == 0 {
		return nil
	}
	texts := make([]string, 0, len(found))
	for _, dataset := range slices.Sorted(maps.Keys(found)) {
		texts = append(texts, dataset+": "+found[dataset])
	}
	return []string{fmt.Sprintf("conflict with %s: both nodes have changes that the other lacks, and replication touches neither. %s. To end it, with everything preserved: zfs-replicate rejoin on %s, or failover-notify resolve --keep NODE, where NODE stays active",
		other, strings.Join(texts, ". "), standby)}
}
