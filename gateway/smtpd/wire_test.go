package smtpd

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/guard"
)

// FuzzWire: what passes is a prefix of what came, and holds no line end over
// which parsers could disagree.
func FuzzWire(f *testing.F) {
	for _, s := range []string{"", "a\r\n", "a\r\r\n.\r\n", "x\r\n.\r\nQUIT\r\n", "BDAT 3\r\na\rb\r\nNOOP\r\n", "\r\n.\n", "a\x00"} {
		f.Add(s, true, false)
		f.Add(s, false, true)
	}
	f.Fuzz(func(t *testing.T, in string, data, lenient bool) {
		w := &wire{r: iotest.HalfReader(strings.NewReader(in)), lenient: lenient}
		if data {
			w.beginData()
		}
		out, err := io.ReadAll(w)
		if !strings.HasPrefix(in, string(out)) {
			t.Fatalf("%q became %q", in, out)
		}
		if err == nil && len(out) != len(in) {
			t.Fatalf("%q was cut to %q without an error", in, out)
		}
		whole := &wire{r: strings.NewReader(in), lenient: lenient}
		if data {
			whole.beginData()
		}
		again, err2 := io.ReadAll(whole)
		if !bytes.Equal(out, again) || errors.Is(err, errWire) != errors.Is(err2, errWire) {
			t.Fatalf("%q: in halves %q, %v; at once %q, %v", in, out, err, again, err2)
		}
		if strings.Contains(strings.ToUpper(in), "BDAT ") {
			return // a chunk may hold anything
		}
		text := strings.TrimSuffix(strings.ReplaceAll(string(out), "\r\n", ""), "\r")
		if strings.ContainsAny(text, "\r\x00") || !lenient && strings.Contains(text, "\n") {
			t.Fatalf("%q let %q pass", in, out)
		}
	})
}

// S13: no text of anybody's makes a second reply.
func TestS13OneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "two\r\nlines": "two lines", "a\rb\nc\x00d\x1b[2Je": "a b c d [2Je", "  spaces  ": "spaces", "caf\u00e9": "caf", "": "",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
	if got := oneLine(strings.Repeat("x", 1000)); len(got) != maxReplyText {
		t.Errorf("%d bytes, want %d", len(got), maxReplyText)
	}
}

// recorded is a connection that gives three bytes at a time and notes until when
// it was read.
type recorded struct {
	net.Conn
	from      io.Reader
	deadlines []time.Time
}

func (r *recorded) Read(p []byte) (int, error) { return r.from.Read(p[:3]) }

func (r *recorded) SetReadDeadline(t time.Time) error {
	r.deadlines = append(r.deadlines, t)
	return nil
}

// S7: the deadline of a command does not hold for a message: what came buys time,
// up to the time for all of it; and none is longer than a pause.
func TestS7Deadlines(t *testing.T) {
	recorder := &recorded{from: strings.NewReader("a\r\nb\r\nc\r\n")}
	d := &door{Server: &Server{cfg: Config{Limits: gateway.DefaultLimits()}}}
	c := d.newConn(&guard.Conn{Conn: recorder})
	body, ctx := d.receive(c, c)
	defer body.close()
	for range 3 {
		if _, err := body.Read(make([]byte, 3)); err != nil {
			t.Fatal(err)
		}
	}
	for i, at := range recorder.deadlines {
		if got, want := at.Sub(body.began), gateway.TransferGrace; got != want {
			t.Errorf("read %d may take %v, want %v", i, got, want)
		}
	}
	for _, tt := range []struct {
		came      int64
		now, want time.Duration
	}{
		{60 << 10, 0, 90 * time.Second},
		{600 << 10, 0, gateway.TransferPause},
		{600 << 10, 10 * time.Minute, 10*time.Minute + 30*time.Second},
		{1 << 40, 29 * time.Minute, gateway.TransferTimeout},
	} {
		body.came = tt.came
		if got := body.deadline(body.began.Add(tt.now)).Sub(body.began); got != tt.want {
			t.Errorf("after %d bytes and %v: until %v, want %v", tt.came, tt.now, got, tt.want)
		}
	}
	body.came = 0
	if err := c.SetReadDeadline(time.Now().Add(gateway.CommandTimeout)); err != nil || recorder.deadlines[len(recorder.deadlines)-1].Sub(body.began) != gateway.TransferGrace {
		t.Errorf("between two chunks: until %v, %v", recorder.deadlines, err)
	}
	if body.ended(io.EOF); ctx.Err() != nil || body.timer == nil {
		t.Error("the clock of our own work does not run")
	}
}
