package main

import (
	"fmt"
	"io"
	"strings"
)

// sendFlags are the flags of zfs send.
type sendFlags struct {
	from                   string
	all                    bool // -I
	props                  bool
	raw                    bool
	compress, large, embed bool
	parsable, dry          bool
	verbose                int
	token                  string
}

// sendStep is the stream of one snapshot, planned under the lock.
type sendStep struct {
	begin   beginRecord
	base    manifest
	to      manifest
	files   []fileRecord
	removed [][]byte
	size    uint64
	chunks  chunkStore
	fromRef string // as it is printed
	name    string
	release func()
	head    []uint32 // types of records, where it is a dataset itself that is sent
}

func cmdSend(a *app, args []string) int {
	opts, rest, ok := a.parseOptions(args, "i:I:RsDpVvnPLeht:cwbd:SX:")
	if !ok {
		return 2
	}
	var f sendFlags
	for _, o := range opts {
		switch o.flag {
		case 'i', 'I':
			if f.from != "" {
				return a.usage()
			}
			f.from, f.all = o.arg, o.flag == 'I'
		case 'p':
			f.props = true
		case 'P':
			f.parsable = true
		case 'v':
			f.verbose++
		case 'n':
			f.dry = true
		case 'L':
			f.large = true
		case 'e':
			f.embed = true
		case 'c':
			f.compress = true
		case 'w':
			f.raw, f.compress, f.embed, f.large = true, true, true, true
		case 't':
			f.token = o.arg
		case 'R', 's', 'b', 'h', 'S', 'd', 'X':
			fmt.Fprintf(a.err, "zfssim: send -%c is not simulated: the project sends each dataset by itself\n", o.flag)
			return 2
		}
	}
	if f.parsable && f.verbose == 0 {
		f.verbose = 1
	}
	if f.token != "" {
		if f.from != "" || f.props {
			return a.usageError("invalid flags combined with -t")
		}
		if len(rest) > 0 {
			return a.usageError("too many arguments")
		}
	} else if len(rest) < 1 {
		return a.usageError("missing snapshot argument")
	} else if len(rest) > 1 {
		return a.usageError("too many arguments")
	}
	if a.outTerminal && !f.dry {
		return a.failf("Error: Stream can not be written to a terminal.\nYou must redirect standard output.")
	}
	if !a.begin(true) {
		return 1
	}
	var steps []*sendStep
	var code int
	switch {
	case f.token != "":
		steps, code = a.planResume(f)
	case f.all:
		steps, code = a.planAll(f, rest[0])
	default:
		steps, code = a.planOne(f, rest[0])
	}
	if code != 0 {
		return code
	}
	info := a.err
	if f.dry {
		info = a.out
	}
	if f.verbose > 0 {
		a.printEstimate(info, steps, f)
	}
	defer func() {
		for _, s := range steps {
			s.release()
		}
	}()
	if f.dry {
		return 0
	}
	if !a.commit() {
		return 1
	}
	if head := steps[0].head; head != nil {
		return a.streamHead(head)
	}
	return a.stream(steps, f)
}

func (a *app) printEstimate(w io.Writer, steps []*sendStep, f sendFlags) {
	total := uint64(0)
	for _, s := range steps {
		total += s.size
		if f.parsable {
			if s.fromRef != "" {
				fmt.Fprintf(w, "incremental\t%s\t%s\t%d\n", s.fromRef, s.name, s.size)
			} else {
				fmt.Fprintf(w, "full\t%s\t%d\n", s.name, s.size)
			}
			continue
		}
		if s.fromRef != "" {
			from := s.fromRef
			if !strings.ContainsAny(from, "@#") {
				from = "@" + from
			}
			fmt.Fprintf(w, "send from %s to %s", from, s.name)
		} else {
			fmt.Fprintf(w, "full send of %s", s.name)
		}
		if s.size != 0 {
			fmt.Fprintf(w, " estimated size is %s", niceBytes(s.size))
		}
		fmt.Fprintln(w)
	}
	if f.parsable {
		fmt.Fprintf(w, "size\t%d\n", total)
	} else {
		fmt.Fprintf(w, "total estimated size is %s\n", niceBytes(total))
	}
}
