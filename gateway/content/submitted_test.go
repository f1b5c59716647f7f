package content

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/centerleap/postern/gateway"
)

var testTrace = Trace{MessageID: "<new@demo.localhost>", Date: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}

func rewrite(t *testing.T, in string) (*Submitted, string) {
	t.Helper()
	s, err := ReadSubmitted(iotest.OneByteReader(strings.NewReader(in)), gateway.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := s.Write(&out, testTrace); err != nil {
		t.Fatal(err)
	}
	return s, out.String()
}

func TestSubmitted(t *testing.T) {
	const added = "Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <new@demo.localhost>\r\n"
	tests := []struct{ name, in, want string }{
		{"complete", "Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nMessage-ID: <a@b>\r\nFrom: a@demo.localhost\r\n\r\nhi\r\n", "Date: Mon, 23 Nov 2026 10:00:00 +0100\r\nMessage-ID: <a@b>\r\nFrom: a@demo.localhost\r\n\r\nhi\r\n"},
		{"Date and Message-ID are added", "From: a@demo.localhost\r\n\r\nhi\r\n", added + "From: a@demo.localhost\r\n\r\nhi\r\n"},
		{"unusable ones are replaced", "Message-ID: nonsense\r\nDate: soon\r\n enough\r\nFrom: a@demo.localhost\r\n\r\n", added + "From: a@demo.localhost\r\n\r\n"},
		{"Bcc is gone, folded or not", "From: a@demo.localhost\r\nBCC: x@y.example,\r\n z@y.example\r\nTo: b@y.example\r\n\r\n", added + "From: a@demo.localhost\r\nTo: b@y.example\r\n\r\n"},
		{"what only we may say is gone", "Authentication-Results: mail.demo.localhost;\r\n dmarc=pass\r\nFrom: a@demo.localhost\r\nReturn-Path: <x@y.example>\r\n\r\n", added + "From: a@demo.localhost\r\n\r\n"},
		{"so is what we write", "DKIM-Signature: v=1;\r\n b=x\r\nX-Postern-Hop: 1\r\nx-postern-: y\r\nX-Post: z\r\nFrom: a@demo.localhost\r\n\r\n", added + "X-Post: z\r\nFrom: a@demo.localhost\r\n\r\n"},
		{"bare line feeds", "From: a@demo.localhost\nTo: b@y.example\n\none\ntwo", added + "From: a@demo.localhost\r\nTo: b@y.example\r\n\r\none\r\ntwo\r\n"},
		{"a lone CR, also at the end", "From: a@demo.localhost\r\n\r\none\rtwo\r", added + "From: a@demo.localhost\r\n\r\none\r\ntwo\r\n"},
		{"no body", "From: a@demo.localhost", added + "From: a@demo.localhost\r\n\r\n"},
		{"an mbox line", "From a@b Mon Nov 23 10:00:00 2026\r\nFrom: a@demo.localhost\r\n\r\nx\r\n", added + "From: a@demo.localhost\r\n\r\nx\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, got := rewrite(t, tt.in); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
	s, _ := rewrite(t, "From: =?utf-8?q?Zo=C3=AB?= <Zoe@DEMO.localhost>\r\nBcc: Ann <x@y.example>\r\n\r\n")
	if s.From.Name != "Zoë" || s.From.Addr != "Zoe@demo.localhost" || len(s.Bcc) != 1 || s.Bcc[0].Addr != "x@y.example" {
		t.Errorf("got %+v", s)
	}
}

func TestSubmittedRefused(t *testing.T) {
	tests := []struct {
		name, in string
		want     gateway.Kind
	}{
		{"no From", "To: a@b.example\r\n\r\nhi", gateway.InvalidFrom},
		{"two From fields", "From: a@demo.localhost\r\nFrom: b@demo.localhost\r\n\r\n", gateway.InvalidFrom},
		{"two authors", "From: a@demo.localhost, b@demo.localhost\r\n\r\n", gateway.InvalidFrom},
		{"no address", "From: somebody\r\n\r\n", gateway.InvalidFrom},
		{"empty", "", gateway.InvalidFrom},
		{"a line that is no field", "From: a@demo.localhost\r\nnonsense\r\n\r\n", gateway.Malformed},
		{"a folded first line", " x\r\nFrom: a@demo.localhost\r\n\r\n", gateway.Malformed},
		{"a huge header", "From: a@demo.localhost\r\nX: " + strings.Repeat("y", 300<<10) + "\r\n\r\n", gateway.TooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadSubmitted(strings.NewReader(tt.in), gateway.DefaultLimits())
			if got := gateway.KindOf(err); got != tt.want || err == nil {
				t.Errorf("got %v (%v), want %v", got, err, tt.want)
			}
		})
	}
	broken := errors.New("gone")
	s, err := ReadSubmitted(io.MultiReader(strings.NewReader("From: a@demo.localhost\r\n\r\nhalf"), iotest.ErrReader(broken)), gateway.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Write(io.Discard, testTrace); !errors.Is(err, broken) {
		t.Errorf("a broken body: %v", err)
	}
}

// FuzzNormalLines: no line end is left that is not CRLF, nothing else changes,
// and mending twice changes nothing more.
func FuzzNormalLines(f *testing.F) {
	for _, s := range []string{"", "a", "a\n", "a\r", "\r\r\n", "a\r\nb\nc\rd", "\n\n", "\r\n.\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		once, err := io.ReadAll(NormalLines(iotest.HalfReader(strings.NewReader(in))))
		if err != nil {
			t.Fatal(err)
		}
		if bare := strings.ReplaceAll(string(once), "\r\n", ""); strings.ContainsAny(bare, "\r\n") {
			t.Errorf("%q became %q", in, once)
		}
		strip := strings.NewReplacer("\r", "", "\n", "")
		if strip.Replace(in) != strip.Replace(string(once)) {
			t.Errorf("%q became %q", in, once)
		}
		if twice, _ := io.ReadAll(NormalLines(bytes.NewReader(once))); !bytes.Equal(once, twice) {
			t.Errorf("%q, then %q", once, twice)
		}
	})
}

func BenchmarkSubmitted(b *testing.B) {
	in := "From: a@demo.localhost\r\nTo: b@y.example\r\nSubject: x\r\n\r\n" + strings.Repeat("a line of text that is as long as lines are in mail, about\r\n", 70)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		s, err := ReadSubmitted(strings.NewReader(in), gateway.DefaultLimits())
		if err != nil {
			b.Fatal(err)
		}
		if err := s.Write(io.Discard, testTrace); err != nil {
			b.Fatal(err)
		}
	}
}
