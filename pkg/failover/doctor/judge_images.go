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

// oldSync is how old what image-sync found may be: it is to run each quarter
// of an hour.
const oldSync = 24 * time.Hour

// images judges what the engine has of what the projects name, with what
// image-sync knows of that.
func (j *judging) images(f *Facts, add add) {
	var missing, other []string
	first := "" // of the missing ones
	for _, name := range sortedKeys(f.Services.Images) {
		switch here := f.Services.Images[name]; {
		case here == "":
			first = cmp.Or(first, name)
			missing = append(missing, name+known(f, name))
		case j.standby(f) && j.active.Services != nil && j.active.Services.Images[name] != "" && j.active.Services.Images[name] != here:
			other = append(other, name+known(f, name))
		}
	}
	if len(missing) > 0 {
		severity, why := Error, "a takeover pulls nothing, so these projects do not start"
		if j.cfg.Services.Pull == "missing" || !j.standby(f) {
			severity, why = Warning, "they have to be pulled before they can be started again"
		}
		add("images", severity, "images are missing: "+list(missing), why, "image-sync; or else, each: docker pull "+first)
	}
	if len(other) > 0 {
		add("images-differ", Warning, "images are not those that "+j.active.Node+" runs: "+list(other), "after a failover another version meets the data", "image-sync, which brings "+j.active.Node+"'s")
	}
	if pinned := slices.DeleteFunc(sortedKeys(f.Services.Images), func(name string) bool { return !record.Pinned(name) }); len(pinned) > 0 && j.standby(f) {
		add("images-pinned", Info, "names of images have a digest: "+list(pinned), "such an image can only be pulled: when one is changed while its registry is down, it does not come here", "name them by tag: image-sync brings exactly the version that the active node runs")
	}
	j.imageSync(f, add)
}

// imageSync judges whether image-sync does its work.
func (j *judging) imageSync(f *Facts, add add) {
	if f.Status == nil || f.Status.Images == nil || len(f.Services.Images) == 0 || !j.standby(f) {
		return
	}
	const why, fix = "an image that the active node gets does not come here, and a takeover pulls nothing", "image-sync; then see that cron or its timer runs it"
	switch i := f.Status.Images; {
	case i.Never:
		add("image-sync", Info, "image-sync has never run here", why, fix)
	case i.Time.IsZero():
		add("image-sync", Warning, "what image-sync found is not known: "+i.Error, why, fix)
	case f.Time.Sub(i.Time) > oldSync:
		add("image-sync", Warning, "image-sync ran last "+report.Duration(f.Time.Sub(i.Time))+" ago", why, fix)
	case len(i.Problems) > 0:
		add("image-sync", Warning, fmt.Sprintf("image-sync, %s ago: %s", report.Duration(f.Time.Sub(i.Time)), list(i.Problems)), "a project may not start after a takeover", "image-sync, which says more")
	}
}

// known is what image-sync knows of an image that is not as it should be.
func known(f *Facts, name string) string {
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
