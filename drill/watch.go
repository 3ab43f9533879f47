package drill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"time"

	"github.com/understudy-ha/understudy/drill/observe"
	"github.com/understudy-ha/understudy/drill/report"
	"github.com/understudy-ha/understudy/lab"
)

// observerService answers questions about a node. It starts before all other
// services.
func observerService(n lab.Node) lab.Service {
	return lab.Service{
		Name: "observer", Order: 5, Restart: true,
		Argv: []string{"/usr/bin/observer", "node", net.JoinHostPort(n.Management(), strconv.Itoa(observe.Port)), VirtualIP, "/" + Apps},
	}
}

// watcher is the observer that runs in the lab's network.
type watcher struct {
	line   *report.Timeline
	cmd    *exec.Cmd
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	stderr bytes.Buffer
	err    error
}

// startWatch observes a lab's nodes and the virtual IP until end.
func startWatch(l *lab.Lab, observer string) (*watcher, error) {
	w := observe.Watch{
		Nodes: map[string]string{}, Address: VirtualIP, Projects: Applications(l.Kind()),
		Every: 100 * time.Millisecond, EveryProject: 200 * time.Millisecond,
		Prefix: strconv.FormatInt(time.Now().UnixMilli(), 36),
	}
	if l.Kind() == lab.VM {
		// Each question costs an emulated processor some hundredths of a
		// second.
		w.Every, w.EveryProject = 300*time.Millisecond, time.Second
	}
	for _, n := range l.Nodes {
		w.Nodes[n.Name()] = net.JoinHostPort(n.Management(), strconv.Itoa(observe.Port))
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, fmt.Errorf("watch the lab: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	one := &watcher{line: &report.Timeline{Projects: w.Projects}, cancel: cancel, ended: make(chan struct{})}
	one.cmd = l.Command(ctx, observer, "watch", string(text))
	one.cmd.Stderr = &one.stderr
	out, err := one.cmd.StdoutPipe()
	if err == nil {
		err = one.cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("watch the lab: %w", err)
	}
	go func() {
		defer close(one.ended)
		var e observe.Event
		decoder := json.NewDecoder(out)
		for decoder.Decode(&e) == nil {
			one.line.Add(e)
			e = observe.Event{}
		}
		err := one.cmd.Wait()
		one.mu.Lock()
		defer one.mu.Unlock()
		one.err = fmt.Errorf("the observer has ended: %v: %s", err, one.stderr.String())
	}()
	return one, nil
}

// alive returns the error of an observer that ended.
func (w *watcher) alive() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *watcher) end() {
	w.cancel()
	<-w.ended
}
