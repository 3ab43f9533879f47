package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// monitoring checks limits: one that can't be reached, or is for a dataset
// that is not replicated, would keep a problem from being told.
func (k checker) monitoring() {
	lag := k.config.Lag
	if lag.Warning > lag.Critical {
		k.bad("lag.warning", "%s is longer than lag.critical, %s", formatDuration(lag.Warning), formatDuration(lag.Critical))
	}
	for i, d := range lag.Datasets {
		at := fmt.Sprintf("lag.datasets[%d]", i)
		if d.Name == "" {
			k.bad(at+".name", "is missing")
			continue
		}
		replicated := slices.ContainsFunc(k.config.Replication.Datasets, func(r Dataset) bool { return r.Covers(d.Name) })
		if !replicated {
			k.bad(at+".name", "%q is not replicated: see replication.datasets", d.Name)
		}
		warning, critical := lag.Limits(d.Name)
		if warning > critical {
			k.bad(at+".warning", "%s is longer than its critical limit, %s", formatDuration(warning), formatDuration(critical))
		}
	}
	if k.config.Notify.Repeat < time.Minute {
		k.bad("notify.repeat", "%s would be more than people can read; give at least 1m", formatDuration(k.config.Notify.Repeat))
	}
}

// Limits returns the limits of a dataset: its own, or those of the nearest one
// above it that has some, or those of all.
func (l Lag) Limits(dataset string) (warning, critical time.Duration) {
	nearest := LagDataset{}
	for _, d := range l.Datasets {
		if (d.Name == dataset || strings.HasPrefix(dataset, d.Name+"/")) && len(d.Name) > len(nearest.Name) {
			nearest = d
		}
	}
	return cmp.Or(nearest.Warning, l.Warning), cmp.Or(nearest.Critical, l.Critical)
}
