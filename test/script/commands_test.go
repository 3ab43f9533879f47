package script_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// patience bounds every program that a script's command starts.
const patience = 5 * time.Minute

// commands are what the scripts need beyond testscript's own:
//
//	pool NAME SIZE [OPTION...]     make a pool on a file, mounted at $MNT/NAME
//	prints TEXT CMD...             the command prints exactly TEXT, and no error
//	fails CODE TEXT CMD...         the command exits with CODE and prints exactly
//	                               TEXT as its error; a TEXT ending in ... may go on
//	prop OBJECT PROPERTY VAR       put a property into an environment variable
//	same A B, differ A B           compare two texts
//	pipe CMD... | CMD...           a pipeline; "cut N" as a stage passes N bytes on;
//	                               it succeeds when its last command does
//	feed N FILE CMD...             give a command N bytes of a file, then kill it
//	data FILE SIZE SEED            write a file of data that cannot be compressed
//	append FILE TEXT               write a line at the end of a file
//	samedata A B                   compare two folders: names, contents, modes, times
//	zvolwrite VOLUME OFFSET TEXT   write to a volume
//	zvolread VOLUME OFFSET TEXT    check what a volume has
//	waitfor DURATION CMD...        repeat a command until it succeeds
//	fault LINE...                  set the simulator's faults
//	omitted TEXT                   say that a section is not run here
//	fill FILE...                   replace $VAR in files of the script
//
// In TEXT, $VAR is replaced also within quotes, and \n and \t are a new line
// and a tab.
func commands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"pool": cmdPool, "prints": cmdPrints, "fails": cmdFails, "prop": cmdProp, "same": cmdSame, "differ": cmdDiffer,
		"pipe": cmdPipe, "feed": cmdFeed, "data": cmdData, "append": cmdAppend, "samedata": cmdSameData,
		"zvolwrite": cmdZvolWrite, "zvolread": cmdZvolRead, "waitfor": cmdWaitFor, "fault": cmdFault, "omitted": cmdOmitted,
		"fill": cmdFill,
	}
}

// need stops the script when a command is called wrongly.
func need(ts *testscript.TestScript, neg bool, ok bool, usage string) {
	if neg || !ok {
		ts.Fatalf("usage: %s", usage)
	}
}

func expand(ts *testscript.TestScript, text string) string {
	text = os.Expand(text, ts.Getenv)
	return strings.NewReplacer(`\n`, "\n", `\t`, "\t").Replace(text)
}

// command prepares a program with the script's environment and folder.
func command(ctx context.Context, ts *testscript.TestScript, args []string) *exec.Cmd {
	path := args[0]
	if !strings.Contains(path, "/") {
		for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
			p := filepath.Join(dir, args[0])
			if st, err := os.Stat(p); err == nil && !st.IsDir() && st.Mode()&0o111 != 0 {
				path = p
				break
			}
		}
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Dir = ts.MkAbs(".")
	for _, n := range ts.Value(scriptKey{}).(*script).names {
		cmd.Env = append(cmd.Env, n+"="+ts.Getenv(n))
	}
	for _, n := range laterNames() {
		if v := ts.Getenv(n); v != "" {
			cmd.Env = append(cmd.Env, n+"="+v)
		}
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// laterNames are variables that scripts set themselves with env: testscript
// does not tell which there are.
func laterNames() []string {
	return []string{"UNDERSTUDY_CONFIG", "UNDERSTUDY_NODE", "UNDERSTUDY_STATE_DIR", "UNDERSTUDY_RUN_DIR", "SSH_ORIGINAL_COMMAND"}
}

// run starts a program and returns what it printed and its exit code.
func run(ts *testscript.TestScript, args []string) (stdout, stderr string, code int) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := command(ctx, ts, args)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), errs.String(), exit.ExitCode()
	}
	ts.Check(err)
	return out.String(), errs.String(), 0
}

func cmdPool(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2, "pool NAME SIZE [OPTION...]")
	name := args[0]
	file := ts.MkAbs(name + ".vdev")
	size, err := strconv.ParseInt(strings.TrimSuffix(args[1], "M"), 10, 64)
	ts.Check(err)
	f, err := os.Create(file)
	ts.Check(err)
	ts.Check(errors.Join(f.Truncate(size<<20), f.Close()))
	s := ts.Value(scriptKey{}).(*script)
	s.pools = append(s.pools, name)
	create := append([]string{"zpool", "create", "-f", "-m", filepath.Join(ts.Getenv("MNT"), name)}, args[2:]...)
	if _, errs, code := run(ts, append(create, name, file)); code != 0 {
		ts.Fatalf("make pool %s: exit code %d: %s", name, code, errs)
	}
}

func cmdPrints(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2, "prints TEXT CMD...")
	want := expand(ts, args[0])
	if want != "" {
		want += "\n"
	}
	out, errs, code := run(ts, args[1:])
	if code != 0 || errs != "" {
		ts.Fatalf("exit code %d, error: %s", code, errs)
	}
	if out != want {
		ts.Fatalf("printed:\n%sinstead of:\n%s", out, want)
	}
}

func cmdFails(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 3, "fails CODE TEXT CMD...")
	want := expand(ts, args[1])
	start, open := strings.CutSuffix(want, "...")
	out, errs, code := run(ts, args[2:])
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d instead of %s; printed: %s error: %s", code, args[0], out, errs)
	}
	if open && strings.HasPrefix(errs, start) || errs == want+"\n" || errs == want {
		return
	}
	ts.Fatalf("error:\n%sinstead of:\n%s", errs, want)
}

func cmdProp(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "prop OBJECT PROPERTY VAR")
	out, errs, code := run(ts, []string{"zfs", "get", "-Hp", "-o", "value", args[1], args[0]})
	if code != 0 {
		ts.Fatalf("read %s of %s: %s", args[1], args[0], errs)
	}
	ts.Setenv(args[2], strings.TrimSpace(out))
}

func cmdSame(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "same A B")
	if args[0] != args[1] || args[0] == "" {
		ts.Fatalf("%q and %q differ", args[0], args[1])
	}
}

func cmdDiffer(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "differ A B")
	if args[0] == args[1] {
		ts.Fatalf("both are %q", args[0])
	}
}

func cmdPipe(ts *testscript.TestScript, neg bool, args []string) {
	var stages [][]string
	stage := []string{}
	for _, a := range append(args, "|") {
		if a != "|" {
			stage = append(stage, a)
			continue
		}
		need(ts, false, len(stage) > 0, "pipe CMD... | CMD...")
		stages = append(stages, stage)
		stage = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var errs bytes.Buffer
	serr := &lockedWriter{w: &errs}
	var in *os.File
	var wait []func() error
	for i, st := range stages {
		var r, w *os.File
		var err error
		last := i == len(stages)-1
		if !last {
			r, w, err = os.Pipe()
			ts.Check(err)
		}
		if st[0] == "cut" {
			need(ts, false, len(st) == 2 && in != nil && !last, "… | cut BYTES | …")
			n, err := strconv.ParseInt(st[1], 10, 64)
			ts.Check(err)
			from, to, done := in, w, make(chan error, 1)
			go func() {
				_, err := io.CopyN(to, from, n)
				to.Close()
				from.Close()
				if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) {
					err = nil
				}
				done <- err
			}()
			wait = append(wait, func() error { return <-done })
		} else {
			cmd := command(ctx, ts, st)
			cmd.Stderr = serr
			if in != nil {
				cmd.Stdin = in
			}
			cmd.Stdout = ts.Stdout()
			if !last {
				cmd.Stdout = w
			}
			ts.Check(cmd.Start())
			if in != nil {
				in.Close()
			}
			if w != nil {
				w.Close()
			}
			wait = append(wait, cmd.Wait)
		}
		in = r
	}
	var result error
	for _, fn := range wait {
		result = fn()
	}
	ts.Stderr().Write(errs.Bytes())
	if neg && result == nil {
		ts.Fatalf("unexpected success")
	}
	if !neg && result != nil {
		ts.Fatalf("%v: %s", result, errs.String())
	}
}

// lockedWriter lets several programs write their errors to one place.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func cmdFeed(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 3, "feed BYTES FILE CMD...")
	n, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	f, err := os.Open(ts.MkAbs(args[1]))
	ts.Check(err)
	defer f.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := command(ctx, ts, args[2:])
	in, err := cmd.StdinPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	_, err = io.CopyN(in, f, n)
	ts.Check(err)
	time.Sleep(time.Second) // let it take in what is in the pipe
	ts.Check(cmd.Process.Kill())
	cmd.Wait() // killed, as we wanted
}

func cmdData(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "data FILE SIZE SEED")
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	seed, err := strconv.ParseUint(args[2], 10, 64)
	ts.Check(err)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	defer alone()()
	f, err := os.Create(ts.MkAbs(args[0]))
	ts.Check(err)
	_, err = io.CopyN(f, rand.NewChaCha8(key), size)
	ts.Check(errors.Join(err, f.Close()))
}

func cmdAppend(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "append FILE TEXT")
	defer alone()()
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	ts.Check(err)
	_, err = f.WriteString(args[1] + "\n")
	ts.Check(errors.Join(err, f.Close()))
}

func cmdSameData(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 2, "samedata A B")
	a, b := fingerprint(ts, ts.MkAbs(args[0])), fingerprint(ts, ts.MkAbs(args[1]))
	if a != b {
		ts.Fatalf("%s:\n%s\n%s:\n%s", args[0], a, args[1], b)
	}
	if strings.Count(a, "\n") < 2 {
		ts.Fatalf("%s and %s are empty", args[0], args[1])
	}
}

// alone keeps other tests of this process from starting a program while files are
// open here: for a moment that one would have them open too, and what is unmounted or
// destroyed next would be busy.
func alone() (end func()) {
	syscall.ForkLock.RLock()
	return syscall.ForkLock.RUnlock
}

// fingerprint describes everything in a folder, a line each.
func fingerprint(ts *testscript.TestScript, dir string) string {
	defer alone()()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%q %v %s", strings.TrimPrefix(path, dir), info.Mode(), info.ModTime().UTC().Format(time.RFC3339Nano))
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %q", to)
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			h := 0
			for _, c := range data {
				h = h*131 + int(c)
			}
			fmt.Fprintf(&b, " %d %x", len(data), uint64(h))
		}
		b.WriteByte('\n')
		return nil
	})
	ts.Check(err)
	return b.String()
}

// openVolume finds the device of a volume. Without udev there are no links to
// the devices, so on a real pool each is asked for its name.
func openVolume(ts *testscript.TestScript, name string, flag int) *os.File {
	if !onReal() {
		f, err := os.OpenFile(filepath.Join(ts.Getenv("ZVOL"), name), flag, 0)
		ts.Check(err)
		return f
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		devices, err := filepath.Glob("/dev/zd*")
		ts.Check(err)
		for _, dev := range devices {
			f, err := os.OpenFile(dev, flag, 0)
			if err != nil {
				continue
			}
			if volumeName(f) == name {
				return f
			}
			f.Close()
		}
		if time.Now().After(deadline) {
			ts.Fatalf("no device of volume %s among %v", name, devices)
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func cmdZvolWrite(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "zvolwrite VOLUME OFFSET TEXT")
	off, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f := openVolume(ts, args[0], os.O_RDWR)
	_, err = f.WriteAt([]byte(args[2]), off)
	ts.Check(errors.Join(err, f.Sync(), f.Close()))
}

func cmdZvolRead(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 3, "zvolread VOLUME OFFSET TEXT")
	off, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f := openVolume(ts, args[0], os.O_RDONLY)
	defer f.Close()
	got := make([]byte, len(args[2]))
	_, err = f.ReadAt(got, off)
	ts.Check(err)
	if string(got) != args[2] {
		ts.Fatalf("%s has %q at %d, not %q", args[0], got, off, args[2])
	}
}

func cmdWaitFor(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) >= 2, "waitfor DURATION CMD...")
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	deadline := time.Now().Add(limit)
	for {
		_, errs, code := run(ts, args[1:])
		if code == 0 {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("still exit code %d after %s: %s", code, limit, errs)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func cmdFault(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, !onReal(), "fault LINE... (only on the simulator)")
	root := ts.Getenv("ZFSSIM_ROOT")
	ts.Check(os.MkdirAll(root, 0o755))
	ts.Check(os.WriteFile(filepath.Join(root, "faults"), []byte(strings.Join(args, "\n")+"\n"), 0o644))
	if err := os.Remove(filepath.Join(root, "faults.used")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		ts.Check(err)
	}
}

func cmdOmitted(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) == 1, "omitted TEXT")
	ts.Logf("NOT RUN HERE: %s", args[0])
}

func cmdFill(ts *testscript.TestScript, neg bool, args []string) {
	need(ts, neg, len(args) > 0, "fill FILE...")
	for _, name := range args {
		file := ts.MkAbs(name)
		data, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(os.WriteFile(file, []byte(expand(ts, string(data))), 0o644))
	}
}

// volumeName asks a device which volume it is; empty if it is none.
func volumeName(f *os.File) string {
	const blkZName = 0x8100127d // _IOR(0x12, 125, char[256])
	name := make([]byte, 256)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), blkZName, uintptr(unsafe.Pointer(&name[0]))); errno != 0 {
		return ""
	}
	text, _, _ := bytes.Cut(name, []byte{0})
	return string(text)
}
