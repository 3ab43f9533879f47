package model

import (
	"strings"
)

// KnownStats are the properties that are computed and not set.
func KnownStats() map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields("name type creation used available referenced compressratio refcompressratio mounted " +
		"usedbydataset usedbysnapshots usedbychildren usedbyrefreservation logicalused logicalreferenced written guid createtxg " +
		"objsetid encryptionroot keystatus origin clones userrefs numclones inconsistent redacted receive_resume_token " +
		"defer_destroy snapshots_changed") {
		m[n] = true
	}
	return m
}

// Source says where a property's value comes from.
type Source struct {
	Kind string // "-", "default", "local", "received", "inherited"
	From string // the dataset inherited from
}

func (s Source) String() string {
	if s.Kind == "inherited" {
		return "inherited from " + s.From
	}
	return s.Kind
}

// Property describes one native property that is stored (statistics are
// computed in stats.go).
type Property struct {
	Def     string // default value; empty means none
	Kinds   int    // objects that have it
	Inherit bool
	Number  bool   // a size or count: nice numbers are understood
	Once    bool   // only at creation
	Values  string // what a wrong value is told; empty: anything goes
}

const (
	fsOnly  = KindFilesystem
	volOnly = KindVolume
	FsVol   = KindFilesystem | KindVolume
	all3    = KindDataset
)

const onOff = "on | off"

const compressionValues = "on | off | lzjb | gzip | gzip-[1-9] | zle | lz4 | zstd | zstd-[1-19] | " +
	"zstd-fast | zstd-fast-[1-10,20,30,40,50,60,70,80,90,100,500,1000]"

// Settable is the table of the properties that can be set or inherited.
func Settable() map[string]Property {
	index := func(def string, kinds int, values string) Property {
		return Property{Def: def, Kinds: kinds, Inherit: true, Values: values}
	}
	return map[string]Property{
		"checksum":             index("on", FsVol, "on | off | fletcher2 | fletcher4 | sha256 | sha512 | skein | edonr | blake3"),
		"compression":          index("on", FsVol, compressionValues),
		"atime":                index("on", fsOnly, onOff),
		"relatime":             index("on", fsOnly, onOff),
		"devices":              index("on", fsOnly|KindSnapshot, onOff),
		"exec":                 index("on", fsOnly|KindSnapshot, onOff),
		"setuid":               index("on", fsOnly|KindSnapshot, onOff),
		"readonly":             index("off", FsVol, onOff),
		"snapdir":              index("hidden", fsOnly, "disabled | hidden | visible"),
		"snapdev":              index("hidden", FsVol, "hidden | visible"),
		"acltype":              index("off", fsOnly|KindSnapshot, "off | nfsv4 | posix"),
		"aclmode":              index("discard", fsOnly, "discard | groupmask | passthrough | restricted"),
		"aclinherit":           index("restricted", fsOnly, "discard | noallow | restricted | passthrough | passthrough-x"),
		"xattr":                index("on", fsOnly|KindSnapshot, "on | off | dir | sa"),
		"dedup":                index("off", FsVol, "on | off | verify | sha256[,verify] | sha512[,verify] | skein[,verify] | edonr,verify | blake3[,verify]"),
		"copies":               index("1", FsVol, "1 | 2 | 3"),
		"sync":                 index("standard", FsVol, "standard | always | disabled"),
		"logbias":              index("latency", FsVol, "latency | throughput"),
		"primarycache":         index("all", all3, "all | none | metadata"),
		"secondarycache":       index("all", all3, "all | none | metadata"),
		"prefetch":             index("all", all3, "none | metadata | all"),
		"direct":               index("standard", fsOnly, "disabled | standard | always"),
		"overlay":              index("on", fsOnly, onOff),
		"redundant_metadata":   index("all", FsVol, "all | most | some | none"),
		"volmode":              index("default", FsVol, "default | full | geom | dev | none"),
		"dnodesize":            index("legacy", fsOnly, "legacy | auto | 1k | 2k | 4k | 8k | 16k"),
		"nbmand":               index("off", fsOnly|KindSnapshot, onOff),
		"vscan":                index("off", fsOnly, onOff),
		"zoned":                index("off", fsOnly, onOff),
		"longname":             index("off", fsOnly, onOff),
		"volthreading":         {Def: "on", Kinds: volOnly, Values: onOff},
		"mlslabel":             {Def: "none", Kinds: all3, Inherit: true},
		"context":              {Def: "none", Kinds: all3},
		"fscontext":            {Def: "none", Kinds: all3},
		"defcontext":           {Def: "none", Kinds: all3},
		"rootcontext":          {Def: "none", Kinds: all3},
		"filesystem_count":     {Def: "none", Kinds: fsOnly},
		"snapshot_count":       {Def: "none", Kinds: FsVol},
		"sharenfs":             {Def: "off", Kinds: fsOnly, Inherit: true},
		"sharesmb":             {Def: "off", Kinds: fsOnly, Inherit: true},
		"mountpoint":           {Def: "/", Kinds: fsOnly, Inherit: true},
		"recordsize":           {Def: "131072", Kinds: fsOnly, Inherit: true, Number: true},
		"special_small_blocks": {Def: "0", Kinds: fsOnly, Inherit: true, Number: true},
		"canmount":             {Def: "on", Kinds: fsOnly, Values: "on | off | noauto"},
		"quota":                {Def: "0", Kinds: fsOnly, Number: true},
		"refquota":             {Def: "0", Kinds: fsOnly, Number: true},
		"reservation":          {Def: "0", Kinds: FsVol, Number: true},
		"refreservation":       {Def: "0", Kinds: FsVol, Number: true},
		"filesystem_limit":     {Def: "18446744073709551615", Kinds: fsOnly, Number: true},
		"snapshot_limit":       {Def: "18446744073709551615", Kinds: FsVol, Number: true},
		"volsize":              {Kinds: volOnly | KindSnapshot, Number: true},
		"volblocksize":         {Def: "16384", Kinds: volOnly, Number: true, Once: true},
		"encryption":           {Def: "off", Kinds: all3, Inherit: true, Once: true, Values: "on | off | aes-128-ccm | aes-192-ccm | aes-256-ccm | aes-128-gcm | aes-192-gcm | aes-256-gcm"},
		"keyformat":            {Def: "none", Kinds: FsVol, Once: true, Values: "none | raw | hex | passphrase"},
		"keylocation":          {Def: "none", Kinds: FsVol},
		"pbkdf2iters":          {Def: "0", Kinds: FsVol, Number: true, Once: true},
		"version":              {Def: "5", Kinds: fsOnly | KindSnapshot, Number: true},
		"utf8only":             {Def: "off", Kinds: fsOnly | KindSnapshot, Once: true, Values: onOff},
		"normalization":        {Def: "none", Kinds: fsOnly | KindSnapshot, Once: true, Values: "none | formC | formD | formKC | formKD"},
		"casesensitivity":      {Def: "sensitive", Kinds: fsOnly | KindSnapshot, Once: true, Values: "sensitive | insensitive | mixed"},
	}
}

// Canonical resolves the short names of properties.
func Canonical(name string) string {
	switch name {
	case "avail":
		return "available"
	case "refer":
		return "referenced"
	case "compress":
		return "compression"
	case "rdonly":
		return "readonly"
	case "recsize":
		return "recordsize"
	case "volblock":
		return "volblocksize"
	case "mounted", "ratio":
		if name == "ratio" {
			return "compressratio"
		}
	case "reserv":
		return "reservation"
	case "refreserv":
		return "refreservation"
	case "lused":
		return "logicalused"
	case "lrefer":
		return "logicalreferenced"
	case "usedds":
		return "usedbydataset"
	case "usedsnap":
		return "usedbysnapshots"
	case "usedchild":
		return "usedbychildren"
	case "usedrefreserv":
		return "usedbyrefreservation"
	}
	return name
}

// IsUserProperty tells a user property by its colon.
func IsUserProperty(name string) bool {
	if !strings.Contains(name, ":") || len(name) >= 256 {
		return false
	}
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.ContainsRune("-_.:", c)) {
			return false
		}
	}
	return true
}

// Lookup finds the value of a settable or user property that is in force on a
// dataset and where it comes from. ok is false for a user property that is
// set nowhere.
func (d *Dataset) Lookup(table map[string]Property, name string) (value string, src Source, ok bool) {
	p, native := table[name]
	for e := d; e != nil; e = e.Parent() {
		if v, set := e.Local[name]; set {
			if e == d {
				return v, Source{Kind: "local"}, true
			}
			return v, Source{Kind: "inherited", From: e.Name}, true
		}
		if v, set := e.Received[name]; set && !e.Inherited[name] {
			if e == d {
				return v, Source{Kind: "received"}, true
			}
			return v, Source{Kind: "inherited", From: e.Name}, true
		}
		if native && !p.Inherit {
			break
		}
	}
	if !native {
		return "", Source{Kind: "-"}, false
	}
	return p.Def, Source{Kind: "default"}, true
}

// SetLocal sets a property on a dataset.
func (d *Dataset) SetLocal(name, value string) {
	if d.Local == nil {
		d.Local = map[string]string{}
	}
	d.Local[name] = value
	delete(d.Inherited, name)
}

// SetReceived records a property that came with a stream.
func (d *Dataset) SetReceived(name, value string) {
	if d.Received == nil {
		d.Received = map[string]string{}
	}
	d.Received[name] = value
}

// SetInherited drops the local value and hides a received one.
func (d *Dataset) SetInherited(name string) {
	delete(d.Local, name)
	if _, ok := d.Received[name]; ok {
		if d.Inherited == nil {
			d.Inherited = map[string]bool{}
		}
		d.Inherited[name] = true
	}
}

// Prop is the value in force of a settable property.
func (d *Dataset) Prop(name string) string {
	v, _, _ := d.Lookup(Settable(), name)
	return v
}
