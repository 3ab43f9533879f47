package observe

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Watch describes what to observe and how often.
type Watch struct {
	// Nodes are the addresses of the nodes by name.
	Nodes map[string]string
	// Address is the virtual IP.
	Address string
	// Projects receive writes, each at its own path.
	Projects []string
	// Every is the interval of questions to a node and to Traefik, EveryProject
	// the interval for each project.
	Every, EveryProject time.Duration
	// Prefix distinguishes the ids of writes from those of other watches.
	Prefix string
}

// patience is the time that an answer may take. More than 1 s, after which
// Linux repeats the first packet of a connection, would hide the end of an
// outage.
const patience = 900 * time.Millisecond

// Run observes until ctx ends and writes each Event as a line of JSON.
func (w Watch) Run(ctx context.Context, out io.Writer) error {
	var mu sync.Mutex
	encoder := json.NewEncoder(out)
	failed := make(chan error, 1)
	tell := func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		if err := encoder.Encode(e); err != nil {
			select {
			case failed <- err:
			default:
			}
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var all sync.WaitGroup
	for name, address := range w.Nodes {
		all.Go(func() { w.sample(ctx, name, address, tell) })
	}
	client := &http.Client{
		Timeout: patience,
		// A connection must not outlive its node.
		Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: patience}).DialContext},
	}
	all.Go(func() {
		each(ctx, w.Every, func(int) { tell(Event{Answer: w.askTraefik(ctx, client)}) })
	})
	for _, project := range w.Projects {
		all.Go(func() {
			each(ctx, w.EveryProject, func(n int) { tell(Event{Answer: w.write(ctx, client, project, n)}) })
		})
	}
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
	}
	cancel()
	all.Wait()
	return err
}

// each calls do at that interval, also while earlier calls have not returned: a
// call that hangs must not hide that the next one succeeds.
func each(ctx context.Context, every time.Duration, do func(n int)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var all sync.WaitGroup
	defer all.Wait()
	for n := 0; ; n++ {
		all.Go(func() { do(n) })
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// sample asks one node again and again. A node that does not answer gives no
// sample.
func (w Watch) sample(ctx context.Context, name, address string, tell func(Event)) {
	each(ctx, w.Every, func(n int) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		sent := time.Now()
		state, err := ask(ctx, address, strconv.Itoa(n))
		if err != nil {
			return
		}
		tell(Event{Sample: &Sample{Node: name, Sent: sent, Received: time.Now(), State: state}})
	})
}

func ask(ctx context.Context, address, question string) (State, error) {
	var s State
	conn, err := new(net.Dialer).DialContext(ctx, "udp", address)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return s, err
	}
	if _, err := conn.Write([]byte(question)); err != nil {
		return s, err
	}
	buffer := make([]byte, 64<<10)
	n, err := conn.Read(buffer)
	if err != nil {
		return s, err
	}
	echo, text, _ := bytes.Cut(buffer[:n], []byte(" "))
	if string(echo) != question {
		return s, fmt.Errorf("%s answers %q to %q", address, echo, question)
	}
	return s, json.Unmarshal(text, &s)
}

// askTraefik asks for a path without a route, which Traefik itself answers.
func (w Watch) askTraefik(ctx context.Context, client *http.Client) *Answer {
	a := &Answer{Target: "traefik", Sent: time.Now()}
	code, _, err := fetch(ctx, client, http.MethodGet, "http://"+w.Address+"/")
	a.Received = time.Now()
	switch {
	case err != nil:
		a.Error = err.Error()
	case code != http.StatusNotFound:
		a.Error = "status " + strconv.Itoa(code)
	default:
		a.OK = true
	}
	return a
}

func (w Watch) write(ctx context.Context, client *http.Client, project string, n int) *Answer {
	a := &Answer{Target: project, Sent: time.Now(), ID: fmt.Sprintf("%s-%s-%d", w.Prefix, project, n)}
	code, header, err := fetch(ctx, client, http.MethodPost, fmt.Sprintf("http://%s/%s/write?id=%s", w.Address, project, a.ID))
	a.Received = time.Now()
	switch {
	case err != nil:
		a.Error = err.Error()
	case code != http.StatusOK:
		a.Error = "status " + strconv.Itoa(code)
	default:
		a.OK, a.Node = true, header.Get("X-Node")
	}
	return a
}

func fetch(ctx context.Context, client *http.Client, method, url string) (int, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return 0, nil, err
	}
	return response.StatusCode, response.Header, nil
}
