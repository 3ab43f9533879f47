package witness

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// pingAgain is the time after which an unanswered request is sent again: a busy network
// easily loses one, and one answer is enough.
const pingAgain = 150 * time.Millisecond

// ping sends echo requests until one is answered or ctx ends.
func ping(ctx context.Context, host string) error {
	address, err := lookup(ctx, host)
	if err != nil {
		return err
	}
	conn, to, err := open(address)
	if err != nil {
		return err
	}
	defer conn.Close()
	// The end of the context does not end a read.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now()) })
	defer stop()

	// The kernel sets the id of an unprivileged socket, so the payload identifies
	// answers.
	payload := make([]byte, 16)
	if _, err := rand.Read(payload); err != nil {
		return fmt.Errorf("create a ping: %w", err)
	}
	id := int(binary.BigEndian.Uint16(payload))
	answer := make([]byte, 1500)
	for seq := 1; ; seq++ {
		message := icmp.Message{Type: request(address), Body: &icmp.Echo{ID: id, Seq: seq, Data: payload}}
		data, err := message.Marshal(nil) // the kernel fills in ICMPv6's checksum
		if err != nil {
			return fmt.Errorf("create a ping: %w", err)
		}
		if _, err := conn.WriteTo(data, to); err != nil {
			return err
		}
		if err := conn.SetReadDeadline(time.Now().Add(pingAgain)); err != nil {
			return err
		}
		if ctx.Err() != nil { // it may have ended before the deadline was set
			return context.Cause(ctx)
		}
		err = await(conn, address, string(payload), answer)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !timedOut(err):
			return err
		}
	}
}

// await reads until the answer with this payload arrives.
func await(conn *icmp.PacketConn, address netip.Addr, payload string, buffer []byte) error {
	for {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		message, err := icmp.ParseMessage(protocol(address), buffer[:n])
		if err != nil {
			continue // a raw socket receives all messages
		}
		echo, ok := message.Body.(*icmp.Echo)
		if ok && message.Type == reply(address) && string(echo.Data) == payload {
			return nil
		}
	}
}

// open opens a raw socket or, without the permission, the kernel's socket for
// unprivileged pings.
func open(address netip.Addr) (*icmp.PacketConn, net.Addr, error) {
	raw, datagram, any4or6 := "ip4:icmp", "udp4", "0.0.0.0"
	if address.Is6() {
		raw, datagram, any4or6 = "ip6:ipv6-icmp", "udp6", "::"
	}
	conn, err := icmp.ListenPacket(raw, any4or6)
	if err == nil {
		return conn, &net.IPAddr{IP: address.AsSlice(), Zone: address.Zone()}, nil
	}
	conn, unprivileged := icmp.ListenPacket(datagram, any4or6)
	if unprivileged != nil {
		return nil, nil, errors.Join(err, unprivileged)
	}
	return conn, &net.UDPAddr{IP: address.AsSlice(), Zone: address.Zone()}, nil
}

func lookup(ctx context.Context, host string) (netip.Addr, error) {
	if address, err := netip.ParseAddr(host); err == nil {
		return address.Unmap(), nil
	}
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.Addr{}, err
	}
	return found[0].Unmap(), nil
}

func request(address netip.Addr) icmp.Type {
	if address.Is6() {
		return ipv6.ICMPTypeEchoRequest
	}
	return ipv4.ICMPTypeEcho
}

func reply(address netip.Addr) icmp.Type {
	if address.Is6() {
		return ipv6.ICMPTypeEchoReply
	}
	return ipv4.ICMPTypeEchoReply
}

// protocol returns the protocol number for parsing messages.
func protocol(address netip.Addr) int {
	if address.Is6() {
		return 58
	}
	return 1
}

func timedOut(err error) bool {
	timeout, ok := errors.AsType[net.Error](err)
	return ok && timeout.Timeout()
}
