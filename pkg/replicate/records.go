package replicate

import (
	"maps"
	"slices"

	"github.com/understudy-ha/understudy/pkg/state"
	"github.com/understudy-ha/understudy/pkg/zfs"
)

// sentTo returns a standby's part of the record, to be changed in place.
func sentTo(sent *state.Sent, name string) *state.SentStandby {
	if sent.Standbys == nil {
		sent.Standbys = map[string]*state.SentStandby{}
	}
	if sent.Standbys[name] == nil {
		sent.Standbys[name] = &state.SentStandby{}
	}
	if sent.Standbys[name].Datasets == nil {
		sent.Standbys[name].Datasets = map[string]*state.SentDataset{}
	}
	return sent.Standbys[name]
}

// protected returns the guids that pruning on the source must leave, by dataset. They
// are those of the newest common snapshot with each standby, and 0 if a standby is not
// known to have one.
func protected(sent *state.Sent, standbys []string) map[string]map[zfs.GUID]bool {
	guids := map[string]map[zfs.GUID]bool{}
	for _, name := range standbys {
		for source, d := range sentTo(sent, name).Datasets {
			if guids[source] == nil {
				guids[source] = map[zfs.GUID]bool{}
			}
			guids[source][zfs.GUID(d.GUID)] = true
		}
	}
	for source, known := range guids {
		for _, name := range standbys {
			if sent.Standbys[name].Datasets[source] == nil {
				known[0] = true
			}
		}
	}
	return guids
}

// record enters a standby's result. Datasets that a whole run no longer meets are
// forgotten.
func (e *Engine) record(sent *state.Sent, result *StandbyResult, whole bool) {
	now := e.Now().UTC()
	standby := sentTo(sent, result.Node)
	if whole && len(result.Items) > 0 {
		maps.DeleteFunc(standby.Datasets, func(source string, _ *state.SentDataset) bool {
			return !slices.ContainsFunc(result.Items, func(i *ItemResult) bool { return i.Source == source })
		})
	}
	standby.LastRun, standby.Error = now, result.Error
	good := result.Error == ""
	for _, item := range result.Items {
		if item.Source == "" {
			continue
		}
		good = good && item.ok()
		d := standby.Datasets[item.Source]
		if d == nil {
			d = &state.SentDataset{}
			standby.Datasets[item.Source] = d
		}
		d.Target, d.Action, d.Error, d.Partial = item.Target, string(item.Action), item.Error, item.Partial
		if item.Stuck() {
			d.Error = item.Reason
		}
		if item.CommonGUID != 0 {
			if d.GUID != uint64(item.CommonGUID) || item.ok() {
				d.At = now
			}
			d.Common, d.GUID = item.Common, uint64(item.CommonGUID)
		}
	}
	if good {
		standby.LastSuccess = now
	}
}
