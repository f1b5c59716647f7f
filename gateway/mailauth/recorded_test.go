package mailauth

import (
	"os"
	"strings"
	"testing"

	"github.com/foxcpp/go-mockdns"
)

// The message of RFC 8463 appendix A, and its keys.
const (
	joe = `DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :
 subject : date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;
 d=football.example.com; i=@football.example.com;
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :
 date : message-id : from : subject : date;
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=
From: Joe SixPack <joe@football.example.com>
To: Suzie Q <suzie@shopping.example.net>
Subject: Is dinner ready?
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)
Message-ID: <20030712040037.46341.5F8J@football.example.com>

Hi.

We lost the game.  Are you hungry yet?

Joe.
`
	brisbane = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	oldKey   = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR" +
		"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hst" +
		"T5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)

// Both signatures of the RFC's own message are good, and stop being so when anything that
// they cover changes. What the relaxed form passes over does not matter.
func TestRFC8463Example(t *testing.T) {
	c := checker(t, map[string]mockdns.Zone{
		"brisbane._domainkey.football.example.com.": {TXT: []string{brisbane}},
		"test._domainkey.football.example.com.":     {TXT: []string{oldKey}},
	})
	for _, tt := range []struct{ name, from, to, want string }{
		{"as it is", "", "", "pass pass"},
		{"subject", "dinner ready", "supper ready", "fail fail"},
		{"body", "the game", "the match", "fail fail"},
		{"a second From", "To: Suzie", "From: x@y.example\nTo: Suzie", "fail fail"},
		{"a second Subject", "To: Suzie", "Subject: x\nTo: Suzie", "fail fail"},
		{"another field", "To: Suzie", "X-Other: x\nTo: Suzie", "pass pass"},
		{"folding", "Subject: Is dinner", "subject :\n  Is \t dinner", "pass pass"},
		{"blanks at a line's end", "Joe.\n", "Joe. \t \n\n\n", "pass pass"},
		{"blanks in a line", "game.  Are", "game. \t Are", "pass pass"},
		{"no blank in a line", "game.  Are", "game.Are", "fail fail"},
		{"a line more", "Joe.\n", "Joe.\n\nP.S.\n", "fail fail"},
		{"the first signature", "s=brisbane", "s=brisbanE", "fail pass"}, // its key is found: names ignore case
		{"its value", "b=/gCrinpc", "b=/gCrinpd", "fail pass"},
		{"its key", "s=brisbane", "s=sydney", "permerror pass"},
	} {
		m := strings.ReplaceAll(strings.Replace(joe, tt.from, tt.to, 1), "\n", "\r\n")
		if got := resultsOf(check(t, c, "", m)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

// Mail that another implementation signed; testdata/README says which and how.
func TestVerifyRecorded(t *testing.T) {
	keys, err := os.ReadFile("testdata/dkimpy.key")
	if err != nil {
		t.Fatal(err)
	}
	zones := make(map[string]mockdns.Zone)
	for line := range strings.Lines(string(keys)) {
		name, record, _ := strings.Cut(strings.TrimSpace(line), " ")
		zones[name+"."] = mockdns.Zone{TXT: []string{record}}
	}
	c := checker(t, zones)
	for _, form := range []string{"simple-simple", "simple-relaxed", "relaxed-simple", "relaxed-relaxed"} {
		m, err := os.ReadFile("testdata/dkimpy-" + form + ".eml")
		if err != nil {
			t.Fatal(err)
		}
		if got := resultsOf(check(t, c, "", string(m))); got != "pass pass" {
			t.Errorf("%s: %s", form, got)
		}
		if got := resultsOf(check(t, c, "", strings.Replace(string(m), "Hi  there", "Hi here", 1))); got != "fail fail" {
			t.Errorf("%s, changed: %s", form, got)
		}
	}
}

// resultsOf lists what came of each signature.
func resultsOf(res *Result) string {
	var all []string
	for _, s := range res.DKIM {
		all = append(all, s.Result)
	}
	return strings.Join(all, " ")
}
