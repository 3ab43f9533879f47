package command

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/understudy-ha/understudy/lab/zfssim/app"
	"github.com/understudy-ha/understudy/lab/zfssim/model"
	"github.com/understudy-ha/understudy/lab/zfssim/store"
)

func cmdCreate(a *app.App, args []string) int {
	opts, rest, ok := a.ParseOptions(args, "b:PnpsuvV:o:")
	if !ok {
		return 2
	}
	props := map[string]string{}
	parents, noMount, dry, verbose, parsable, sparse, volume := false, false, false, false, false, false, false
	for _, o := range opts {
		switch o.Flag {
		case 'p':
			parents = true
		case 'u':
			noMount = true
		case 'n':
			dry = true
		case 'v':
			verbose = true
		case 'P':
			parsable, verbose = true, true
		case 's':
			sparse = true
		case 'b':
			props["volblocksize"] = o.Arg
		case 'V':
			volume = true
			n, ok := model.ParseNumber(o.Arg)
			if !ok {
				if c := o.Arg[0]; c < '0' || c > '9' {
					return a.Failf("bad volume size '%s': bad numeric value '%s'", o.Arg, o.Arg)
				}
				return a.Failf("bad volume size '%s': invalid numeric suffix '%s'", o.Arg, strings.TrimLeft(o.Arg, "0123456789."))
			}
			props["volsize"] = strconv.FormatUint(n, 10)
		case 'o':
			n, v, ok := app.SplitProperty(o.Arg)
			if !ok {
				return a.UsageError("missing '=' for property=value argument")
			}
			if _, twice := props[n]; twice {
				return a.UsageError("property '%s' specified multiple times", n)
			}
			props[n] = v
		}
	}
	switch {
	case len(rest) == 0:
		return a.UsageError("missing %s argument", map[bool]string{true: "volume", false: "filesystem"}[volume])
	case len(rest) > 1:
		return a.UsageError("too many arguments")
	}
	name := rest[0]
	what := fmt.Sprintf("cannot create '%s'", name)
	kind := model.KindFilesystem
	if volume {
		kind = model.KindVolume
	}
	if why := model.CheckName(name, kind, true); why != "" {
		return a.Fail(what, why)
	}
	if !a.Begin(true) {
		return 1
	}
	if _, exists := a.Store.Find(name); exists {
		if parents {
			return 0
		}
		return a.Fail(what, "dataset already exists")
	}
	if parents && !dry && !a.CreateAncestors(name) {
		return 1
	}
	parent, why := a.CheckParent(name)
	if why != "" && !(dry && parents) {
		return a.Fail(what, why)
	}
	checked, ok := a.CheckProperties(what, props, kind)
	if !ok {
		return 1
	}
	if verbose {
		verb := "create"
		if !parsable {
			verb = map[bool]string{true: "would create ", false: "create "}[dry] + name
			fmt.Fprintln(a.Out, verb)
		} else {
			fmt.Fprintf(a.Out, "create\t%s\n", name)
		}
		for _, n := range slices.Sorted(maps.Keys(checked)) {
			if parsable {
				fmt.Fprintf(a.Out, "property\t%s\t%s\n", n, checked[n])
			} else {
				fmt.Fprintf(a.Out, "\t%s=%s\n", n, checked[n])
			}
		}
	}
	if dry {
		return 0
	}
	if volume {
		size, _ := strconv.ParseUint(checked["volsize"], 10, 64)
		block := uint64(16384)
		if b, ok := checked["volblocksize"]; ok {
			block, _ = strconv.ParseUint(b, 10, 64)
		}
		size = (size + block - 1) / block * block
		checked["volsize"] = strconv.FormatUint(size, 10)
		if !sparse {
			if store.NewView(a.Store, a.Err).Available(parent) < size {
				return a.Fail(what, "out of space")
			}
			checked["refreservation"] = strconv.FormatUint(volumeReserve(size), 10)
		}
	}
	d := a.Store.NewDataset(parent.Pool, name, volume)
	d.Local, d.Live = checked, true
	if !a.SetupCrypt(d, parent, checked, what) || !a.MakeLive(d) {
		return 1
	}
	code := 0
	if !noMount && d.Mountable() && !a.TryMount(d, false) {
		fmt.Fprintln(a.Err, "filesystem successfully created, but not mounted")
		code = 1
	}
	if !a.Commit() {
		return 1
	}
	return code
}

// volumeReserve is what a volume reserves: its size and a part for what
// describes the blocks.
func volumeReserve(size uint64) uint64 { return size + size/32 + 1<<20 }
