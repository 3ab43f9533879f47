package command

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/pkg/failover"
	"github.com/understudy-ha/understudy/pkg/report"
)

func imagesText(s *failover.Status) string {
	switch v := s.Services; {
	case v == nil || v.Running == nil || v.Projects == 0:
		return ""
	case len(v.MissingImages) > 0:
		return fmt.Sprintf("%d missing: %s", len(v.MissingImages), strings.Join(v.MissingImages, ", "))
	case v.Error != "":
		return v.Error
	}
	return "all present"
}

// imageSyncText describes the last run of image-sync.
func imageSyncText(s *failover.Status) string {
	i := s.Images
	switch {
	case i == nil:
		return ""
	case i.Never:
		return "never ran"
	case i.Time.IsZero():
		return i.Error
	}
	text := "ran " + report.Duration(s.Time.Sub(i.Time)) + " ago"
	if i.Active != "" && i.Active != s.Node {
		text += ", following " + i.Active
	}
	if i.LastSuccess.Before(i.Time) {
		text += ", incomplete"
	}
	return text
}

// imageProblems returns the problems that image-sync found.
func imageProblems(s *failover.Status) []string {
	i := s.Images
	if i == nil {
		return nil
	}
	var texts []string
	for _, image := range i.Missing {
		text := "image " + image.Ref + " missing"
		if image.HereID != "" {
			text = "image " + image.Ref + " out of date"
		}
		text += " since " + image.WantedSince.Local().Format(time.DateTime)
		if version := cmp.Or(image.Digest, image.ID); version != "" {
			text += fmt.Sprintf(" (%s%s)", shortDigest(version), map[bool]string{true: ", running on " + i.Active}[i.Active != ""])
		}
		texts = append(texts, text+detail(image.Why))
	}
	return append(texts, i.Problems...)
}

// shortDigest returns the part of a digest that people compare.
func shortDigest(digest string) string {
	const length = len("sha256:") + 12
	if strings.HasPrefix(digest, "sha256:") && len(digest) > length {
		return digest[:length]
	}
	return digest
}
