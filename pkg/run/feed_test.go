package run_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/understudy-ha/understudy/pkg/run"
)

func TestFeedGivesAProgramAllThatIsWritten(t *testing.T) {
	input, output, err := run.Feed()
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	p, err := run.New(zerolog.Nop()).Start(context.Background(), run.Command{Argv: []string{"cat"}, Stdin: input, Stdout: &got, Timeout: 20 * time.Second})
	input.Close()
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // more than all buffers together
	if _, err := output.Write(want); err != nil {
		t.Errorf("write: %v", err)
	}
	output.Close()
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d bytes arrived of %d, or others", got.Len(), len(want))
	}
}

// A program that ends early is a write error, not a hang.
func TestFeedTellsThatTheProgramHasEnded(t *testing.T) {
	input, output, err := run.Feed()
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	p, err := run.New(zerolog.Nop()).Start(context.Background(), run.Command{Argv: []string{"true"}, Stdin: input, Timeout: 20 * time.Second})
	input.Close()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := output.Write(make([]byte, 8<<20)); err == nil {
		t.Error("a write to a program that has ended went through")
	}
}
