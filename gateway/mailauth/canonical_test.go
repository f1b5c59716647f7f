package mailauth

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// The forms of a body, by RFC 6376 sections 3.4.3 to 3.4.5.
func TestCanonicalBody(t *testing.T) {
	for in, want := range map[string][2]string{
		"":                          {"\r\n", ""},
		"\r\n\r\n":                  {"\r\n", ""},
		" \t\r\n":                   {" \t\r\n", ""},
		"a":                         {"a\r\n", "a\r\n"},
		"a\r\n":                     {"a\r\n", "a\r\n"},
		"a\r\n\r\n\r\n":             {"a\r\n", "a\r\n"},
		" C \r\nD \t E\r\n\r\n\r\n": {" C \r\nD \t E\r\n", " C\r\nD E\r\n"},
		"a\r\n \r\nb":               {"a\r\n \r\nb\r\n", "a\r\n\r\nb\r\n"},
		"a\nb\n":                    {"a\r\nb\r\n", "a\r\nb\r\n"},
		"a\rb\r":                    {"a\rb\r\r\n", "a\rb\r\r\n"},
		"a \r\r\n":                  {"a \r\r\n", "a \r\r\n"},
		strings.Repeat("z", 10000):  {strings.Repeat("z", 10000) + "\r\n", strings.Repeat("z", 10000) + "\r\n"},
	} {
		for i, relaxed := range []bool{false, true} {
			for _, step := range []int{1, 2, 7, len(in) + 1} {
				h := newBodyHash(relaxed)
				for at := 0; at < len(in); at += step {
					_, _ = h.Write([]byte(in[at:min(at+step, len(in))]))
				}
				if sum := sha256.Sum256([]byte(want[i])); !bytes.Equal(h.Sum(), sum[:]) {
					t.Errorf("%.40q in steps of %d, relaxed %t", in, step, relaxed)
				}
			}
		}
	}
	got := string(canonicalField(nil, []byte("SUBJect \t: \t AbC\r\n\t def  \r\n"), true))
	if want := "subject:AbC def\r\n"; got != want {
		t.Errorf("a field: %q", got)
	}
	if got := canonicalField(nil, []byte("Ab: c\r\n\td \n"), false); string(got) != "Ab: c\r\n\td \r\n" {
		t.Errorf("a field as it is: %q", got)
	}
}
