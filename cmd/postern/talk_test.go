package main

import (
	"bufio"
	"crypto/tls"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// talk is a client of a line protocol. It ends when the gateway does.
type talk struct {
	conn net.Conn
	in   *bufio.Reader
	dead bool
	no   string // an SMTP refusal of transact
}

// dial connects for as long as a test of that kind may take.
func dial(addr string, most time.Duration) *talk {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return &talk{dead: true}
	}
	_ = conn.SetDeadline(time.Now().Add(most))
	return &talk{conn: conn, in: bufio.NewReader(conn)}
}

func (t *talk) close() {
	if t.conn != nil {
		t.conn.Close()
	}
}

// secure puts TLS on.
func (t *talk) secure(config *tls.Config) {
	if t.dead {
		return
	}
	c := tls.Client(t.conn, config)
	t.conn, t.in = c, bufio.NewReader(c)
}

// say sends a line, or several, and returns the first answer that matches; false if
// the connection ends before there is one.
func (t *talk) say(lines, pattern string) ([]string, bool) {
	if t.dead {
		return nil, false
	}
	if lines != "" {
		if _, err := t.conn.Write([]byte(lines + "\r\n")); err != nil {
			t.dead = true
			return nil, false
		}
	}
	want := regexp.MustCompile("^" + pattern)
	for {
		line, err := t.in.ReadString('\n')
		if err != nil {
			t.dead = true
			return nil, false
		}
		if m := want.FindStringSubmatch(strings.TrimRight(line, "\r\n")); m != nil {
			return m, true
		}
	}
}

// transact delivers one message to the account in an SMTP session; true once it got
// its 250. If it was refused, no says how.
func (t *talk) transact(id, subject, body string) bool {
	message := "From: peer@peer.example\r\nTo: " + gatewaytest.Account + "\r\nSubject: " + subject + "\r\nMessage-ID: " + id + "\r\n\r\n" + body + "."
	for _, step := range [][2]string{
		{"MAIL FROM:<peer@peer.example>", "250"}, {"RCPT TO:<" + gatewaytest.Account + ">", "250"}, {"DATA", "354"}, {message, "250"},
	} {
		got, ok := t.say(step[0], "("+step[1]+`|[45]\d\d ).*`)
		if !ok {
			return false
		}
		if got[1] != step[1] {
			t.no = got[0]
			return false
		}
	}
	return true
}
