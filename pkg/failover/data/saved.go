package data

import (
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// none is the saved value of a property that was not set on the dataset itself.
const none = "-"

// saved holds the properties that were set on a dataset itself before it was
// released. The dataset stores them in zfs.DemotedProperty.
type saved struct {
	readonly string
	canmount string // "" for volumes
	mounted  bool   // it was mounted although canmount is noauto
}

// String returns the value of zfs.DemotedProperty.
func (m saved) String() string {
	text := "readonly=" + m.readonly
	if m.canmount != "" {
		text += ",canmount=" + m.canmount
	}
	if m.mounted {
		text += ",mounted=yes"
	}
	return text
}

// propertiesOf returns the present properties of a dataset.
func propertiesOf(d *dataset) saved {
	m := saved{readonly: local(d.readonly)}
	if !d.volume() {
		m.canmount = local(d.canmount)
		m.mounted = d.mounted && d.canmount.Value == "noauto"
	}
	return m
}

func local(p zfs.Property) string {
	if value := p.Local(); value != "" {
		return value
	}
	return none
}

// savedOf returns the properties stored in a released dataset. Those that are not
// stored count as not set, as for a replica.
func savedOf(d *dataset) saved { return parseSaved(d, d.demoted.Local()) }

// promotedTo returns the properties that a replica gets on promotion: those that the
// stream brought. If the sender had released the dataset before it was sent, they
// are the properties that the sender stored.
func promotedTo(d *dataset) saved {
	if d.released() || d.demoted.Received == "" {
		return savedOf(d)
	}
	m := parseSaved(d, d.demoted.Received)
	if m.readonly == none {
		m.readonly = "off"
	}
	if m.canmount == none {
		m.canmount = "on"
	}
	return m
}

func parseSaved(d *dataset, text string) saved {
	m := saved{readonly: none}
	if !d.volume() {
		m.canmount = none
	}
	for field := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(field, "=")
		switch {
		case name == "readonly" && (value == "on" || value == "off"):
			m.readonly = value
		case name == "canmount" && !d.volume() && (value == "on" || value == "off" || value == "noauto"):
			m.canmount = value
		case name == "mounted":
			m.mounted = value == "yes"
		}
	}
	return m
}
