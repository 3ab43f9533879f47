package metrics

import "slices"

// File is the name of one program's file in the folder, without its ending.
type File string

// The files.
const (
	Failover    File = "understudy_failover"
	Replication File = "understudy_replication"
	Lag         File = "understudy_lag"
	Images      File = "understudy_images"
)

// Family is one metric: in which file it stands, what it means, its labels.
type Family struct {
	File   File
	Name   string
	Help   string
	Labels []string
}

// families are all metrics there are. All are gauges.
func families() []Family {
	role, standby, dataset := []string{"role"}, []string{"standby"}, []string{"source", "standby", "dataset"}
	return []Family{
		{Failover, "understudy_role", "1 for the role that this node has.", role},
		{Failover, "understudy_term", "Term under which this node took its role.", nil},
		{Failover, "understudy_newest_term", "Newest term that this node has seen on any node.", nil},
		{Failover, "understudy_eligible", "Whether this node may hold the virtual IP.", nil},
		{Failover, "understudy_holds_address", "Whether the virtual IP is on this node.", nil},
		{Failover, "understudy_alerts", "How many things need attention: see failover-notify status.", nil},
		{Failover, "understudy_notify_failing_channels", "Notification channels that took nothing when they were tried last.", nil},
		{Failover, "understudy_notify_waiting_messages", "Notifications that some channel has not got yet.", nil},
		{Failover, "understudy_last_transition_timestamp_seconds", "When the last change of this node's role ended.", nil},
		{Failover, "understudy_last_transition_duration_seconds", "How long the last change of this node's role took.", nil},
		{Failover, "understudy_last_transition_success", "Whether the last change of this node's role was done in full.", nil},
		{Failover, "understudy_check_healthy", "Whether keepalived's check found this node healthy.", nil},
		{Failover, "understudy_check_last_run_timestamp_seconds", "When keepalived's check ran last.", nil},
		{Failover, "understudy_watch_timestamp_seconds", "When failover-notify watch wrote these figures.", nil},

		{Replication, "understudy_replication_last_run_timestamp_seconds", "When this node last tried to replicate to the standby.", standby},
		{Replication, "understudy_replication_last_success_timestamp_seconds", "When all datasets were last replicated to the standby.", standby},
		{Replication, "understudy_replication_duration_seconds", "How long the last run to the standby took.", standby},
		{Replication, "understudy_replication_sent_bytes", "Bytes that the last run sent to the standby.", standby},
		{Replication, "understudy_replication_datasets", "Datasets of the last run that are current on the standby.", standby},
		{Replication, "understudy_replication_failed_datasets", "Datasets of the last run that failed or need the operator.", standby},

		{Lag, "understudy_lag_seconds", "Age of the newest common snapshot of a dataset that was written to since; else 0.", dataset},
		{Lag, "understudy_exposure_bytes", "Bytes of the dataset that would be lost now.", dataset},
		{Lag, "understudy_lag_level", "0 ok, 1 warning, 2 critical, 3 unknown.", standby},
		{Lag, "understudy_lag_asked", "Whether the nodes could be compared; else the lag is what was known last.", standby},
		{Lag, "understudy_lag_bad_datasets", "Datasets that are not as they should be on the standby.", standby},
		{Lag, "understudy_clock_offset_seconds", "How far the other node's clock is ahead.", standby},
		{Lag, "understudy_lag_pair_level", "0 ok, 1 warning, 2 critical, 3 unknown: what is wrong with the pair as a whole.", nil},
		{Lag, "understudy_lag_last_run_timestamp_seconds", "When lag-check ran last.", nil},

		{Images, "understudy_images_missing", "Images of the active node's projects that are not on this node.", nil},
		{Images, "understudy_images_last_run_timestamp_seconds", "When image-sync ran last.", nil},
		{Images, "understudy_images_last_success_timestamp_seconds", "When image-sync last brought everything up to date.", nil},
		{Images, "understudy_images_duration_seconds", "How long the last run of image-sync took.", nil},
	}
}

// Families returns all metrics there are.
func Families() []Family { return families() }

// find returns a family of a file.
func find(file File, name string) (Family, bool) {
	all := families()
	i := slices.IndexFunc(all, func(f Family) bool { return f.File == file && f.Name == name })
	if i < 0 {
		return Family{}, false
	}
	return all[i], true
}
