package mailauth

import (
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/authres"

	"github.com/centerleap/postern/gateway"
)

func TestField(t *testing.T) {
	full := Result{
		SPF: SPF{Result: SoftFail, Reason: "the client is not in the SPF record", Domain: "b.test"},
		DKIM: []Signature{
			{Result: Pass, Domain: "a.test", Selector: "long", Algorithm: "rsa-sha256", Start: "ab/+cd==", Bits: 2048},
			{Result: Policy, Reason: "l= lets others add to the body", Domain: "c.test"},
		},
		DMARC:     DMARC{Result: Fail, Reason: "no", Domain: "a.test", Policy: Quarantine, Published: Reject, Testing: true},
		Unchecked: 3, authservID: "mx.test",
	}
	want := "Authentication-Results: mx.test;\r\n" +
		"\tspf=softfail (the client is not in the SPF record) smtp.mailfrom=b.test;\r\n" +
		"\tdkim=pass (3 more not checked) header.d=a.test header.s=long header.a=rsa-sha256 header.b=\"ab/+cd==\";\r\n" +
		"\tdkim=policy (l= lets others add to the body) header.d=c.test;\r\n" +
		"\tdmarc=fail (no, test mode lowers reject) header.from=a.test policy.dmarc=quarantine\r\n"
	if got := string(full.Field()); got != want {
		t.Errorf("%s", got)
	}
	empty := Result{SPF: SPF{Result: None, HELO: true, Domain: "c.test"}, DMARC: DMARC{Result: None}, authservID: "mx.test"}
	if got, want := string(empty.Field()), "Authentication-Results: mx.test;\r\n\tspf=none smtp.helo=c.test;\r\n\tdkim=none;\r\n\tdmarc=none\r\n"; got != want {
		t.Errorf("%s", got)
	}
}

// Nothing that a sender wrote gets out of its place, into another result or another field.
func TestAttackInjection(t *testing.T) {
	for _, evil := range []string{
		"x\r\nFrom: eve@b.test", "x; dmarc=pass", "x) dmarc=pass (", "\") dmarc=pass (\"", "\\\"; dmarc=pass", "x\x00\x7f\xff\u202e", "(((((", strings.Repeat("x;", 5000), `\`,
	} {
		r := Result{
			SPF: SPF{Result: Fail, Reason: evil, Domain: evil}, DMARC: DMARC{Result: Fail, Reason: evil, Domain: evil},
			DKIM: []Signature{{Result: Fail, Reason: evil, Domain: evil, Selector: evil, Algorithm: evil, Start: evil}}, authservID: "mx.test",
		}
		got := string(r.Field())
		lines := strings.Split(got, "\r\n")
		if len(lines) != 5 || lines[4] != "" || len(got) > 8000 {
			t.Errorf("%q: %d lines, %d bytes", evil, len(lines), len(got))
		}
		for _, l := range lines[1:4] {
			if l[0] != '\t' || len(l) > 998*3 || strings.ContainsFunc(l[1:], func(c rune) bool { return c < ' ' || c > '~' }) {
				t.Errorf("%q: the line %q", evil, l)
			}
		}
		// What is left without quotes and comments are our own words.
		bare := withoutQuotes(t, got)
		if strings.Contains(bare, "pass") || strings.Count(bare, ";") != 3 || strings.Contains(bare, "eve") {
			t.Errorf("%q: %s", evil, bare)
		}
		fields, err := split([]byte(got), gateway.DefaultLimits())
		if err != nil || len(fields) != 1 || len(claims([]byte(got), "MX.test")) != 1 {
			t.Errorf("%q: %v, %v", evil, fields, err)
		}
	}
}

// withoutQuotes is a second, simple reader of quoted strings and comments.
func withoutQuotes(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	var end byte
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case end != 0 && c == '\\':
			i++
		case end != 0:
			if c == end {
				end = 0
			}
		case c == '"':
			end = '"'
		case c == '(':
			end = ')'
		default:
			b.WriteByte(c)
		}
	}
	if end != 0 {
		t.Errorf("open at the end: %q", s)
	}
	return b.String()
}

// The parser of a library that others wrote reads ours.
func TestFieldIsRead(t *testing.T) {
	r := Result{
		SPF:  SPF{Result: Pass, Domain: "b.test"},
		DKIM: []Signature{{Result: Pass, Domain: "a.test", Selector: "s"}}, DMARC: DMARC{Result: Pass, Domain: "a.test"}, authservID: "mx.test",
	}
	_, value, _ := strings.Cut(string(r.Field()), ":")
	id, results, err := authres.Parse(unfold.Replace(value))
	if err != nil || id != "mx.test" || len(results) != 3 {
		t.Fatalf("%q, %v, %v", id, results, err)
	}
	if d, ok := results[2].(*authres.DMARCResult); !ok || d.Value != authres.ResultPass || d.From != "a.test" {
		t.Errorf("%+v", results[2])
	}
}

// Fields that say to be ours, in whatever spelling.
func TestClaims(t *testing.T) {
	const name = "Authentication-Results:"
	for field, want := range map[string]bool{
		name + " mx.test; spf=pass":                            true,
		name + "mx.test;spf=pass":                              true,
		name + "MX.Test; spf=pass":                             true,
		name + " mx.test. ; spf=pass":                          true,
		name + " mx.test 1; spf=pass":                          true,
		name + " mx.test":                                      true,
		name + " (hi (there\\)) ) mx.test (x) 1 (y); none":     true,
		name + " \"mx.test\"; none":                            true,
		name + " \"m\\x.test\"; none":                          true,
		name + "\r\n\tmx.test;\r\n\tspf=pass":                  true,
		name + "\r\n (a\r\n b)\r\n mx.test; none":              true,
		"authentication-results :  mx.test; none":              true,
		name + " mx.test spf=pass":                             true,
		name + " (mx.test; none":                               true,
		name + " mx.test@b.test; none":                         true,
		"Authentication-Results\r\n : mx.test; none":           true,
		"Authentication-Results\x0b: mx.test; none":            true,
		"Authentication-Results\u00a0: mx.test; none":          true,
		name + " mx.test\u00a0; none":                          true,
		name + " \u2003mx.test; none":                          true,
		"Authentication-Results\r\n x: mx.test; none":          false,
		"Authentication-Results-X: mx.test; none":              false,
		name + " \"mx.test; none":                              true,
		name + " m\r\n x.test; none":                           false,
		name + " other.test; spf=pass":                         false,
		name + " other.test; spf=pass smtp.mailfrom=mx.test":   false,
		name + " xmx.test; none":                               false,
		name + " mx.test.b.test; none":                         false,
		name + " (mx.test) other.test; none":                   false,
		name:                                                   false,
		"X-Authentication-Results: mx.test; none":              false,
		"ARC-Authentication-Results: i=1; mx.test; none":       false,
		"Subject: Authentication-Results: mx.test":             false,
		"Subject: x\r\n Authentication-Results: mx.test; none": false,
	} {
		message := "To: x\r\n" + field + "\r\nFrom: a@a.test\r\n"
		got := claims([]byte(message), "mx.test")
		if (len(got) == 1) != want || len(got) > 1 || want && message[got[0].Start:got[0].End] != field+"\r\n" {
			t.Errorf("%q: %v", field, got)
		}
	}
	if got := claims([]byte(name+" B\u00dcCHER.test; none\r\n"), "xn--bcher-kva.test"); len(got) != 1 {
		t.Errorf("in another script: %v", got)
	}
}

// Neither the body nor anything before it hides such a field, or makes one.
func TestAttackHiddenClaims(t *testing.T) {
	c := checkerOf(t, nil, gateway.DefaultLimits())
	defer soon(t)()
	const ours = "Authentication-Results: mx.test; dmarc=pass\r\n"
	var long strings.Builder
	for r := rune(0x4e00); r < 0x4e00+20_000; r++ {
		long.WriteRune(r)
	}
	for name, tt := range map[string]struct {
		message string
		want    int
	}{
		"behind lines that are no fields": {strings.Repeat("x\r\n", 5000) + ours + "\r\n", 1},
		"behind fields":                   {strings.Repeat("X: y\r\n", 5000) + ours + "\r\n", 1},
		"behind folds":                    {"x\r\n" + strings.Repeat(" y\r\n", 5000) + ours + "\r\n", 1},
		"thousands":                       {strings.Repeat(ours, 2500) + "\r\n", 2500},
		"at the end of it all":            {"X: y\r\n" + ours, 1},
		"in the body":                     {"X: y\r\n\r\n" + ours, 0},
		"behind a name without an end":    {"Authentication-Results: " + long.String() + ";\r\n" + ours + "\r\n", 1},
		"folded at the beginning":         {" " + ours + "\r\n", 0},
	} {
		if res := check(t, c, "", tt.message); len(res.Claims) != tt.want {
			t.Errorf("%s: %d, want %d", name, len(res.Claims), tt.want)
		}
	}
}
