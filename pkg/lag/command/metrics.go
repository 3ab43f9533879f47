package command

import (
	"github.com/understudy-ha/understudy/pkg/lag"
	"github.com/understudy-ha/understudy/pkg/metrics"
)

// figures are a report's metrics.
func figures(r *lag.Report) *metrics.Set {
	set := metrics.New(metrics.Lag)
	set.Time("understudy_lag_last_run_timestamp_seconds", r.At)
	pair := lag.OK
	for _, p := range r.Problems {
		pair = pair.Worse(p.Level)
	}
	set.Add("understudy_lag_pair_level", float64(pair))
	for _, s := range r.Standbys {
		_, bad := s.Count()
		set.Add("understudy_lag_level", float64(s.Level), s.Node)
		set.Bool("understudy_lag_asked", s.Asked, s.Node)
		set.Add("understudy_lag_bad_datasets", float64(bad), s.Node)
		set.Add("understudy_clock_offset_seconds", s.ClockSeconds, s.Node)
		for _, d := range s.Datasets {
			if d.State == lag.Excluded || d.State == lag.Orphan {
				continue
			}
			set.Add("understudy_lag_seconds", d.LagSeconds, r.Source, s.Node, d.Dataset)
			set.Add("understudy_exposure_bytes", float64(d.ExposureBytes), r.Source, s.Node, d.Dataset)
		}
	}
	return set
}
