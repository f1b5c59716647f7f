package imapd

import (
	"bytes"
	"log"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
)

// What the front and the session rely on in go-imap, told to the library itself: these
// tests are for the day its version changes. The names are those of
// design/imap-extensions.md section 2.

// wire is a connection that notes what the library does with it.
type wire struct {
	net.Conn
	mu     sync.Mutex
	did    strings.Builder
	once   sync.Once
	closed chan struct{}
}

func (w *wire) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.did.WriteString(what)
}

func (w *wire) Read(b []byte) (int, error) {
	w.note("<read>")
	return w.Conn.Read(b)
}

func (w *wire) Write(b []byte) (int, error) {
	w.note(string(b))
	return w.Conn.Write(b)
}

func (w *wire) Close() error {
	w.note("<close>")
	w.once.Do(func() { close(w.closed) })
	return w.Conn.Close()
}

// since returns what it did after the n-th byte.
func (w *wire) since(n int) (string, int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.did.String()[n:], w.did.Len()
}

// plainSession answers with what a test wants; what it does not have is not called.
type plainSession struct {
	imapserver.Session
	w       *wire
	selects error
}

func (s *plainSession) Close() error                              { s.w.note("<ended>"); return nil }
func (s *plainSession) Login(string, string) error                { return nil }
func (s *plainSession) Unselect() error                           { return nil }
func (s *plainSession) Poll(*imapserver.UpdateWriter, bool) error { s.w.note("<poll>"); return nil }

func (s *plainSession) Create(string, *imap.CreateOptions) error { return done("X (1)", "ours") }

func (s *plainSession) Expunge(*imapserver.ExpungeWriter, *imap.UIDSet) error {
	return done("X 2", "ours")
}

func (s *plainSession) Select(string, *imap.SelectOptions) (*imap.SelectData, error) {
	return &imap.SelectData{}, s.selects
}

func (s *plainSession) Status(string, *imap.StatusOptions) (*imap.StatusData, error) {
	return nil, done("", "ours")
}

func (s *plainSession) Search(imapserver.NumKind, *imap.SearchCriteria, *imap.SearchOptions) (*imap.SearchData, error) {
	_, err := s.w.Write([]byte("* data\r\n"))
	if err != nil {
		return nil, err
	}
	return nil, done("", "ours")
}

func (s *plainSession) Store(*imapserver.FetchWriter, imap.NumSet, *imap.StoreFlags, *imap.StoreOptions) error {
	return done("MODIFIED 7,9", "ours")
}

func (s *plainSession) Fetch(*imapserver.FetchWriter, imap.NumSet, *imap.FetchOptions) error {
	_, err := s.w.Write([]byte("* data\r\n"))
	return err
}

// library runs the library over a pipe, and returns the client's end.
func library(t *testing.T, s *plainSession) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	s.w = &wire{Conn: theirs, closed: make(chan struct{})}
	server := imapserver.New(&imapserver.Options{
		Caps: imap.CapSet{imap.CapIMAP4rev1: {}}, InsecureAuth: true, Logger: log.New(&bytes.Buffer{}, "", 0),
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return s, &imapserver.GreetingData{PreAuth: true}, nil
		},
	})
	ln := &oneConn{conns: make(chan net.Conn, 1)}
	ln.conns <- s.w
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(ln)
	}()
	t.Cleanup(func() {
		ours.Close()
		server.Close()
		<-ended
	})
	_ = ours.SetDeadline(time.Now().Add(time.Minute))
	return ours
}

// oneConn is a listener with what is in conns.
type oneConn struct {
	conns chan net.Conn
	once  sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *oneConn) Close() error {
	l.once.Do(func() { close(l.conns) })
	return nil
}

func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

// until reads from the client's end until a text was read.
func until(t *testing.T, c net.Conn, text string) {
	t.Helper()
	var got []byte
	for b := make([]byte, 256); !bytes.Contains(got, []byte(text)); {
		n, err := c.Read(b)
		if got = append(got, b[:n]...); err != nil {
			t.Fatalf("%q, then %v; want %q", got, err, text)
		}
	}
}

func send(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := c.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
}

// X1, X3: an OK for an error is just that tagged line, without a poll; and what the session
// writes itself stands before it, whole.
func TestContractOwnLines(t *testing.T) {
	s := &plainSession{}
	c := library(t, s)
	until(t, c, "IMAP server ready\r\n")
	send(t, c, "a SELECT x\r\n")
	until(t, c, "a OK")
	for command, want := range map[string]string{
		"b STATUS x (MESSAGES)":     "b OK ours\r\n",
		"b SEARCH ALL":              "* data\r\nb OK ours\r\n",
		"b STORE 1 FLAGS ()":        "b OK [MODIFIED 7,9] ours\r\n",
		"b EXPUNGE":                 "b OK [X 2] ours\r\n",
		"b CREATE y":                "b OK [X (1)] ours\r\n",
		"b FETCH 1 FLAGS":           "* data\r\n<poll>b OK FETCH completed\r\n",
		"b FETCH 1 (UID FLAGS UID)": "* data\r\n<poll>b OK FETCH completed\r\n",
	} {
		_, before := s.w.since(0)
		send(t, c, command+"\r\n")
		until(t, c, "b OK")
		got, _ := s.w.since(before)
		if got = strings.ReplaceAll(got, "<read>", ""); got != want {
			t.Errorf("%s: %q, want %q", command, got, want)
		}
	}
}

// X2: but not of SELECT, whose state it keeps.
func TestContractSelect(t *testing.T) {
	s := &plainSession{selects: done("", "ours")}
	c := library(t, s)
	until(t, c, "IMAP server ready\r\n")
	send(t, c, "a SELECT x\r\n")
	until(t, c, "a OK ours\r\n")
	send(t, c, "b FETCH 1 FLAGS\r\n")
	until(t, c, "b BAD")
}

// X4: one command is read, run and answered before the next is read; X9: after LOGOUT
// nothing is read.
func TestContractOrder(t *testing.T) {
	s := &plainSession{}
	c := library(t, s)
	until(t, c, "IMAP server ready\r\n")
	_, before := s.w.since(0)
	send(t, c, "a NOOP\r\n")
	until(t, c, "a OK")
	send(t, c, "b NOOP\r\n")
	until(t, c, "b OK")
	send(t, c, "c LOGOUT\r\n")
	until(t, c, "c OK")
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("it goes on after LOGOUT")
	}
	got, _ := s.w.since(before)
	a, b, out := strings.Index(got, "a OK"), strings.Index(got, "b OK"), strings.Index(got, "c OK")
	if a < 0 || !strings.Contains(got[a:b], "<read>") || strings.Contains(got[out:], "<read>") || !strings.Contains(got[out:], "<close>") {
		t.Errorf("%q", got)
	}
}

// What the library's rest in IDLE stands on, see rest: a session that greets with PREAUTH has
// logged in, and may enable and select; input that ends between two commands ends it without
// a word, the session first.
func TestContractRest(t *testing.T) {
	s := &plainSession{}
	c := library(t, s)
	until(t, c, "IMAP server ready\r\n")
	if got, _ := s.w.since(0); !strings.HasPrefix(got, "* PREAUTH [CAPABILITY ") {
		t.Errorf("it greets with %q", got)
	}
	send(t, c, "a ENABLE IMAP4rev2\r\n")
	until(t, c, "a OK")
	send(t, c, "b SELECT INBOX\r\n")
	until(t, c, "b OK")
	send(t, c, "c FETCH 1 FLAGS\r\n")
	until(t, c, "c OK")
	_, before := s.w.since(0)
	c.Close()
	<-s.w.closed
	if got, _ := s.w.since(before); strings.ReplaceAll(got, "<read>", "") != "<ended><close>" {
		t.Errorf("%q", got)
	}
}
