package zfs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// LogReset is the most that ZFS counts as written, in bytes, if only the head of the
// intent log was reset or claimed: the block that describes a dataset, with its
// copies. A short line in a file can count as less.
const LogReset = 16 << 10

// The fields of a stream that ChangedSince reads (dmu_replay_record in zfs_ioctl.h).
const (
	recordSize   = 312
	recordBegin  = 0
	recordEnd    = 5
	beginPayload = 64 << 10 // largest accepted
)

// ChangedSince reports whether a dataset differs from one of its snapshots (full
// name). The property "written" does not show that: an import that claims the
// dataset's intent log counts as up to LogReset bytes. The dataset must not be
// mounted; data in its intent log alone does not count. ChangedSince reads the
// stream from the snapshot to the dataset up to the first record of data.
func (z *ZFS) ChangedSince(ctx context.Context, dataset, snapshot string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, z.timeout)
	defer cancel()
	stream, err := z.Send(ctx, Send{To: dataset, From: snapshot, Raw: true, Bare: true})
	if err != nil {
		return false, err
	}
	changed, readErr := hasData(stream)
	if changed {
		stream.Kill()
	}
	// The error of zfs says more than the end of its stream.
	if err := stream.Finish(); err != nil && !changed {
		return false, err
	}
	if readErr != nil {
		return false, fmt.Errorf("read the stream from %s to %s: %w", snapshot, dataset, readErr)
	}
	return changed, nil
}

// hasData reports whether a stream has a record between its begin and its end.
func hasData(stream io.Reader) (bool, error) {
	kind, payload, err := record(stream)
	if err != nil {
		return false, err
	}
	if kind != recordBegin || payload > beginPayload {
		return false, fmt.Errorf("first record has type %d and %d bytes", kind, payload)
	}
	if _, err := io.CopyN(io.Discard, stream, payload); err != nil {
		return false, err
	}
	kind, _, err = record(stream)
	return kind != recordEnd, err
}

// record reads the head of a stream's next record, in the byte order of this machine,
// which made the stream.
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
