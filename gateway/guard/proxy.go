package guard

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The PROXY protocol, versions 1 and 2: how a proxy says for whom it connects.
// Source: HAProxy, "The PROXY protocol", section 2.

// v2Signature begins a header of version 2; no text protocol begins so.
const v2Signature = "\r\n\r\n\x00\r\nQUIT\n"

const (
	// v1Most is the longest header of version 1, its section 2.1.
	v1Most = 107
	// v2Most bounds what follows the fixed part of version 2. Ours: addresses take
	// 36 bytes, and the rest are notes on TLS that nobody reads here.
	v2Most = 4 << 10
	// v2Fixed is the part that says how long the rest is.
	v2Fixed = 16
)

var errNoHeader = errors.New("no PROXY header")

// readProxy reads one header and nothing behind it. client is not valid when the
// proxy speaks for itself, as in a health check.
func readProxy(r *bufio.Reader) (client netip.AddrPort, err error) {
	start, err := r.Peek(len(v2Signature)) // every header is longer
	if err != nil {
		return client, err
	}
	if string(start) == v2Signature {
		return readV2(r)
	}
	return readV1(r)
}

// readV1 reads a line such as "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25".
func readV1(r *bufio.Reader) (client netip.AddrPort, err error) {
	if start, err := r.Peek(6); err != nil || string(start) != "PROXY " {
		return client, errNoHeader
	}
	line, err := r.ReadSlice('\n')
	if err != nil {
		return client, err
	}
	text, ok := strings.CutSuffix(string(line), "\r\n")
	words := strings.Split(text, " ")
	switch {
	case !ok || len(line) > v1Most:
		return client, errNoHeader
	case words[1] == "UNKNOWN":
		return client, nil
	case len(words) != 6 || words[1] != "TCP4" && words[1] != "TCP6":
		return client, fmt.Errorf("%w: %.60q", errNoHeader, text)
	}
	six := words[1] == "TCP6"
	client, ok = addrPort(words[2], words[4], six)
	_, ok2 := addrPort(words[3], words[5], six)
	if !ok || !ok2 {
		return netip.AddrPort{}, fmt.Errorf("%w: %.60q", errNoHeader, text)
	}
	return client, nil
}

func addrPort(host, port string, six bool) (netip.AddrPort, bool) {
	a, err := netip.ParseAddr(host)
	n, err2 := strconv.ParseUint(port, 10, 16)
	ok := err == nil && err2 == nil && a.Is6() == six && a.Zone() == "" && strconv.FormatUint(n, 10) == port
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}

// readV2 reads the binary header.
func readV2(r *bufio.Reader) (client netip.AddrPort, err error) {
	fixed, err := r.Peek(v2Fixed)
	if err != nil {
		return client, err
	}
	command, family, size := fixed[12], fixed[13], int(binary.BigEndian.Uint16(fixed[14:]))
	if size > v2Most {
		return client, fmt.Errorf("%w: it says it has %d bytes", errNoHeader, size)
	}
	whole, err := r.Peek(v2Fixed + size)
	if err != nil {
		return client, err
	}
	rest := bytes.Clone(whole[v2Fixed:])
	_, _ = r.Discard(len(whole)) // they are buffered
	switch {
	case command == 0x20, command == 0x21 && family == 0x00: // LOCAL, or from nowhere that has an address
		return client, nil
	case command == 0x21 && family == 0x11 && size >= 12:
		return v2Source(rest[:4], rest[8:10]), nil
	case command == 0x21 && family == 0x21 && size >= 36:
		return v2Source(rest[:16], rest[32:34]), nil
	}
	return client, fmt.Errorf("%w: version and command %#x, family %#x, %d bytes", errNoHeader, command, family, size)
}

func v2Source(ip, port []byte) netip.AddrPort {
	a, _ := netip.AddrFromSlice(ip) // of 4 or 16 bytes
	return netip.AddrPortFrom(a.Unmap(), binary.BigEndian.Uint16(port))
}

// proxied is a connection of a client that came through a proxy.
type proxied struct {
	net.Conn
	in     *bufio.Reader // what came with the header; nil once it is read
	client net.Addr      // nil: the proxy itself
}

// RemoteAddr is the client that the proxy named.
func (p *proxied) RemoteAddr() net.Addr {
	if p.client == nil {
		return p.Conn.RemoteAddr()
	}
	return p.client
}

// Read gives what came with the header, then what comes.
func (p *proxied) Read(b []byte) (int, error) {
	if p.in != nil {
		if p.in.Buffered() > 0 {
			return p.in.Read(b)
		}
		p.in = nil
	}
	return p.Conn.Read(b)
}
