package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// receiveFlags are the flags of zfs receive.
type receiveFlags struct {
	resumable, noMount, verbose, dry bool
	prefix, tail                     bool
	set                              map[string]string // -o
	exclude                          map[string]bool   // -x
	origin                           string
	target                           string
}

// realBegin is the size of the first record of a real stream: what is shorter
// is not even looked at.
const realBegin = 312

// recvError is a refusal: what could not be done and why.
type recvError struct{ what, why string }

func (e *recvError) Error() string { return e.what + ": " + e.why }

func cmdReceive(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "o:x:dehMnuvFsAc")
	if !ok {
		return 2
	}
	f := receiveFlags{set: map[string]string{}, exclude: map[string]bool{}}
	abort := false
	for _, o := range opts {
		switch o.flag {
		case 'o':
			n, v, ok := splitProperty(o.arg)
			if !ok {
				return a.usageError("missing '=' for property=value argument")
			}
			if _, twice := f.set[n]; twice || f.exclude[n] {
				return a.usageError("property '%s' specified multiple times", n)
			}
			if n == "origin" {
				f.origin = v
				continue
			}
			f.set[n] = v
		case 'x':
			if strings.Contains(o.arg, "=") {
				return a.usageError("invalid character '=' in property argument")
			}
			if _, twice := f.set[o.arg]; twice || f.exclude[o.arg] {
				return a.usageError("property '%s' specified multiple times", o.arg)
			}
			f.exclude[o.arg] = true
		case 's':
			f.resumable = true
		case 'u':
			f.noMount = true
		case 'v':
			f.verbose = true
		case 'n':
			f.dry = true
		case 'd':
			f.prefix = true
		case 'e':
			f.prefix, f.tail = true, true
		case 'A':
			abort = true
		case 'F':
			fmt.Fprintln(a.err, "zfssim: receive -F destroys data, and this project never uses it")
			return 2
		case 'c', 'M', 'h':
			fmt.Fprintf(a.err, "zfssim: receive -%c is not simulated\n", o.flag)
			return 2
		}
	}
	switch {
	case len(rest) < 1:
		return a.usageError("missing snapshot argument")
	case len(rest) > 1:
		return a.usageError("too many arguments")
	}
	f.target = rest[0]
	if abort {
		if f.prefix || f.dry || f.resumable || f.noMount {
			return a.usageError("invalid option")
		}
		return a.abortReceive(f.target)
	}
	if a.inTerminal {
		return a.failf("Error: Backup stream can not be read from a terminal.\nYou must redirect standard input.")
	}
	return a.receive(f)
}

func (a *app) abortReceive(name string) int {
	if !a.begin(true) {
		return 1
	}
	o, ok := a.open(name, fsVol)
	if !ok {
		return a.usage()
	}
	d := o.ds
	if a.store.resumeToken(d) == "" {
		return a.failf("'%s' does not have any resumable receive state to abort", name)
	}
	if a.store.receiving(d) {
		return a.fail(fmt.Sprintf("cannot destroy '%s/%%recv'", name), "dataset is busy")
	}
	p, family := d.pool, d.Family
	if err := a.store.abandon(d); err != nil {
		return a.failf("zfssim: %v", err)
	}
	a.store.later(func() error { return a.store.sweep(p, map[string]bool{family: true}) })
	if !a.commit() {
		return 1
	}
	return 0
}

// receive reads a stream from standard input.
func (a *app) receive(f receiveFlags) int {
	if why := checkReceiveProps(f); why != "" {
		return a.fail("cannot receive", why)
	}
	if f.origin != "" || f.prefix {
		if !a.begin(false) {
			return 1
		}
		if _, ok := a.store.find(f.target); f.prefix && !ok {
			return a.fail("cannot receive", fmt.Sprintf("specified fs (%s) does not exist", f.target))
		}
		if o, ok := a.store.find(f.origin); f.origin != "" && (!ok || o.mark != nil) {
			return a.fail("cannot receive", fmt.Sprintf("specified origin fs (%s) does not exist", f.origin))
		}
		a.store.end()
	}
	r := newRecordReader(a.in)
	if err := r.start(); err != nil {
		short, _ := r.r.Peek(realBegin - len(streamMagic))
		if errors.Is(err, errMagic) && len(short) == realBegin-len(streamMagic) {
			return a.fail("cannot receive", "invalid stream (bad magic number)")
		}
		return a.fail("cannot receive", "failed to read from stream")
	}
	var newTop *string
	code := 0
	wrapped, many := false, false
	sendFS := ""
	for {
		kind, payload, err := r.next()
		if err != nil {
			if code == 0 {
				a.fail("cannot receive", "failed to read from stream")
			}
			return 1
		}
		switch kind {
		case recPackage:
			var p packageRecord
			if json.Unmarshal(payload, &p) != nil {
				return a.fail("cannot receive", "invalid stream (malformed nvlist)")
			}
			wrapped, many = true, p.Many
			sendFS, _, _ = strings.Cut(p.ToName, "@")
			continue
		case recClose:
		case recBegin:
			var b beginRecord
			if json.Unmarshal(payload, &b) != nil {
				return a.fail("cannot receive", "invalid stream (malformed nvlist)")
			}
			if sendFS == "" {
				sendFS, _, _ = strings.Cut(b.ToName, "@")
			}
			if many && strings.Contains(f.target, "@") {
				return a.fail("cannot receive", "cannot specify snapshot name for multi-snapshot stream")
			}
			made, err := a.receiveOne(r, b, f, sendFS)
			if made != "" {
				newTop = &made
			}
			if err != nil {
				var re *recvError
				if errors.As(err, &re) {
					a.fail(re.what, re.why)
				} else {
					a.failf("zfssim: %v", err)
				}
				return 1
			}
		default:
			return a.fail("cannot receive", "invalid stream (bad magic number)")
		}
		if !wrapped || kind == recClose {
			break
		}
	}
	io.Copy(io.Discard, r.r) // let the sender finish
	if newTop != nil && !f.noMount && !f.dry {
		code = a.mountReceived(*newTop)
	}
	return code
}

func (a *app) mountReceived(name string) int {
	if !a.begin(true) {
		return 1
	}
	o, ok := a.store.find(name)
	if !ok || o.ds.Volume || !o.ds.mountable() {
		return 0
	}
	if !a.tryMount(o.ds, false) {
		a.commit()
		return 1
	}
	if !a.commit() {
		return 1
	}
	return 0
}

// destination is where one stream of a receive goes.
func destination(b beginRecord, f receiveFlags, sendFS string) (ds, snap string) {
	from, snap, _ := strings.Cut(b.ToName, "@")
	rest := strings.TrimPrefix(from, sendFS)
	if to, s, ok := strings.Cut(f.target, "@"); ok {
		return to, s
	}
	switch {
	case f.tail:
		rest = "/" + from[strings.LastIndexByte(from, '/')+1:]
	case f.prefix:
		rest = ""
		if i := strings.IndexByte(from, '/'); i >= 0 {
			rest = from[i:]
		}
	}
	return f.target + rest, snap
}

// receiveOne receives one snapshot; made is the name of a filesystem that is
// new and wants to be mounted.
func (a *app) receiveOne(r *recordReader, b beginRecord, f receiveFlags, sendFS string) (made string, err error) {
	ds, snap := destination(b, f, sendFS)
	if why := checkName(ds+"@"+snap, kindSnapshot, false); why != "" {
		return "", &recvError{"cannot receive", "invalid name"}
	}
	if !a.begin(true) {
		return "", errors.New("no store")
	}
	t, err := a.prepare(b, f, ds, snap)
	if err != nil {
		a.store.end()
		return "", err
	}
	if f.verbose {
		verb, kind := "receiving", "full"
		if f.dry {
			verb = "would receive"
		}
		if b.FromGUID != 0 {
			kind = "incremental"
		}
		fmt.Fprintf(a.out, "%s %s stream of %s into %s@%s\n", verb, kind, b.ToName, ds, snap)
		a.out.Flush()
	}
	if f.dry || t.skip {
		if t.skip && f.verbose {
			fmt.Fprintf(a.out, "snap %s@%s already exists; ignoring\n", ds, snap)
		}
		a.store.end()
		return "", skipStream(r)
	}
	if err := a.store.commit(); err != nil {
		return "", err
	}
	a.store.end()
	defer t.stage.close()
	started := a.store.m.Now()
	rerr := t.read(a, r, b)
	if !a.begin(true) {
		return "", errors.New("no store")
	}
	if rerr == nil {
		rerr = a.finishReceive(t, b, f, ds, snap)
	}
	if rerr != nil {
		return "", a.receiveFailed(t, rerr, ds)
	}
	if err := a.store.commit(); err != nil {
		return "", err
	}
	a.store.end()
	if f.verbose {
		took := a.store.m.Now().Sub(started).Seconds()
		fmt.Fprintf(a.out, "received %s stream in %.2f seconds (%s/sec)\n", niceBytes(t.stage.bytes), took,
			niceBytes(uint64(float64(t.stage.bytes)/took)))
	}
	if t.newFS {
		return ds, nil
	}
	return "", nil
}
