package courier

import (
	"strings"
	"testing"
)

// An address on the wire: nothing in it ends the path.
func TestPath(t *testing.T) {
	for _, tt := range []struct {
		name, in, want string
		wide           bool
	}{
		{"plain", "a.b+c@Example.COM", "a.b+c@example.com", false},
		{"quoted for no reason", `"ab"@example.com`, "ab@example.com", false},
		{"quoted", `"a b"@example.com`, `"a b"@example.com`, false},
		{"to be quoted", `a b@example.com`, `"a b"@example.com`, false},
		{"parameters inside quotes", `"x> NOTIFY=NEVER <y"@example.com`, `"x> NOTIFY=NEVER <y"@example.com`, false},
		{"parameters without quotes", `x> NOTIFY=NEVER <y@example.com`, `"x> NOTIFY=NEVER <y"@example.com`, false},
		{"a quote inside", `"a\"b"@example.com`, `"a\"b"@example.com`, false},
		{"a quote inside, without quotes", `a"b@example.com`, `"a\"b"@example.com`, false},
		{"a backslash", `a\b@example.com`, `"a\\b"@example.com`, false},
		{"an @ inside", `a@b@example.com`, `"a@b"@example.com`, false},
		{"empty and quoted", `""@example.com`, `""@example.com`, false},
		{"dots", `.a@example.com`, `".a"@example.com`, false},
		{"wide", "é@example.com", "é@example.com", true},
		{"wide domain", "a@bücher.example", "a@xn--bcher-kva.example", false},
		{"odd names", "a@b_c.d--e.example.", "a@b_c.d--e.example", false},
		{"literal", "a@[192.0.2.1]", "a@[192.0.2.1]", false},
		{"literal of six", "a@[IPv6:2001:db8::1]", "a@[IPv6:2001:db8::1]", false},
		{"longest local part", strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com", false},
	} {
		got, wide, err := path(tt.in)
		if err != nil || got != tt.want || wide != tt.wide {
			t.Errorf("%s: %q, %v, %v, want %q, %v", tt.name, got, wide, err, tt.want, tt.wide)
		}
		if again, _, err := path(got); err != nil || again != got {
			t.Errorf("%s: %q becomes %q, %v", tt.name, got, again, err)
		}
	}
	for _, in := range []string{
		"", "a", "@b.test", "a@", "a\r\n@b.test", "a\x00@b.test", "a\x7f@b.test", "a@b\r\n.test", "a@b.test> SIZE=1", "a@b test", "a@[::1]", "a@[127.0.0.1",
		`"a"b"@b.test`, `"a\"@b.test`, "a\xff@b.test", strings.Repeat("a", 65) + "@b.test", "a@" + strings.Repeat("b.", 126) + "test", "a@[IPv6:fe80::1%lo]",
	} {
		if out, _, err := path(in); err == nil {
			t.Errorf("%q becomes %q", in, out)
		}
	}
}

// Whatever comes in: what comes out is one path, and means the same when read again.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a@b.test", `"x> NOTIFY=NEVER <y"@b.test`, `"a\"b"@b.test`, "é@b.test", "a@[192.0.2.1]", `"\\"@b.test`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, _, err := path(s)
		if err != nil {
			return
		}
		if len(out) > 254 || strings.ContainsFunc(out, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			t.Fatalf("%q becomes %q", s, out)
		}
		quoted := false
		for i := 0; i < len(out); i++ {
			switch c := out[i]; {
			case quoted && c == '\\':
				i++
			case c == '"':
				quoted = !quoted
			case !quoted && strings.IndexByte(" <>(),;", c) >= 0:
				t.Fatalf("%q becomes %q", s, out)
			}
		}
		if again, _, err := path(out); quoted || err != nil || again != out {
			t.Fatalf("%q becomes %q, then %q, %v", s, out, again, err)
		}
	})
}
