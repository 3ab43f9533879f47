package data

import (
	"strings"

	"github.com/understudy-ha/understudy/pkg/zfs"
)

// none stands for a property that was not set on the dataset itself.
const none = "-"

// mark is how a dataset was before it was given up: the values that were set
// on it itself.
type mark struct {
	readonly string
	canmount string // "" for volumes
	mounted  bool   // though canmount alone would not have it mounted
}

// String is the value of zfs.DemotedProperty.
func (m mark) String() string {
	text := "readonly=" + m.readonly
	if m.canmount != "" {
		text += ",canmount=" + m.canmount
	}
	if m.mounted {
		text += ",mounted=yes"
	}
	return text
}

// markOf remembers how a dataset is now.
func markOf(d *dataset) mark {
	m := mark{readonly: local(d.readonly)}
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

// remembered reads what a dataset that was given up remembers. What it does
// not know, it takes as not set, as is the case for a replica.
func remembered(d *dataset) mark { return parseMark(d, d.demoted.Local()) }

// meant is what a replica is to become. That is what the stream said, unless
// the sender had given the dataset up itself by then: what it was before came
// along.
func meant(d *dataset) mark {
	if d.given() || d.demoted.Received == "" {
		return remembered(d)
	}
	m := parseMark(d, d.demoted.Received)
	if m.readonly == none {
		m.readonly = "off"
	}
	if m.canmount == none {
		m.canmount = "on"
	}
	return m
}

func parseMark(d *dataset, text string) mark {
	m := mark{readonly: none}
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
