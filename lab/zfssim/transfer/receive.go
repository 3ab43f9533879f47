package transfer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/stream"
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

// Receive is zfs receive.
func Receive(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "o:x:dehMnuvFsAc")
	if !ok {
		return 2
	}
	f := receiveFlags{set: map[string]string{}, exclude: map[string]bool{}}
	abort := false
	for _, o := range opts {
		switch o.Flag {
		case 'o':
			n, v, ok := app.SplitProperty(o.Arg)
			if !ok {
				return a.UsageError("missing '=' for property=value argument")
			}
			if _, twice := f.set[n]; twice || f.exclude[n] {
				return a.UsageError("property '%s' specified multiple times", n)
			}
			if n == "origin" {
				f.origin = v
				continue
			}
			f.set[n] = v
		case 'x':
			if strings.Contains(o.Arg, "=") {
				return a.UsageError("invalid character '=' in property argument")
			}
			if _, twice := f.set[o.Arg]; twice || f.exclude[o.Arg] {
				return a.UsageError("property '%s' specified multiple times", o.Arg)
			}
			f.exclude[o.Arg] = true
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
			fmt.Fprintln(a.Err, "zfssim: receive -F destroys data, and this project never uses it")
			return 2
		case 'c', 'M', 'h':
			fmt.Fprintf(a.Err, "zfssim: receive -%c is not simulated\n", o.Flag)
			return 2
		}
	}
	switch {
	case len(rest) < 1:
		return a.UsageError("missing snapshot argument")
	case len(rest) > 1:
		return a.UsageError("too many arguments")
	}
	f.target = rest[0]
	if abort {
		if f.prefix || f.dry || f.resumable || f.noMount {
			return a.UsageError("invalid option")
		}
		return abortReceive(a, f.target)
	}
	if a.InTerminal {
		return a.Failf("Error: Backup stream can not be read from a terminal.\nYou must redirect standard input.")
	}
	return receiveStream(a, f)
}

func abortReceive(a *app.App, name string) int {
	if !a.Begin(true) {
		return 1
	}
	o, ok := a.Open(name, model.FsVol)
	if !ok {
		return a.Usage()
	}
	d := o.DS
	if a.Store.ResumeToken(d) == "" {
		return a.Failf("'%s' does not have any resumable receive state to abort", name)
	}
	if a.Store.Receiving(d) {
		return a.Fail(fmt.Sprintf("cannot destroy '%s/%%recv'", name), "dataset is busy")
	}
	p, family := d.Pool, d.Family
	if err := a.Store.Abandon(d); err != nil {
		return a.Failf("zfssim: %v", err)
	}
	a.Store.Later(func() error { return a.Store.Sweep(p, map[string]bool{family: true}) })
	if !a.Commit() {
		return 1
	}
	return 0
}

// receiveStream reads a stream from standard input.
func receiveStream(a *app.App, f receiveFlags) int {
	if why := checkReceiveProps(f); why != "" {
		return a.Fail("cannot receive", why)
	}
	if f.origin != "" || f.prefix {
		if !a.Begin(false) {
			return 1
		}
		if _, ok := a.Store.Find(f.target); f.prefix && !ok {
			return a.Fail("cannot receive", fmt.Sprintf("specified fs (%s) does not exist", f.target))
		}
		if o, ok := a.Store.Find(f.origin); f.origin != "" && (!ok || o.Mark != nil) {
			return a.Fail("cannot receive", fmt.Sprintf("specified origin fs (%s) does not exist", f.origin))
		}
		a.Store.End()
	}
	r := stream.NewRecordReader(a.In)
	if err := r.Start(); err != nil {
		short, _ := r.R.Peek(realBegin - len(stream.StreamMagic))
		if errors.Is(err, stream.ErrMagic) && len(short) == realBegin-len(stream.StreamMagic) {
			return a.Fail("cannot receive", "invalid stream (bad magic number)")
		}
		return a.Fail("cannot receive", "failed to read from stream")
	}
	var newTop *string
	code := 0
	wrapped, many := false, false
	sendFS := ""
	for {
		kind, payload, err := r.Next()
		if err != nil {
			if code == 0 {
				a.Fail("cannot receive", "failed to read from stream")
			}
			return 1
		}
		switch kind {
		case stream.RecPackage:
			var p stream.PackageRecord
			if json.Unmarshal(payload, &p) != nil {
				return a.Fail("cannot receive", "invalid stream (malformed nvlist)")
			}
			wrapped, many = true, p.Many
			sendFS, _, _ = strings.Cut(p.ToName, "@")
			continue
		case stream.RecClose:
		case stream.RecBegin:
			var b stream.BeginRecord
			if json.Unmarshal(payload, &b) != nil {
				return a.Fail("cannot receive", "invalid stream (malformed nvlist)")
			}
			if sendFS == "" {
				sendFS, _, _ = strings.Cut(b.ToName, "@")
			}
			if many && strings.Contains(f.target, "@") {
				return a.Fail("cannot receive", "cannot specify snapshot name for multi-snapshot stream")
			}
			made, err := receiveOne(a, r, b, f, sendFS)
			if made != "" {
				newTop = &made
			}
			if err != nil {
				var re *recvError
				if errors.As(err, &re) {
					a.Fail(re.what, re.why)
				} else {
					a.Failf("zfssim: %v", err)
				}
				return 1
			}
		default:
			return a.Fail("cannot receive", "invalid stream (bad magic number)")
		}
		if !wrapped || kind == stream.RecClose {
			break
		}
	}
	io.Copy(io.Discard, r.R) // let the sender finish
	if newTop != nil && !f.noMount && !f.dry {
		code = mountReceived(a, *newTop)
	}
	return code
}

func mountReceived(a *app.App, name string) int {
	if !a.Begin(true) {
		return 1
	}
	o, ok := a.Store.Find(name)
	if !ok || o.DS.Volume || !o.DS.Mountable() {
		return 0
	}
	if !a.TryMount(o.DS, false) {
		a.Commit()
		return 1
	}
	if !a.Commit() {
		return 1
	}
	return 0
}

// destination is where one stream of a receive goes.
func destination(b stream.BeginRecord, f receiveFlags, sendFS string) (ds, snap string) {
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
func receiveOne(a *app.App, r *stream.RecordReader, b stream.BeginRecord, f receiveFlags, sendFS string) (made string, err error) {
	ds, snap := destination(b, f, sendFS)
	if why := model.CheckName(ds+"@"+snap, model.KindSnapshot, false); why != "" {
		return "", &recvError{"cannot receive", "invalid name"}
	}
	if !a.Begin(true) {
		return "", errors.New("no store")
	}
	t, err := prepare(a, b, f, ds, snap)
	if err != nil {
		a.Store.End()
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
		fmt.Fprintf(a.Out, "%s %s stream of %s into %s@%s\n", verb, kind, b.ToName, ds, snap)
		a.Out.Flush()
	}
	if f.dry || t.skip {
		if t.skip && f.verbose {
			fmt.Fprintf(a.Out, "snap %s@%s already exists; ignoring\n", ds, snap)
		}
		a.Store.End()
		return "", skipStream(r)
	}
	if err := a.Store.Commit(); err != nil {
		return "", err
	}
	a.Store.End()
	defer t.stage.Close()
	started := a.Store.M.Now()
	rerr := t.read(a, r, b)
	if !a.Begin(true) {
		return "", errors.New("no store")
	}
	if rerr == nil {
		rerr = finishReceive(a, t, b, f, ds, snap)
	}
	if rerr != nil {
		return "", receiveFailed(a, t, rerr, ds)
	}
	if err := a.Store.Commit(); err != nil {
		return "", err
	}
	a.Store.End()
	if f.verbose {
		took := a.Store.M.Now().Sub(started).Seconds()
		fmt.Fprintf(a.Out, "received %s stream in %.2f seconds (%s/sec)\n", model.NiceBytes(t.stage.Bytes), took,
			model.NiceBytes(uint64(float64(t.stage.Bytes)/took)))
	}
	if t.newFS {
		return ds, nil
	}
	return "", nil
}
