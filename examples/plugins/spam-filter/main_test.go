package main

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/sdktest"
)

func newHost() *sdktest.Host { return sdktest.NewHost(sdktest.Manifest("manifest.json")) }

// usualHeader is what programs that people write with put into every mail.
const usualHeader = "Date: Mon, 2 Mar 2026 10:00:00 +0000\r\nMessage-ID: <1@x.example>\r\nTo: bot@demo.localhost\r\n"

func written822(fields, body string) sdktest.Mail {
	return sdktest.Raw(usualHeader + fields + "\r\n" + body)
}

// file is a mail with a file attached.
func file(name string) sdktest.Mail {
	return written822("From: ann@x.example\r\nSubject: the file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n",
		"--b\r\nContent-Type: text/plain\r\n\r\nhere\r\n--b\r\nContent-Type: application/octet-stream; name=\""+name+"\"\r\nContent-Disposition: attachment; filename=\""+name+"\"\r\n\r\nxx\r\n--b--\r\n")
}

func page(html string) sdktest.Mail {
	return written822("From: ann@x.example\r\nSubject: a page\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n", html)
}

func TestRules(t *testing.T) {
	of := func(fields string) sdktest.Mail { return written822(fields, "Hello\r\n") }
	judged := func(a sdk.Auth) sdktest.Mail {
		m := of("From: ann@x.example\r\nSubject: x\r\n")
		m.Auth = a
		return m
	}
	for _, tt := range []struct {
		name  string
		mail  sdktest.Mail
		score float64
	}{
		{"a person's", of("From: Ann <ann@x.example>\r\nSubject: Lunch at 12!\r\n"), 0},
		{"it fails everything", judged(sdk.Auth{DMARC: "fail", SPF: "fail", DKIM: "fail"}), 5.5},
		{"it passes", judged(sdk.Auth{DMARC: "pass", SPF: "pass", DKIM: "pass"}), 0},
		{"capitals", of("From: ann@x.example\r\nSubject: BUY THIS NOW TODAY\r\n"), 1.5},
		{"a short shout", of("From: ann@x.example\r\nSubject: FYI: RFC 5321\r\n"), 0},
		{"marks", of("From: ann@x.example\r\nSubject: Now!!!\r\n"), 1.5},
		{"a word", of("From: ann@x.example\r\nSubject: The best CASINO\r\n"), 2},
		{"bare fields", sdktest.Mail{From: "ann@x.example", Subject: "hi"}, 2},
		{"a name that lies", of("From: \"service@bank.example\" <x@evil.example>\r\nSubject: x\r\n"), 2.5},
		{"a name that is the address", of("From: \"ann@x.example\" <ann@x.example>\r\nSubject: x\r\n"), 0},
		{"answers elsewhere", of("From: ann@x.example\r\nReply-To: b@evil.example\r\nSubject: x\r\n"), 1},
		{"a list", of("From: ann@x.example\r\nReply-To: l@lists.example\r\nList-Id: <l.lists.example>\r\nSubject: x\r\n"), 0},
		{"a link to a number", page("see http://192.0.2.7/pay"), 2.5},
		{"a link with a name", page("see https://bank.example@evil.example/"), 2},
		{"an address in a path", page("see https://x.example/a@b"), 0},
		{"a link that lies", page(`<a class=x href="https://evil.example/a">https://bank.example/login</a>`), 3},
		{"a link to itself", page(`<a href="https://www.bank.example/a">http://bank.example</a> <a href='https://a.bank.example'>https://bank.example</a>`), 0},
		{"a program", file("invoice.pdf.EXE"), 5},
		{"macros", file("sheet.xlsm"), 2},
		{"a page", file("login.html"), 1.5},
		{"a picture", file("photo.jpg"), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newHost().Inbound(t, tt.mail).WantScore(tt.score).WantHeader("X-Spam-Score", written(tt.score))
			if tt.score < usual {
				r.WantAction("accept").WantLabels()
			} else {
				r.WantAction("quarantine").WantLabels(label)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	h := newHost()
	h.Config["junk_at"], h.Config["words"] = "2", "pony, fast horse"
	h.Inbound(t, written822("From: ann@x.example\r\nSubject: a Fast Horse\r\n", "")).WantAction("quarantine").WantScore(2)
	h.Inbound(t, written822("From: bob@y.example\r\nSubject: casino\r\n", "")).WantAction("accept").WantReason("0.0 of 2.0: no rule")
	h.Config["junk_at"] = "much"
	h.Inbound(t, written822("From: eve@z.example\r\nSubject: pony\r\n", "")).WantAction("accept").WantReason("2.0 of 5.0: subject has a word of spam")
	if lines := strings.Join(h.Lines, "\n"); !strings.Contains(lines, `warning: junk_at is a number, not "much"`) {
		t.Errorf("it said %q", lines)
	}
}

func TestSample(t *testing.T) {
	newHost().Inbound(t, sdktest.File("testdata/spam.eml")).WantAction("quarantine").WantScore(9.5)
}

// A domain that sends spam gets a name for it, and so does one that people say sends it. A
// good name is for those alone who are who they say.
func TestReputation(t *testing.T) {
	h := newHost()
	plain := written822("From: ann@x.example\r\nSubject: hello\r\n", "Hello\r\n")
	spam := file("a.exe")
	for range 4 {
		h.Inbound(t, spam).WantAction("quarantine")
	}
	h.Inbound(t, plain).WantReason("1.3 of 5.0: reputation 1.3").WantAction("accept")
	sure := plain
	sure.Auth.FromAligned = true
	h.Inbound(t, sure).WantScore(0) // the forgers were others
	h.Inbound(t, sure).WantHeader("X-Spam-Score", "-0.4")
	for range 100 {
		h.Inbound(t, plain)
	}
	h.Inbound(t, plain).WantScore(0)
}

// A domain has one name, whatever its senders call themselves: nobody begins anew with an @
// in quotes.
func TestReputationOfQuoted(t *testing.T) {
	h := newHost()
	from := func(local string) sdktest.Mail {
		return written822("From: "+local+"@x.example\r\nSubject: casino!!\r\n", "see http://192.0.2.7/pay")
	}
	for range 4 {
		h.Inbound(t, from(`"a@1"`)).WantAction("quarantine")
	}
	if why := h.Inbound(t, from(`"a@2"`)).Verdict.Reason; !strings.Contains(why, "reputation 1.3") {
		t.Errorf("%q", why)
	}
}

// What people move teaches the filter; what it moved itself, or what is filed, does not.
func TestPeople(t *testing.T) {
	h := newHost()
	m := written822("From: ann@x.example\r\nSubject: hello\r\n", "Hello\r\n")
	m.Type = "email.moved"
	at := func(folder string, labels ...string) sdktest.Mail {
		m.Folder, m.Labels = folder, labels
		return m
	}
	h.Event(t, at("Work")).WantLabels().WantUnlabel()
	h.Inbound(t, m).WantScore(0)
	h.Event(t, at("Junk")).WantLabels(label)
	h.Event(t, at("Junk", label)).WantLabels()
	h.Inbound(t, m).WantHeader("X-Spam-Score", "1.6")
	h.Event(t, at("Trash", label)).WantUnlabel()
	h.Event(t, at("INBOX", label)).WantUnlabel(label, "quarantined")
	h.Inbound(t, m).WantHeader("X-Spam-Score", "0.0")
}

// A domain that was not heard of for long is a new one.
func TestForgets(t *testing.T) {
	h := newHost()
	for range 8 {
		h.Inbound(t, file("a.exe"))
	}
	h.Clock = h.Clock.Add(lasting * 1e9)
	h.Inbound(t, file("photo.jpg")).WantScore(0)
}
