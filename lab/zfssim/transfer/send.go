package transfer

import (
	"fmt"
	"io"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/machine"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
	"github.com/understudy-ha/understudy/lab/zfssim/stream"
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
	begin   stream.BeginRecord
	base    machine.Manifest
	to      machine.Manifest
	files   []stream.FileRecord
	removed [][]byte
	size    uint64
	chunks  store.ChunkStore
	fromRef string // as it is printed
	name    string
	release func()
	head    []uint32 // types of records, where it is a dataset itself that is sent
}

// Send is zfs send.
func Send(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "i:I:RsDpVvnPLeht:cwbd:SX:")
	if !ok {
		return 2
	}
	var f sendFlags
	for _, o := range opts {
		switch o.Flag {
		case 'i', 'I':
			if f.from != "" {
				return a.Usage()
			}
			f.from, f.all = o.Arg, o.Flag == 'I'
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
			f.token = o.Arg
		case 'R', 's', 'b', 'h', 'S', 'd', 'X':
			fmt.Fprintf(a.Err, "zfssim: send -%c is not simulated: the project sends each dataset by itself\n", o.Flag)
			return 2
		}
	}
	if f.parsable && f.verbose == 0 {
		f.verbose = 1
	}
	if f.token != "" {
		if f.from != "" || f.props {
			return a.UsageError("invalid flags combined with -t")
		}
		if len(rest) > 0 {
			return a.UsageError("too many arguments")
		}
	} else if len(rest) < 1 {
		return a.UsageError("missing snapshot argument")
	} else if len(rest) > 1 {
		return a.UsageError("too many arguments")
	}
	if a.OutTerminal && !f.dry {
		return a.Failf("Error: Stream can not be written to a terminal.\nYou must redirect standard output.")
	}
	if !a.Begin(true) {
		return 1
	}
	var steps []*sendStep
	var code int
	switch {
	case f.token != "":
		steps, code = planResume(a, f)
	case f.all:
		steps, code = planAll(a, f, rest[0])
	default:
		steps, code = planOne(a, f, rest[0])
	}
	if code != 0 {
		return code
	}
	info := a.Err
	if f.dry {
		info = a.Out
	}
	if f.verbose > 0 {
		printEstimate(a, info, steps, f)
	}
	defer func() {
		for _, s := range steps {
			s.release()
		}
	}()
	if f.dry {
		return 0
	}
	if !a.Commit() {
		return 1
	}
	if head := steps[0].head; head != nil {
		return streamHead(a, head)
	}
	return writeStream(a, steps, f)
}

func printEstimate(a *app.App, w io.Writer, steps []*sendStep, f sendFlags) {
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
			fmt.Fprintf(w, " estimated size is %s", model.NiceBytes(s.size))
		}
		fmt.Fprintln(w)
	}
	if f.parsable {
		fmt.Fprintf(w, "size\t%d\n", total)
	} else {
		fmt.Fprintf(w, "total estimated size is %s\n", model.NiceBytes(total))
	}
}
