package content

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

func set(name, value string) gateway.HeaderEdit {
	return gateway.HeaderEdit{Set: true, Name: name, Value: value}
}

func del(name string) gateway.HeaderEdit { return gateway.HeaderEdit{Name: name} }

// Only the fields that are named change; all other bytes are what they were.
func TestRewrite(t *testing.T) {
	const body = "\r\nX-A: in the body\r\n\r\n"
	for _, tt := range []struct {
		name  string
		head  string
		edits []gateway.HeaderEdit
		want  string
	}{
		{"nothing", "A: b\r\n", nil, "A: b\r\n"},
		{"deleted, each of the name", "x-a: 1\r\nA: b\r\nX-A : 2\r\n folded\r\n\tmore\r\nC: d\r\n", []gateway.HeaderEdit{del("X-a")}, "A: b\r\nC: d\r\n"},
		{"deleted, not there", "A: b\r\n", []gateway.HeaderEdit{del("X-A")}, "A: b\r\n"},
		{"set where the first stood", "A: b\r\nX-A: 1\r\nC:  d\r\nx-a: 2\r\n", []gateway.HeaderEdit{set("X-A", "3")}, "A: b\r\nX-A: 3\r\nC:  d\r\n"},
		{"set behind all others", "A: b\r\nC: d\r\n", []gateway.HeaderEdit{set("X-A", "1")}, "A: b\r\nC: d\r\nX-A: 1\r\n"},
		{"one after the other", "A: b\r\n", []gateway.HeaderEdit{set("X-A", "1"), set("X-A", "2"), set("X-B", "1"), del("x-b")}, "A: b\r\nX-A: 2\r\n"},
		{"nothing left", "X-A: b\r\n", []gateway.HeaderEdit{del("X-A")}, ""},
		{"lines that are no fields", "From me\r\n odd\r\nX-A: 1\r\n", []gateway.HeaderEdit{del("X-A"), del("From me")}, "From me\r\n odd\r\n"},
		{"encoded", "A: b\r\n", []gateway.HeaderEdit{set("X-A", "zwölf")}, "A: b\r\nX-A: =?utf-8?q?zw=C3=B6lf?=\r\n"},
		{"no bytes of other lines", "A: b\r\n", []gateway.HeaderEdit{set("X-A", "1\r\nBcc: x@y.test\x00")}, "A: b\r\nX-A: 1  Bcc: x@y.test \r\n"},
		{"folded", "A: b\r\n", []gateway.HeaderEdit{set("X-A", strings.Repeat("123456789 ", 8)+"123456789")}, "A: b\r\nX-A:" + strings.Repeat(" 123456789", 7) + "\r\n 123456789 123456789\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got bytes.Buffer
			err := Rewrite(&got, strings.NewReader(tt.head+body), int64(len(tt.head)+2), tt.edits)
			if err != nil || got.String() != tt.want+body {
				t.Errorf("%v\n%q, want\n%q", err, got.String(), tt.want+body)
			}
		})
	}
}

// What names the message, says how it came or that a program wrote it, stays.
func TestCheckEdits(t *testing.T) {
	lim := gateway.DefaultLimits()
	for _, tt := range []struct {
		edit gateway.HeaderEdit
		ok   bool
	}{
		{set("X-A", "1"), true},
		{del("List-Unsubscribe"), true},
		{del("Reply-To"), true},
		{set("reply-to", "Ann <ann@a.test>"), true},
		{set("Reply-To", "nobody"), false},
		{set("Message-ID", "<a@b>"), false},
		{del("In-Reply-To"), false},
		{del("references"), false},
		{del("Auto-Submitted"), false},
		{set("Auto-Submitted", "no"), false},
		{del("From"), false},
		{set("Bcc", "a@b.test"), false},
		{set("Received", "x"), false},
		{del("DKIM-Signature"), false},
		{del("Content-Type"), false},
		{del("ARC-Seal"), false},
		{set("Authentication-Results", "x"), false},
		{set("X-A:", "1"), false},
		{set("X-A", "1\r\nB: c"), false},
		{set("X-A", strings.Repeat("x", int(lim.CustomHeaderBytes))), false},
	} {
		err := CheckEdits([]gateway.HeaderEdit{tt.edit}, lim)
		if (err == nil) != tt.ok || err != nil && gateway.KindOf(err) != gateway.InvalidParameter {
			t.Errorf("%+.60v: %v", tt.edit, err)
		}
	}
	if err := CheckEdits(slices.Repeat([]gateway.HeaderEdit{del("X-A")}, int(lim.CustomHeaders)+1), lim); err == nil {
		t.Error("too many are fine")
	}
}

// A value is read back as it was given, and no line is longer than RFC 5322 section 2.1.1
// allows, also where there is no place to fold.
func TestFieldLines(t *testing.T) {
	long := strings.Repeat("x", 3000)
	for _, value := range []string{"", "a", " a  b\t c ", long, "see " + long + " here", "ü" + long, long + "ü", strings.Repeat("ü", 2000), strings.Repeat(" ", 2000) + "a" + strings.Repeat("\t", 2000) + "b", strings.Repeat("word ", 1000)} {
		for _, name := range []string{"X", "X-" + strings.Repeat("n", 98)} {
			b := Fields([]gateway.HeaderField{{Name: name, Value: value}})
			for line := range bytes.Lines(b) {
				if len(line) > 1000 || !bytes.HasSuffix(line, []byte("\r\n")) || len(bytes.TrimSpace(line)) == 0 {
					t.Errorf("a line of %d bytes: %.80q", len(line), line)
				}
			}
			back, err := Header(bytes.NewReader(b), gateway.DefaultLimits())
			if want := strings.Trim(value, " \t"); err != nil || len(back) != 1 || !strings.EqualFold(back[0].Name, name) || strings.Trim(back[0].Value, " \t") != want {
				t.Errorf("%.40q of %d bytes came back as %.80v, %v", value, len(value), back, err)
			}
		}
	}
}

func FuzzRewrite(f *testing.F) {
	for _, raw := range []string{"A: b\r\nX-A: 1\r\n\r\nbody", "X-A: 1\r\n two\r\nx-a:\r\n\r\n", "no field\r\n X-A: 1\r\nX-A: 2", "\r\nX-A: b", "A: b\nX-A: c\n\nbody\n", "X-A\t : 1\r\r\nB: c\r\n\r\n"} {
		f.Add(raw, "X-A", "value", true)
		f.Add(raw, "x-a", "zwölf\u00a0", false)
		f.Add(raw, "New", strings.Repeat("long ", 100), true)
	}
	lim := gateway.DefaultLimits()
	f.Fuzz(func(t *testing.T, raw, name, value string, sets bool) {
		edit := gateway.HeaderEdit{Set: sets, Name: name, Value: value}
		if strings.EqualFold(name, "Reply-To") || !utf8.ValidString(value) || CheckEdits([]gateway.HeaderEdit{edit}, lim) != nil {
			return
		}
		c, err := Scan(strings.NewReader(raw), lim)
		if err != nil {
			return
		}
		edited := func(raw string, size int64, e gateway.HeaderEdit) string {
			var out bytes.Buffer
			if err := Rewrite(&out, strings.NewReader(raw), size, []gateway.HeaderEdit{e}); err != nil {
				t.Fatal(err)
			}
			return out.String()
		}
		got := edited(raw, c.HeaderSize, edit)
		again, err := Scan(strings.NewReader(got), lim)
		if err != nil {
			t.Skip() // it is over a limit now, which who edits is told
		}
		if body := raw[c.HeaderSize:]; got[again.HeaderSize:] != body {
			t.Fatalf("the body is %q, was %q", got[again.HeaderSize:], body)
		}
		// Without the field both are the same, byte for byte but for a last line end.
		without := func(raw string, size int64) string {
			return strings.TrimRight(edited(raw[:size], size, del(name)), "\r\n")
		}
		if a, b := without(got, again.HeaderSize), without(raw, c.HeaderSize); a != b {
			t.Errorf("the rest is %q, was %q", a, b)
		}
		before, err1 := Header(strings.NewReader(raw[:c.HeaderSize]), lim)
		after, err2 := Header(strings.NewReader(got), lim)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		want := EditFields(before, []gateway.HeaderEdit{edit})
		if len(after) != len(want) {
			t.Fatalf("%q, want %q", after, want)
		}
		for i := range want {
			same := after[i].Value == want[i].Value || after[i].Value == decodeField(strings.Trim(value, " \t"))
			if !strings.EqualFold(after[i].Name, want[i].Name) || !same {
				t.Errorf("field %d is %q, want %q", i, after[i], want[i])
			}
		}
	})
}
