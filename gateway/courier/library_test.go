package courier

import (
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
)

// backend is the library's server, the second opinion on what we write.
type backend struct {
	mu    sync.Mutex
	mails []arrived
}

type arrived struct {
	from string
	to   []string
	sum  [32]byte
}

type receiving struct {
	b *backend
	m arrived
}

func (b *backend) NewSession(*smtp.Conn) (smtp.Session, error) { return &receiving{b: b}, nil }

func (r *receiving) Mail(from string, _ *smtp.MailOptions) error {
	r.m = arrived{from: from}
	return nil
}

func (r *receiving) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "no") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "nobody"}
	}
	r.m.to = append(r.m.to, to)
	return nil
}

func (r *receiving) Data(body io.Reader) error {
	all, err := io.ReadAll(body)
	r.m.sum = sha256.Sum256(all)
	r.b.mu.Lock()
	defer r.b.mu.Unlock()
	r.b.mails = append(r.b.mails, r.m)
	return err
}

func (r *receiving) Reset()        {}
func (r *receiving) Logout() error { return nil }

// What we write, another implementation reads as it was meant.
func TestLibraryServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := new(backend)
	srv := smtp.NewServer(b)
	srv.Domain, srv.EnableSMTPUTF8, srv.MaxLineLength = "mx.test", true, 64<<10
	var wait sync.WaitGroup
	wait.Go(func() { srv.Serve(ln) })
	t.Cleanup(func() { srv.Close(); wait.Wait() })
	c := simple(&server{ln: ln}).courier(t, nil)
	var want []arrived
	for i := range 20 {
		var m strings.Builder
		for range i * i {
			m.WriteString([]string{".", "..", "a", "\r\n", ".\r\n", "\r\n.", "é", strings.Repeat("x", 900)}[rand.IntN(8)])
		}
		m.WriteString("\r\n")
		j := job("a@a.test", `"b c"@a.test`, "no@a.test", "é@a.test")
		j.Open, j.EightBit, j.UTF8 = text(m.String()), true, true
		for k, r := range carry(t, c, j) {
			if wanted := []Outcome{Delivered, Failed}[k/2%2*((k+1)%2)]; r.Outcome != wanted || r.Hop.Reused != (i > 0) {
				t.Errorf("%d of %d: %+v", k, i, r)
			}
		}
		want = append(want, arrived{"me@here.test", []string{"a@a.test", "b c@a.test", "é@a.test"}, sha256.Sum256([]byte(m.String()))})
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if fmt.Sprint(b.mails) != fmt.Sprint(want) {
		t.Errorf("arrived %v, want %v", b.mails, want)
	}
}
