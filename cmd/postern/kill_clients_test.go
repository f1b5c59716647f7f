package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// ledger is what clients were told, by Message-ID.
type ledger struct {
	mu                       sync.Mutex
	sent, arrived            map[string]bool // by REST or submission; by the MX
	appended, flagged, moved map[string]bool
	tickets                  map[int][]string
}

func newLedger() *ledger {
	return &ledger{
		sent: map[string]bool{}, arrived: map[string]bool{}, appended: map[string]bool{}, flagged: map[string]bool{}, moved: map[string]bool{},
		tickets: map[int][]string{},
	}
}

// note enters an acknowledgement.
func (l *ledger) note(into map[string]bool, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	into[id] = true
}

// ticket enters a mail about a ticket.
func (l *ledger) ticket(n int, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tickets[n] = append(l.tickets[n], id)
}

// talk is a client of a line protocol. It ends when the gateway does.
type talk struct {
	conn net.Conn
	in   *bufio.Reader
	dead bool
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

// sendREST sends over REST.
func (k *killed) sendREST(string) {
	for {
		req, err := http.NewRequest("POST", k.banner.REST+"/emails", bytes.NewReader([]byte(
			`{"from":"hello@demo.localhost","to":"hello@demo.localhost","subject":"x","text":"x"}`)))
		if err != nil {
			k.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+k.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		var a gatewaytest.Answer
		err = json.NewDecoder(resp.Body).Decode(&a)
		resp.Body.Close()
		if err != nil {
			return
		}
		if resp.StatusCode == 200 {
			k.ledger.note(k.ledger.sent, a.Str("message_id"))
		}
	}
}

// transact sends one message in an SMTP session; true once it got its 250.
func (t *talk) transact(from, to, id, subject string) bool {
	message := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: %s\r\n\r\nbody\r\n.", from, to, subject, id)
	for _, step := range [][2]string{
		{"MAIL FROM:<" + from + ">", "250"}, {"RCPT TO:<" + to + ">", "250"}, {"DATA", "354"}, {message, "250"},
	} {
		if _, ok := t.say(step[0], step[1]); !ok {
			return false
		}
	}
	return true
}

// deliver is another server that delivers mail, three about each ticket.
func (k *killed) deliver(name string) {
	t := dial(k.banner.MX, patience)
	defer t.close()
	t.say("EHLO peer.example", "250 ")
	for i := 0; ; i++ {
		id := fmt.Sprintf("<%s.%d@peer.example>", name, i)
		var cycle, client int
		if _, err := fmt.Sscanf(name, "%d.%d", &cycle, &client); err != nil {
			k.Error(err)
		}
		ticket := (cycle/2*10+client)*100000 + i/3 // half of the tickets live over a kill
		if !t.transact("peer@peer.example", gatewaytest.Account, id, fmt.Sprintf("[#%d] mail %d", ticket, i)) {
			return
		}
		k.ledger.note(k.ledger.arrived, id)
		k.ledger.ticket(ticket, id)
	}
}

// submit sends over submission.
func (k *killed) submit(name string) {
	t := dial(k.banner.Submission, patience)
	defer t.close()
	t.say("EHLO client.example", "250 ")
	t.say("STARTTLS", "220")
	t.secure(gatewaytest.TrustLocal(k, k.data))
	t.say("EHLO client.example", "250 ")
	t.say("AUTH PLAIN "+base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00"+k.key)), "235")
	for i := 0; ; i++ {
		id := fmt.Sprintf("<%s.%d@demo.localhost>", name, i)
		if !t.transact("hello@demo.localhost", "hello@demo.localhost", id, "x") {
			return
		}
		k.ledger.note(k.ledger.sent, id)
	}
}

// read is a mail program: it appends a message, flags it, and moves it away.
func (k *killed) read(name string) {
	t := dial(k.banner.IMAP, patience)
	defer t.close()
	t.say("a STARTTLS", "a OK")
	t.secure(gatewaytest.TrustLocal(k, k.data))
	t.say("b LOGIN bot@demo.localhost "+k.key, "b OK")
	t.say("c SELECT Drafts", "c OK")
	for i := 0; ; i++ {
		id := fmt.Sprintf("<%s.%d@reader.example>", name, i)
		raw := fmt.Sprintf("From: bot@demo.localhost\r\nSubject: x\r\nMessage-ID: %s\r\n\r\nbody\r\n", id)
		at, ok := t.say(fmt.Sprintf("d APPEND Drafts {%d+}\r\n%s", len(raw), raw), `d OK \[APPENDUID \d+ (\d+)\]`)
		if !ok {
			return
		}
		k.ledger.note(k.ledger.appended, id)
		if _, ok := t.say("e UID STORE "+at[1]+` +FLAGS (\Flagged)`, "e OK"); !ok {
			return
		}
		k.ledger.note(k.ledger.flagged, id)
		if i%2 == 1 {
			continue
		}
		if _, ok := t.say("f UID MOVE "+at[1]+" Archive", "f OK"); !ok {
			return
		}
		k.ledger.note(k.ledger.moved, id)
	}
}
