package zfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// LogReset is the most that ZFS counts as written, in bytes, when only the head of
// the intent log was reset or claimed: the block that describes a dataset, with its
// copies. One short line in a file can be less.
const LogReset = 16 << 10

// The parts of a stream that Touched reads (dmu_replay_record in zfs_ioctl.h).
const (
	recordSize   = 312
	recordBegin  = 0
	recordEnd    = 5
	beginPayload = 64 << 10 // the most that is believed
)

// Touched reports whether a dataset holds anything that a snapshot of it (full name)
// does not. "written" does not tell that: an import that claims the intent log of a
// dataset counts as up to LogReset bytes. The dataset must not be mounted; what lies in its intent log alone does not count. The stream from the
// snapshot to the dataset is read up to its first record of data.
func (z *ZFS) Touched(ctx context.Context, dataset, snapshot string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, z.timeout)
	defer cancel()
	stream, err := z.Send(ctx, Send{To: dataset, From: snapshot, Raw: true, Bare: true})
	if err != nil {
		return false, err
	}
	touched, readErr := anyData(stream)
	if touched {
		stream.Kill()
	}
	// How zfs ended says more than where its stream did.
	if err := stream.Finish(); err != nil && !touched {
		return false, err
	}
	if readErr != nil {
		return false, fmt.Errorf("read the stream from %s to %s: %w", snapshot, dataset, readErr)
	}
	return touched, nil
}

// anyData reports whether there is anything between a stream's begin and its end.
func anyData(stream io.Reader) (bool, error) {
	kind, payload, err := record(stream)
	if err != nil {
		return false, err
	}
	if kind != recordBegin || payload > beginPayload {
		return false, fmt.Errorf("it begins with a record of type %d and %d bytes", kind, payload)
	}
	if _, err := io.CopyN(io.Discard, stream, payload); err != nil {
		return false, err
	}
	kind, _, err = record(stream)
	return kind != recordEnd, err
}

// record reads the head of a stream's next record, in the byte order of this
// machine, which made it.
func record(stream io.Reader) (kind uint32, payload int64, err error) {
	var head [recordSize]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return recordEnd, 0, err
	}
	return binary.NativeEndian.Uint32(head[0:]), int64(binary.NativeEndian.Uint32(head[4:])), nil
}
