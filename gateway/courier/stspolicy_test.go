package courier

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestRecordID(t *testing.T) {
	for _, tt := range []struct {
		name    string
		records []string
		want    string // empty: none
	}{
		{"the RFC's", []string{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
		{"no delimiter at the end", []string{"v=STSv1;id=1"}, "1"},
		{"blanks", []string{"v=STSv1 \t;  id=a1  ; "}, "a1"},
		{"extensions", []string{"v=STSv1; x=y; id=1; z=w"}, "1"},
		{"beside others", []string{"hello", "v=spf1 -all", "v=STSv1; id=1;"}, "1"},
		{"the first id", []string{"v=STSv1; id=1; id=2"}, "1"},
		{"two records", []string{"v=STSv1; id=1;", "v=STSv1; id=1;"}, ""},
		{"one of them bad", []string{"v=STSv1; id=1;", "v=STSv1; id"}, ""},
		{"nothing", nil, ""},
		{"another version", []string{"v=STSv2; id=1"}, ""},
		{"another case", []string{"V=STSv1; id=1"}, ""},
		{"version in the end", []string{"id=1; v=STSv1"}, ""},
		{"no id", []string{"v=STSv1; x=y"}, ""},
		{"empty id", []string{"v=STSv1; id="}, ""},
		{"id too long", []string{"v=STSv1; id=" + strings.Repeat("1", 33)}, ""},
		{"id with a mark", []string{"v=STSv1; id=1-2"}, ""},
	} {
		if got, ok := recordID(tt.records); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %q, %v", tt.name, got, ok)
		}
	}
}

func TestParsePolicy(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     string // empty: none
	}{
		{"the RFC's", "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmx: backupmx.example.com\r\nmax_age: 604800\r\n", "enforce [mail.example.com *.example.net backupmx.example.com] 168h0m0s"},
		{"LF, no blanks", "version:STSv1\nmode:testing\nmx:A.Example\nmax_age:1", "testing [a.example] 1s"},
		{"none", "version: STSv1\nmode: none\nmax_age: 10\n", "none [] 10s"},
		{"unknown fields", "version: STSv1\nx: y:z\nmode: none\nmax_age: 10\n", "none [] 10s"},
		{"the first counts", "version: STSv1\nmode: none\nmode: enforce\nmax_age: 10\nmax_age: 20\n", "none [] 10s"},
		{"too old", "version: STSv1\nmode: none\nmax_age: 99999999\n", "none [] 8766h0m0s"},
		{"wide host", "version: STSv1\nmode: enforce\nmx: *.bücher.example\nmax_age: 1\n", "enforce [*.xn--bcher-kva.example] 1s"},
		{"nothing", "", ""},
		{"no version", "mode: none\nmax_age: 10\n", ""},
		{"another version", "version: STSv2\nmode: none\nmax_age: 10\n", ""},
		{"no mode", "version: STSv1\nmx: a.test\nmax_age: 10\n", ""},
		{"another mode", "version: STSv1\nmode: Enforce\nmx: a.test\nmax_age: 10\n", ""},
		{"no mx", "version: STSv1\nmode: enforce\nmax_age: 10\n", ""},
		{"no age", "version: STSv1\nmode: enforce\nmx: a.test\n", ""},
		{"negative age", "version: STSv1\nmode: none\nmax_age: -1\n", ""},
		{"age too long", "version: STSv1\nmode: none\nmax_age: 00000000001\n", ""},
		{"asterisk inside", "version: STSv1\nmode: enforce\nmx: a.*.test\nmax_age: 10\n", ""},
		{"asterisk alone", "version: STSv1\nmode: enforce\nmx: *\nmax_age: 10\n", ""},
		{"HTML", "<html>\n<body>hello</body>", ""},
	} {
		p, ok := parsePolicy(tt.in)
		if got := fmt.Sprint(p.Mode, " ", p.Hosts, " ", p.MaxAge); ok != (tt.want != "") || ok && got != tt.want {
			t.Errorf("%s: %s, %v", tt.name, got, ok)
		}
	}
}

// RFC 8461 section 4.1: an asterisk is one label.
func TestPolicyMatch(t *testing.T) {
	p := Policy{Hosts: []string{"mx.a.test", "*.b.test"}}
	for host, want := range map[string]bool{"mx.a.test": true, "a.test": false, "x.mx.a.test": false, "x.b.test": true, "b.test": false, "x.y.b.test": false, "": false, ".b.test": true} {
		if p.match(host) != want {
			t.Errorf("%q: %v", host, !want)
		}
	}
}

// A policy that is written down again is the same, and names hosts that could be.
func FuzzParsePolicy(f *testing.F) {
	f.Add("version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n")
	f.Add("version:STSv1\nmode:none\nmax_age:0")
	f.Fuzz(func(t *testing.T, in string) {
		p, ok := parsePolicy(in)
		if !ok {
			return
		}
		out := fmt.Sprintf("version: STSv1\nmode: %s\nmax_age: %d\n", p.Mode, int64(p.MaxAge.Seconds()))
		for _, h := range p.Hosts {
			out += "mx: " + h + "\n"
			if name := strings.Replace(h, "*", "x", 1); !p.match(name) {
				t.Errorf("%q does not match %q", h, name)
			}
		}
		again, ok := parsePolicy(out)
		if !ok || again.Mode != p.Mode || again.MaxAge != p.MaxAge || !slices.Equal(again.Hosts, p.Hosts) {
			t.Errorf("%q is %+v, then %+v, %v", in, p, again, ok)
		}
	})
}

func FuzzRecordID(f *testing.F) {
	f.Add("v=STSv1; id=20160831085700Z;")
	f.Add("v=STSv1;x=y;id=1")
	f.Fuzz(func(t *testing.T, in string) {
		id, ok := recordID([]string{"v=spf1 -all", in})
		if !ok {
			return
		}
		if again, ok := recordID([]string{"v=STSv1; id=" + id}); !ok || again != id {
			t.Errorf("%q: %q, then %q, %v", in, id, again, ok)
		}
		if _, ok := recordID([]string{in, in}); ok {
			t.Errorf("%q counts twice", in)
		}
	})
}
