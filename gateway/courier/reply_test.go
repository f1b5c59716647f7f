package courier

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

func TestReplies(t *testing.T) {
	small := gateway.DefaultLimits()
	small.CourierReply, small.CourierReplies = 200, 300
	for _, tt := range []struct {
		name, in string
		want     []string // code and text of each
		err      error
	}{
		{"one", "250 ok\r\n", []string{"250 ok"}, io.ErrUnexpectedEOF},
		{"several", "250 ok\r\n550 5.1.1 no\r\n", []string{"250 ok", "550 no"}, io.ErrUnexpectedEOF},
		{"several lines", "250-a\r\n250-b\r\n250 c\r\n", []string{"250 a b c"}, io.ErrUnexpectedEOF},
		{"no text", "250\r\n250-\r\n250 \r\n", []string{"250 ", "250 "}, io.ErrUnexpectedEOF},
		{"LF alone", "250 ok\n", []string{"250 ok"}, io.ErrUnexpectedEOF},
		{"CR inside", "550 5.7.1 a\rMAIL FROM:<x>\r\n", []string{"550 a MAIL FROM:<x>"}, io.ErrUnexpectedEOF},
		{"control bytes", "550 \x1b[2Ja\x00b\x07\tc\x7f\xff\xfe é\r\n", []string{"550 [2Ja b c"}, io.ErrUnexpectedEOF},
		{"cut off", "250-a\r\n250 b", nil, io.ErrUnexpectedEOF},
		{"codes differ", "250-a\r\n550 b\r\n", nil, errSyntax},
		{"no code", "hello\r\n", nil, errSyntax},
		{"a short code", "25 a\r\n", nil, errSyntax},
		{"a long code", "2500 a\r\n", nil, errSyntax},
		{"a code of no class", "650 a\r\n", nil, errSyntax},
		{"a preliminary one", "150 a\r\n", nil, errSyntax},
		{"no code in a line between", "250-a\r\nb\r\n250 c\r\n", nil, errSyntax},
		{"lines without end", strings.Repeat("250-a\r\n", 100), nil, errFlood},
		{"a line without end", "250 " + strings.Repeat("a", 300) + "\r\n", nil, errFlood},
		{"too much in all", strings.Repeat("250 "+strings.Repeat("a", 140)+"\r\n", 3), []string{"250 " + strings.Repeat("a", 140), "250 " + strings.Repeat("a", 140)}, errFlood},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newReplies(strings.NewReader(tt.in), small)
			var got []string
			rep, err := r.next()
			for ; err == nil; rep, err = r.next() {
				got = append(got, fmt.Sprintf("%d %s", rep.code, rep.text()))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v, want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// Whatever comes: no more is read than allowed, what is said is fit to print, and a
// reply that is written down again is the same.
func FuzzReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\r\n", "550 5.1.1 no\r\n", "550\n", "421 4.4.2 \x00\r\r\n", "250-", "552 5.2.2 full\n", "400 4.0.0\r\r\n"} {
		f.Add([]byte(s))
	}
	limits := gateway.DefaultLimits()
	limits.CourierReply = 1000
	f.Fuzz(func(t *testing.T, in []byte) {
		src := bytes.NewReader(in)
		r := newReplies(src, limits)
		rep, err := r.next()
		if used := len(in) - src.Len(); used > 1000+2*maxReplyLine {
			t.Fatalf("%d bytes read", used)
		}
		if err != nil {
			return
		}
		if rep.code < 200 || rep.code > 599 {
			t.Fatalf("code %d", rep.code)
		}
		for _, at := range []Phase{PhaseMail, PhaseRcpt, PhaseData, PhaseEnd} {
			a := rep.answer(at)
			if rep.is(4) || rep.is(5) || rep.is(2) && at == PhaseEnd {
				fit(t, Result{Answer: a})
			}
			if a.Outcome == Delivered != (at == PhaseEnd && rep.is(2)) {
				t.Fatalf("%s: %+v", at, a)
			}
		}
		var b strings.Builder
		for i, line := range rep.lines {
			fmt.Fprintf(&b, "%d%c%s\r\n", rep.code, "- "[min(1, (i+1)/len(rep.lines))], line)
		}
		again, err := newReplies(strings.NewReader(b.String()), limits).next()
		if err != nil || again.code != rep.code || again.text() != rep.text() {
			t.Fatalf("%q is read as %q, %v", in, again.lines, err)
		}
	})
}
