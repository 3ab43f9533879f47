// Package packaging holds the files that go with the programs onto a node, so
// that a set-up can put them there also where no package has.
package packaging

import "embed"

// Files are the units, their drop-ins and cron's files, by their paths in this
// folder.
//
//go:embed systemd/*.service systemd/*.timer systemd/*.d
//go:embed cron/zfs-replicate cron/image-sync cron/lag-check
var Files embed.FS
