package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/understudy-ha/understudy/drill"
	"github.com/understudy-ha/understudy/lab"
	"github.com/understudy-ha/understudy/pkg/replicate/plan"
	"github.com/understudy-ha/understudy/pkg/report"
)

// The cut stream: large enough to be cut in its middle, and slowed down so that
// it is the same on a fast and on a slow machine.
const (
	bigBytes  = 32 << 20
	bandwidth = 8 << 20 // bytes per second
	stall     = 5 * time.Second
	big       = drill.Pool + "/media"
)

// demo is one run of the demo.
type demo struct {
	*screen
	site     *drill.Site
	takeover takeover
}

func show(ctx context.Context, s *screen) (err error) {
	if os.Geteuid() != 0 {
		return needsRoot{}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Minute, errors.New("the demo took more than 30 minutes"))
	defer cancel()
	began := time.Now()
	kind := drill.Kind()
	dir, err := os.MkdirTemp("", "understudy-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the programs: %w", err)
	}
	defer os.RemoveAll(dir)

	s.line(s.styled(bold, "Understudy") + ": node a is active; its standby b has all the data and takes over")
	d := &demo{screen: s}
	if err := d.up(ctx, kind, dir); err != nil {
		return err
	}
	defer func() {
		if downErr := d.site.Down(); downErr != nil {
			err = errors.Join(err, fmt.Errorf("remove the nodes: %w", downErr))
		}
	}()
	for _, step := range []func(context.Context) error{d.fill, d.first, d.change, d.again, d.unchanged, d.cut, d.resume, d.compare, d.start, d.write, d.pull, d.check, d.timeline} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return d.explain(ctx, kind, began)
}

// needsRoot tells how to start the demo.
type needsRoot struct{}

func (needsRoot) Error() string { return "the demo makes network namespaces, which needs root" }
func (needsRoot) Hint() string  { return "sudo make demo" }

func (d *demo) up(ctx context.Context, kind lab.Kind, dir string) error {
	d.step("Two nodes start")
	programs, err := drill.BuildSite(ctx, kind, dir)
	if err != nil {
		return err
	}
	d.say("programs built in %s", report.Duration(time.Since(d.began)))
	d.site, err = drill.SiteUp(ctx, drill.SiteOptions{Kind: kind, Programs: programs, Log: d.screen})
	if err != nil {
		return err
	}
	// The first half is replication alone, of the whole pool.
	if err := d.site.Configure(ctx, nil); err != nil {
		return errors.Join(err, d.site.Down())
	}
	d.done("a %s, the active node; b %s, its standby", d.site.A.Address(), d.site.B.Address())
	return nil
}

func (d *demo) fill(ctx context.Context) error {
	d.step("Node a gets a pool with five datasets and real files")
	text, err := drill.Shell(ctx, d.site.A, fillScript)
	if err != nil {
		return fmt.Errorf("fill the pool: %w", err)
	}
	for line := range strings.Lines(text) {
		d.say("%s", strings.TrimSuffix(line, "\n"))
	}
	d.done("b has an empty pool of the same name")
	return nil
}

func (d *demo) first(ctx context.Context) error {
	d.step("The first run sends everything")
	o, err := d.run(ctx)
	if err != nil {
		return err
	}
	if sent := count(o, plan.Full); sent < 5 {
		return fmt.Errorf("the first run sent %d datasets in full, want all\n%s", sent, o.Stderr)
	}
	d.done("%s", sum(o))
	return nil
}

func (d *demo) change(ctx context.Context) error {
	d.step("Files are changed, added and removed on a")
	text, err := drill.Shell(ctx, d.site.A, changeScript)
	if err != nil {
		return fmt.Errorf("change files: %w", err)
	}
	d.done("%s", text)
	return nil
}

func (d *demo) again(ctx context.Context) error {
	d.step("The next run sends only the changes")
	o, err := d.run(ctx)
	if err != nil {
		return err
	}
	if count(o, plan.Incremental) == 0 || count(o, plan.Full) > 0 {
		return fmt.Errorf("the second run was not incremental: %s", sum(o))
	}
	d.done("%s", sum(o))
	return nil
}

func (d *demo) unchanged(ctx context.Context) error {
	d.step("Without changes, a run does nothing")
	o, err := d.run(ctx)
	if err != nil {
		return err
	}
	if o.Result.Snapshot.Name != "" || o.Bytes() != 0 {
		return fmt.Errorf("a run without changes took a snapshot or sent something: %s", sum(o))
	}
	d.done("%s, no snapshot", sum(o))
	return nil
}

// cut disconnects the network in the middle of a stream.
func (d *demo) cut(ctx context.Context) error {
	d.step(fmt.Sprintf("%s more, and the cable is pulled in the middle of the stream", report.Bytes(bigBytes)))
	err := d.site.Configure(ctx, func(c drill.Config) {
		c.Set("replication.bandwidth", fmt.Sprint(bandwidth>>20, "MiB/s"))
		c.Set("replication.timeouts.stall", stall.String())
	})
	if err != nil {
		return err
	}
	if _, err := drill.Shell(ctx, d.site.A, `head -c "$1" /dev/urandom >/tank/media/film.mkv; sync`, fmt.Sprint(bigBytes)); err != nil {
		return fmt.Errorf("write a big file: %w", err)
	}
	d.say("for this run: at most %s/s, a stall is detected after %s", report.Bytes(bandwidth), stall)
	d.command("a", "zfs-replicate run")
	run := drill.StartRun(ctx, d.site.A)
	if err := drill.AwaitBytes(ctx, d.site.A, bigBytes/2); err != nil {
		return fmt.Errorf("wait for the middle of the stream: %w", err)
	}
	if err := d.site.B.CutNetwork(ctx, lab.Both); err != nil {
		return err
	}
	cutAt := time.Now()
	d.say("%s b's network is cut after %s", d.styled(red, "✂"), report.Bytes(bigBytes/2))
	o, err := run.Wait()
	if err != nil {
		return err
	}
	noticed := time.Since(cutAt)
	if err := d.site.B.RestoreNetwork(ctx); err != nil {
		return err
	}
	if o.Code == 0 {
		return errors.New("a run whose stream was cut reports success")
	}
	d.say("detected after %s, exit code %d:", report.Duration(noticed), o.Code)
	for line := range strings.Lines(o.Stderr) {
		if line = strings.TrimSpace(line); strings.Contains(line, "error: ") || strings.HasPrefix(line, "hint: ") {
			d.lines(line)
		}
	}
	d.done("the cable is back")
	return nil
}

func (d *demo) resume(ctx context.Context) error {
	d.step("The next run resumes the interrupted stream")
	if err := d.site.Configure(ctx, nil); err != nil {
		return err
	}
	o, err := d.run(ctx)
	if err != nil {
		return err
	}
	item := o.Item(big)
	if item == nil || item.Action != plan.Resume || len(item.Streams) == 0 {
		return fmt.Errorf("the run after the cut did not resume %s: %s", big, sum(o))
	}
	kept := item.Streams[0].Received
	if kept <= 0 || item.Bytes >= bigBytes {
		return fmt.Errorf("the run after the cut sent %s of %s again", report.Bytes(item.Bytes), report.Bytes(bigBytes))
	}
	d.say("b had kept %s; only the other %s were sent", d.styled(green, report.Bytes(kept)), report.Bytes(item.Bytes))
	d.done("%s", sum(o))
	return nil
}

func (d *demo) compare(ctx context.Context) error {
	d.step("Both nodes are compared: guids, and every byte of every file")
	rows, err := drill.Compare(ctx, d.site.A, d.site.B)
	if err != nil {
		return err
	}
	var table [][]string
	var wrong []string
	for _, r := range rows {
		equal := "yes"
		if !r.Equal() {
			equal = "NO"
			wrong = append(wrong, r.Source)
		}
		_, taken, _ := strings.Cut(r.Snapshot, "-")
		table = append(table, []string{shorten(r.Source, 20), taken, hex(r.SourceGUID), hex(r.TargetGUID), equal})
	}
	d.table([]string{"DATASET", "NEWEST SNAPSHOT", "GUID ON a", "GUID ON b", "EQUAL"}, table)
	if len(wrong) > 0 {
		return fmt.Errorf("the two nodes differ in %s", strings.Join(wrong, ", "))
	}
	d.done("%d datasets, all equal", len(rows))
	return nil
}
