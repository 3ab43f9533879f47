package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/images/record"
	"github.com/understudy-ha/understudy/pkg/report"
)

// staleSync is the greatest age of image-sync's last run, which is scheduled every
// quarter of an hour.
const staleSync = 24 * time.Hour

// images judges the images of the projects, with the findings of image-sync.
func (j *judge) images(f *Facts, add add) {
	var missing, other []string
	first := "" // missing image
	for _, name := range sortedKeys(f.Services.Images) {
		switch here := f.Services.Images[name]; {
		case here == "":
			first = cmp.Or(first, name)
			missing = append(missing, name+imageSyncNote(f, name))
		case j.standby(f) && j.active.Services != nil && j.active.Services.Images[name] != "" && j.active.Services.Images[name] != here:
			other = append(other, name+imageSyncNote(f, name))
		}
	}
	if len(missing) > 0 {
		severity, why := Error, "a takeover does not pull images, so these projects do not start"
		if j.cfg.Services.Pull == "missing" || !j.standby(f) {
			severity, why = Warning, "they must be pulled before their projects can start again"
		}
		add("images", severity, "missing images: "+list(missing), why, "image-sync; or, for each: docker pull "+first)
	}
	if len(other) > 0 {
		add("images-differ", Warning, "images other than those on "+j.active.Node+": "+list(other), "after a failover another version meets the data", "image-sync, which copies the images of "+j.active.Node)
	}
	if pinned := slices.DeleteFunc(sortedKeys(f.Services.Images), func(name string) bool { return !record.Pinned(name) }); len(pinned) > 0 && j.standby(f) {
		add("images-pinned", Info, "images named by digest: "+list(pinned), "such an image can only be pulled, so a new version does not arrive while its registry is down", "name them by tag: image-sync copies exactly the version that the active node runs")
	}
	j.imageSync(f, add)
}

// imageSync judges the last run of image-sync.
func (j *judge) imageSync(f *Facts, add add) {
	if f.Status == nil || f.Status.Images == nil || len(f.Services.Images) == 0 || !j.standby(f) {
		return
	}
	const why, fix = "new images of the active node do not arrive here, and a takeover does not pull images", "image-sync; check that cron or its timer runs it"
	switch i := f.Status.Images; {
	case i.Never:
		add("image-sync", Info, "image-sync never ran", why, fix)
	case i.Time.IsZero():
		add("image-sync", Warning, "cannot read the result of image-sync: "+i.Error, why, fix)
	case f.Time.Sub(i.Time) > staleSync:
		add("image-sync", Warning, "image-sync last ran "+report.Duration(f.Time.Sub(i.Time))+" ago", why, fix)
	case len(i.Problems) > 0:
		add("image-sync", Warning, fmt.Sprintf("image-sync, %s ago: %s", report.Duration(f.Time.Sub(i.Time)), list(i.Problems)), "a project may not start after a takeover", "image-sync, which prints details")
	}
}

// imageSyncNote returns image-sync's finding about an image, or "".
func imageSyncNote(f *Facts, name string) string {
	if f.Status == nil || f.Status.Images == nil {
		return ""
	}
	i := f.Status.Images
	at := slices.IndexFunc(i.Missing, func(m failover.MissingImage) bool { return m.Ref == name })
	if at < 0 {
		return ""
	}
	m := i.Missing[at]
	text := " (since " + m.WantedSince.Local().Format(time.DateTime)
	if digest := cmp.Or(m.Digest, m.ID); digest != "" {
		text += ", wanted " + digest
	}
	if m.Why != "" {
		text += ": " + m.Why
	}
	return fmt.Sprintf("%s; image-sync, %s ago)", text, report.Duration(f.Time.Sub(i.Time)))
}
