package courier

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server is a mail host on loopback that says whatever a test wants.
type server struct {
	t   testing.TB
	ln  net.Listener
	ext []string // what EHLO offers
	tls *tls.Config
	// answer is asked for the reply to each command, to "" for the greeting and to "."
	// for the final dot. Nil or "" is the usual one; see what else there is in say.
	answer func(n int, command string) string
	wait   sync.WaitGroup

	mu    sync.Mutex
	conns int
	lines []string // all commands, in order of arrival
	mails []string // as they were before dot-stuffing
	open  map[net.Conn]bool
}

// What answer may return instead of a reply.
const (
	drop   = "drop"  // close the connection
	hang   = "hang"  // say nothing until the client leaves
	flood  = "flood" // talk until the client leaves
	closes = "\x00"  // behind a reply: say it and close
)

var usual = []string{"PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"}

func mx(t testing.TB, answer func(n int, command string) string, ext ...string) *server {
	t.Helper()
	if ext == nil {
		ext = usual
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, ln: ln, ext: ext, answer: answer, open: make(map[net.Conn]bool)}
	s.wait.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

// always makes an answer out of pairs: the start of a command, and the reply to it.
func always(pairs ...string) func(int, string) string {
	return func(_ int, command string) string {
		for i := 0; i < len(pairs); i += 2 {
			if command == pairs[i] || pairs[i] != "" && pairs[i] != "." && strings.HasPrefix(command, pairs[i]) {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func (s *server) stop() {
	s.ln.Close()
	s.mu.Lock()
	for c := range s.open {
		c.Close()
	}
	s.mu.Unlock()
	s.wait.Wait()
}

func (s *server) accept() {
	for {
		c, err := s.ln.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns++
		n := s.conns
		s.open[c] = true
		s.mu.Unlock()
		s.wait.Go(func() { defer c.Close(); s.serve(c, n) })
	}
}

func (s *server) serve(c net.Conn, n int) {
	r := bufio.NewReaderSize(c, 16<<10)
	if !s.say(c, n, "", "220 mx.test ESMTP") {
		return
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSuffix(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		verb, _, _ := strings.Cut(strings.ToUpper(line), " ")
		def := map[string]string{
			"EHLO": "250-mx.test hello\r\n250-" + strings.Join(s.ext, "\r\n250-") + "\r\n250 HELP", "DATA": "354 go on", "QUIT": "221 bye" + closes,
			"STARTTLS": "220 ready", "AUTH": "235 welcome",
		}[verb]
		if def == "" {
			def = "250 2.1.0 fine"
		}
		said := def
		if s.answer != nil {
			if a := s.answer(n, line); a != "" {
				said = a
			}
		}
		if !s.say(c, n, said, said) {
			return
		}
		switch {
		case verb == "STARTTLS" && strings.HasPrefix(said, "220") && s.tls != nil:
			t := tls.Server(c, s.tls)
			if t.Handshake() != nil {
				return
			}
			c, r = t, bufio.NewReader(t)
		case verb == "DATA" && strings.HasPrefix(said, "354"):
			if !s.mail(r) || !s.say(c, n, ".", "250 2.0.0 taken") {
				return
			}
		}
	}
}

// mail reads up to the final dot.
func (s *server) mail(r *bufio.Reader) bool {
	var b strings.Builder
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	s.mu.Lock()
	s.mails = append(s.mails, b.String())
	s.mu.Unlock()
	return true
}

// say sends a reply. at is "" or "." where a test may have another one.
func (s *server) say(c net.Conn, n int, at, text string) bool {
	if (at == "" || at == ".") && s.answer != nil {
		if a := s.answer(n, at); a != "" {
			text = a
		}
	}
	switch text {
	case drop:
		return false
	case hang:
		io.Copy(io.Discard, c)
		return false
	case flood:
		for {
			if _, err := io.WriteString(c, "250-more and more and more of it\r\n"); err != nil {
				return false
			}
		}
	}
	text, last := strings.CutSuffix(text, closes)
	if _, err := io.WriteString(c, text+"\r\n"); err != nil {
		return false
	}
	return !last
}

func (s *server) commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

func (s *server) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

func (s *server) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

func (nobody) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1} }
