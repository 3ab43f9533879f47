package once

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

// Dial makes the connection for one request.
type Dial func(ctx context.Context) (net.Conn, error)

// RoundTrip sends a request and returns the answer, whose body the caller has
// to close. The request's context bounds all of it, the reading of the body
// too: what it ends is its error.
func RoundTrip(req *http.Request, dial Dial) (*http.Response, error) {
	ctx := req.Context()
	conn, err := dial(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	end := func() error {
		stop()
		return conn.Close()
	}
	resp, err := exchange(conn, req)
	if err != nil {
		_ = end() // it is of no use any more
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, err
	}
	resp.Body = &body{resp.Body, end}
	return resp, nil
}

func exchange(conn net.Conn, req *http.Request) (*http.Response, error) {
	req.Close = true
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(reader, req)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, errors.New("the connection was closed without an answer")
		}
		if err != nil || resp.StatusCode >= http.StatusOK {
			return resp, err
		}
		// A word on the way, such as 103; it has no body.
	}
}

// body is an answer's; closing it ends the connection.
type body struct {
	io.ReadCloser
	end func() error
}

// Close ends the connection first: nobody waits for the rest of an answer.
func (b *body) Close() error {
	return errors.Join(b.end(), ignoreClosed(b.ReadCloser.Close()))
}

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
