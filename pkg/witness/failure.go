package witness

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

// refused reports whether the host refused the connection.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// spoke reports whether the error is a TLS error, which proves that a host answered.
func spoke(err error) bool {
	_, certificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, record := errors.AsType[tls.RecordHeaderError](err)
	_, alert := errors.AsType[tls.AlertError](err)
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	return certificate || record || alert || unknown
}

// explain returns in few words why a target did not answer.
func explain(ctx context.Context, err error) string {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return "no answer in time"
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return "cancelled"
	}
	if number, ok := errors.AsType[syscall.Errno](err); ok {
		return number.Error()
	}
	return err.Error()
}
