package courier

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
)

// Attack: a host that talks without end. The client stops reading after its bound; the
// library's took 345 MB in 2.5 s.
func TestAttackEndlessReply(t *testing.T) {
	endless := strings.Repeat("x", 1<<20)
	for _, at := range []string{"", "EHLO", "MAIL", "RCPT", "DATA", "."} {
		for name, reply := range map[string]string{"lines": flood, "one line": "250 " + endless} {
			t.Run(name+" at "+at, func(t *testing.T) {
				c := simple(mx(t, always(at, reply))).courier(t, nil)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				r := carry(t, c, job())[0]
				runtime.ReadMemStats(&after)
				want := Deferred
				if at == "." {
					want = Unknown
				}
				if r.Outcome != want {
					t.Errorf("%+v", r)
				}
				if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
					t.Errorf("%d bytes allocated", n)
				}
			})
		}
	}
}

// Attack: replies full of control bytes, with CR inside, in strange charsets, or longer
// than any report wants. They come out as one line; carry checks that of all results.
func TestAttackReplyText(t *testing.T) {
	for name, reply := range map[string]string{
		"CR":      "550 5.7.1 no\rSubject: forged\r\r\rhello",
		"escapes": "550 5.7.1 \x1b]0;title\x07\x1b[31mred",
		"NUL":     "550 5.7.1 a\x00b",
		"latin":   "550 5.7.1 \xe9t\xe9",
		"long":    "550 5.7.1 " + strings.Repeat("long ", 700),
		"lines":   strings.Repeat("550-5.7.1 many\r\n", 500) + "550 5.7.1 lines",
		"nothing": "550",
	} {
		for _, at := range []string{"MAIL", "RCPT", "DATA", "."} {
			r := carry(t, simple(mx(t, always(at, reply))).courier(t, nil), job())[0]
			if r.Outcome != Failed || r.Code != 550 || !r.Remote {
				t.Errorf("%s at %s: %+v", name, at, r)
			}
		}
	}
}

// Attack: 250 before anything was asked, to be taken for the reply to the final dot, or
// to shift which reply is for whom.
func TestAttackEarlyReplies(t *testing.T) {
	for _, tt := range []struct{ at, usually string }{
		{"", "220 hi"}, {"EHLO", "250-mx.test\r\n250 PIPELINING"}, {"EHLO", "250-mx.test\r\n250 STARTTLS"}, {"DATA", "354 go"},
	} {
		s := mx(t, always(tt.at, tt.usually+strings.Repeat("\r\n250 taken", 5)))
		r := carry(t, simple(s).courier(t, nil), job())[0]
		if r.Outcome != Deferred || r.Enhanced != [3]int{4, 5, 0} || s.connections() != 1 {
			t.Errorf("at %q: %+v on %d connections", tt.at, r, s.connections())
		}
	}
}

// Attack: a quoted local part that ends the path and sets parameters. On the wire it is
// quoted, however it came.
func TestAttackParameterSmuggling(t *testing.T) {
	s := mx(t, nil)
	c := simple(s).courier(t, nil)
	j := job(`"x> NOTIFY=NEVER <y"@a.test`, `x> NOTIFY=NEVER <y@a.test`, `a\" b@a.test`)
	j.ReturnPath = `x> SIZE=1 <y@here.test`
	for _, r := range carry(t, c, j) {
		if r.Outcome != Delivered {
			t.Errorf("%+v", r)
		}
	}
	want := []string{
		`MAIL FROM:<"x> SIZE=1 <y"@here.test> SIZE=` + fmt.Sprint(len(letter)),
		`RCPT TO:<"x> NOTIFY=NEVER <y"@a.test>`, `RCPT TO:<"x> NOTIFY=NEVER <y"@a.test>`, `RCPT TO:<"a\\\" b"@a.test>`,
	}
	if got := s.commands()[1:5]; !slices.Equal(got, want) {
		t.Errorf("said %q, want %q", got, want)
	}
}

// Attack: mail hosts that lead inside the operator's network. Nothing is dialled, and
// with one that does not the mail goes there.
func TestAttackInside(t *testing.T) {
	for _, inside := range []string{"127.0.0.1", "10.0.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "::1", "fd00::1", "fe80::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1"} {
		s := mx(t, nil)
		w := simple(s)
		zone := mockdns.Zone{A: []string{inside}}
		if strings.Contains(inside, ":") {
			zone = mockdns.Zone{AAAA: []string{inside}}
		}
		w.zones["mx.test."] = zone
		if r := carry(t, w.courier(t, nil), job())[0]; r.Outcome != Failed || r.Enhanced != [3]int{5, 4, 4} || len(w.dialled()) != 0 {
			t.Errorf("%s: %+v after %v", inside, r, w.dialled())
		}
		w.zones["a.test."] = mockdns.Zone{MX: []net.MX{{Host: "mx.test.", Pref: 1}, {Host: "good.test.", Pref: 2}}}
		w.zones["good.test."] = mockdns.Zone{A: []string{"5.0.0.1"}}
		if r := carry(t, w.courier(t, nil), job())[0]; r.Outcome != Delivered || !slices.Equal(w.dialled(), []string{"5.0.0.1:25"}) {
			t.Errorf("%s and a good one: %+v after %v", inside, r, w.dialled())
		}
	}
}

// large is a message that takes no memory.
type large struct{ left int64 }

const largeLine = ".0123456789 the quick brown fox jumps over the lazy dog\r\n"

func (b *large) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, largeLine[(int64(len(largeLine))-b.left%int64(len(largeLine)))%int64(len(largeLine)):])
	n = int(min(int64(n), b.left))
	b.left -= int64(n)
	return n, nil
}

func (b *large) Close() error { return nil }

// 50 MiB pass through without standing in memory.
func TestBigMessage(t *testing.T) {
	const size = 50 << 20 / int64(len(largeLine)) * int64(len(largeLine))
	ln, total := sink(t)
	w := simple(&server{ln: ln})
	c := w.courier(t, nil)
	j := job()
	j.Size, j.Open = size, func() (io.ReadCloser, error) { return &large{size}, nil }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := carry(t, c, j)[0]
	runtime.ReadMemStats(&after)
	if r.Outcome != Delivered {
		t.Errorf("%+v", r)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	if got, want := total(), size+size/int64(len(largeLine))+int64(len(".\r\n")); got != want { // each line gets a dot
		t.Errorf("%d bytes arrived, want %d", got, want)
	}
}

// sink is a host that takes everything and keeps nothing; total is how many bytes of
// messages it was sent.
func sink(t testing.TB) (ln net.Listener, total func() int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var sum int64
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				drain(c, func(n int64) { mu.Lock(); sum += n; mu.Unlock() })
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wait.Wait() })
	return ln, func() int64 { mu.Lock(); defer mu.Unlock(); return sum }
}

func drain(c net.Conn, took func(int64)) {
	r, w := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	w.WriteString("220 sink\r\n")
	for {
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case bytes.HasPrefix(line, []byte("EHLO")):
			w.WriteString("250-sink\r\n250-PIPELINING\r\n250 SIZE\r\n")
		case bytes.HasPrefix(line, []byte("DATA")):
			w.WriteString("354 go\r\n")
			if w.Flush() != nil {
				return
			}
			var n int64
			for last := false; !last; {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				n += int64(len(line))
				last = string(line) == ".\r\n"
			}
			took(n)
			w.WriteString("250 2.0.0 taken\r\n")
		default:
			w.WriteString("250 fine\r\n")
		}
	}
}

// FuzzStuffer: what is accepted comes out of the library's server's rules as it went in,
// and the end of data stands at the end alone.
func FuzzStuffer(f *testing.F) {
	for _, s := range []string{letter, "", ".", ".\r\n", "a", "\r\n.\r\n", "a\n", "a\r", "\r\r\n", "..\r\n.a", "a\r\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Add([]byte("abcd.e\r\n..f\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var out bytes.Buffer
		d := newStuffer(bufio.NewWriter(&out))
		var err error
		for rest := in; len(rest) > 0 && err == nil; {
			n := min(len(rest), int(step)+1)
			_, err = d.Write(rest[:n])
			rest = rest[n:]
		}
		if err == nil {
			err = d.end()
		}
		clean := !bytes.ContainsAny(bytes.ReplaceAll(in, []byte("\r\n"), nil), "\r\n\x00")
		if (err == nil) != clean {
			t.Fatalf("%q: %v", in, err)
		}
		if err != nil {
			return
		}
		d.w.Flush()
		lines := strings.SplitAfter(out.String(), "\r\n")
		if n := len(lines); lines[n-1] != "" || lines[n-2] != ".\r\n" || slices.Index(lines, ".\r\n") != n-2 {
			t.Fatalf("%q ends as %q", in, out.String())
		}
		var back strings.Builder
		for _, line := range lines[:len(lines)-2] {
			back.WriteString(strings.TrimPrefix(line, "."))
		}
		want := string(in)
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if back.String() != want {
			t.Fatalf("%q becomes %q", in, out.String())
		}
	})
}

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

func benchmark(b *testing.B, senders int) {
	ln, _ := sink(b)
	c := simple(&server{ln: ln}).courier(b, func(cfg *Config) { cfg.Limits.CourierHost = int64(senders) })
	j := job()
	j.Open = text(strings.Repeat("0123456789 the quick brown fox jumps over the lazy dog\r\n", 100))
	b.SetBytes(5600)
	b.ReportAllocs()
	work := make(chan struct{})
	var wait sync.WaitGroup
	for range senders {
		wait.Go(func() {
			for range work {
				res, err := c.Carry(b.Context(), j)
				if err != nil || res[0].Outcome != Delivered {
					b.Errorf("%+v, %v", res, err)
				}
			}
		})
	}
	n := 0
	for b.Loop() {
		work <- struct{}{}
		n++
	}
	close(work)
	wait.Wait()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
}

// Deliveries of 5.6 kB over kept connections: of one sender, and of sixteen at once.
func BenchmarkCarry(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmark(b, n) })
	}
}
