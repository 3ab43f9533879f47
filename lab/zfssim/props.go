package main

import (
	"strings"
)

// source says where a property's value comes from.
type source struct {
	kind string // "-", "default", "local", "received", "inherited"
	from string // the dataset inherited from
}

func (s source) String() string {
	if s.kind == "inherited" {
		return "inherited from " + s.from
	}
	return s.kind
}

// property describes one native property that is stored (statistics are
// computed in stats.go).
type property struct {
	def     string // default value; empty means none
	kinds   int    // objects that have it
	inherit bool
	number  bool   // a size or count: nice numbers are understood
	once    bool   // only at creation
	values  string // what a wrong value is told; empty: anything goes
}

const (
	fsOnly  = kindFilesystem
	volOnly = kindVolume
	fsVol   = kindFilesystem | kindVolume
	all3    = kindDataset
)

const onOff = "on | off"

const compressionValues = "on | off | lzjb | gzip | gzip-[1-9] | zle | lz4 | zstd | zstd-[1-19] | " +
	"zstd-fast | zstd-fast-[1-10,20,30,40,50,60,70,80,90,100,500,1000]"

// settable is the table of the properties that can be set or inherited.
func settable() map[string]property {
	index := func(def string, kinds int, values string) property {
		return property{def: def, kinds: kinds, inherit: true, values: values}
	}
	return map[string]property{
		"checksum":             index("on", fsVol, "on | off | fletcher2 | fletcher4 | sha256 | sha512 | skein | edonr | blake3"),
		"compression":          index("on", fsVol, compressionValues),
		"atime":                index("on", fsOnly, onOff),
		"relatime":             index("on", fsOnly, onOff),
		"devices":              index("on", fsOnly|kindSnapshot, onOff),
		"exec":                 index("on", fsOnly|kindSnapshot, onOff),
		"setuid":               index("on", fsOnly|kindSnapshot, onOff),
		"readonly":             index("off", fsVol, onOff),
		"snapdir":              index("hidden", fsOnly, "disabled | hidden | visible"),
		"snapdev":              index("hidden", fsVol, "hidden | visible"),
		"acltype":              index("off", fsOnly|kindSnapshot, "off | nfsv4 | posix"),
		"aclmode":              index("discard", fsOnly, "discard | groupmask | passthrough | restricted"),
		"aclinherit":           index("restricted", fsOnly, "discard | noallow | restricted | passthrough | passthrough-x"),
		"xattr":                index("on", fsOnly|kindSnapshot, "on | off | dir | sa"),
		"dedup":                index("off", fsVol, "on | off | verify | sha256[,verify] | sha512[,verify] | skein[,verify] | edonr,verify | blake3[,verify]"),
		"copies":               index("1", fsVol, "1 | 2 | 3"),
		"sync":                 index("standard", fsVol, "standard | always | disabled"),
		"logbias":              index("latency", fsVol, "latency | throughput"),
		"primarycache":         index("all", all3, "all | none | metadata"),
		"secondarycache":       index("all", all3, "all | none | metadata"),
		"prefetch":             index("all", all3, "none | metadata | all"),
		"direct":               index("standard", fsOnly, "disabled | standard | always"),
		"overlay":              index("on", fsOnly, onOff),
		"redundant_metadata":   index("all", fsVol, "all | most | some | none"),
		"volmode":              index("default", fsVol, "default | full | geom | dev | none"),
		"dnodesize":            index("legacy", fsOnly, "legacy | auto | 1k | 2k | 4k | 8k | 16k"),
		"nbmand":               index("off", fsOnly|kindSnapshot, onOff),
		"vscan":                index("off", fsOnly, onOff),
		"zoned":                index("off", fsOnly, onOff),
		"longname":             index("off", fsOnly, onOff),
		"volthreading":         {def: "on", kinds: volOnly, values: onOff},
		"mlslabel":             {def: "none", kinds: all3, inherit: true},
		"context":              {def: "none", kinds: all3},
		"fscontext":            {def: "none", kinds: all3},
		"defcontext":           {def: "none", kinds: all3},
		"rootcontext":          {def: "none", kinds: all3},
		"filesystem_count":     {def: "none", kinds: fsOnly},
		"snapshot_count":       {def: "none", kinds: fsVol},
		"sharenfs":             {def: "off", kinds: fsOnly, inherit: true},
		"sharesmb":             {def: "off", kinds: fsOnly, inherit: true},
		"mountpoint":           {def: "/", kinds: fsOnly, inherit: true},
		"recordsize":           {def: "131072", kinds: fsOnly, inherit: true, number: true},
		"special_small_blocks": {def: "0", kinds: fsOnly, inherit: true, number: true},
		"canmount":             {def: "on", kinds: fsOnly, values: "on | off | noauto"},
		"quota":                {def: "0", kinds: fsOnly, number: true},
		"refquota":             {def: "0", kinds: fsOnly, number: true},
		"reservation":          {def: "0", kinds: fsVol, number: true},
		"refreservation":       {def: "0", kinds: fsVol, number: true},
		"filesystem_limit":     {def: "18446744073709551615", kinds: fsOnly, number: true},
		"snapshot_limit":       {def: "18446744073709551615", kinds: fsVol, number: true},
		"volsize":              {kinds: volOnly | kindSnapshot, number: true},
		"volblocksize":         {def: "16384", kinds: volOnly, number: true, once: true},
		"encryption":           {def: "off", kinds: all3, inherit: true, once: true, values: "on | off | aes-128-ccm | aes-192-ccm | aes-256-ccm | aes-128-gcm | aes-192-gcm | aes-256-gcm"},
		"keyformat":            {def: "none", kinds: fsVol, once: true, values: "none | raw | hex | passphrase"},
		"keylocation":          {def: "none", kinds: fsVol},
		"pbkdf2iters":          {def: "0", kinds: fsVol, number: true, once: true},
		"version":              {def: "5", kinds: fsOnly | kindSnapshot, number: true},
		"utf8only":             {def: "off", kinds: fsOnly | kindSnapshot, once: true, values: onOff},
		"normalization":        {def: "none", kinds: fsOnly | kindSnapshot, once: true, values: "none | formC | formD | formKC | formKD"},
		"casesensitivity":      {def: "sensitive", kinds: fsOnly | kindSnapshot, once: true, values: "sensitive | insensitive | mixed"},
	}
}

// canonical resolves the short names of properties.
func canonical(name string) string {
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

// isUserProperty tells a user property by its colon.
func isUserProperty(name string) bool {
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

// stored finds the value of a settable or user property that is in force on a
// dataset and where it comes from. ok is false for a user property that is
// set nowhere.
func (d *Dataset) stored(table map[string]property, name string) (value string, src source, ok bool) {
	p, native := table[name]
	for e := d; e != nil; e = e.parent() {
		if v, set := e.Local[name]; set {
			if e == d {
				return v, source{kind: "local"}, true
			}
			return v, source{"inherited", e.Name}, true
		}
		if v, set := e.Received[name]; set && !e.Inherited[name] {
			if e == d {
				return v, source{kind: "received"}, true
			}
			return v, source{"inherited", e.Name}, true
		}
		if native && !p.inherit {
			break
		}
	}
	if !native {
		return "", source{kind: "-"}, false
	}
	return p.def, source{kind: "default"}, true
}

// setLocal sets a property on a dataset.
func (d *Dataset) setLocal(name, value string) {
	if d.Local == nil {
		d.Local = map[string]string{}
	}
	d.Local[name] = value
	delete(d.Inherited, name)
}

// setReceived records a property that came with a stream.
func (d *Dataset) setReceived(name, value string) {
	if d.Received == nil {
		d.Received = map[string]string{}
	}
	d.Received[name] = value
}

// setInherited drops the local value and hides a received one.
func (d *Dataset) setInherited(name string) {
	delete(d.Local, name)
	if _, ok := d.Received[name]; ok {
		if d.Inherited == nil {
			d.Inherited = map[string]bool{}
		}
		d.Inherited[name] = true
	}
}

// prop is the value in force of a settable property.
func (d *Dataset) prop(name string) string {
	v, _, _ := d.stored(settable(), name)
	return v
}
