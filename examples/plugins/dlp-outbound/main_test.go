package main

import (
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk/sdktest"
)

const number = "4111 1111 1111 1111"

func newHost() *sdktest.Host { return sdktest.NewHost(sdktest.Manifest("manifest.json")) }

// attaching is a mail with a file.
func attaching(kind, name, content string) sdktest.Mail {
	m := sdktest.Raw("From: bot@demo.localhost\r\nTo: ann@x.example\r\nSubject: the file\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\nContent-Type: text/plain\r\n\r\nhere\r\n--b\r\nContent-Type: " + kind + "\r\nContent-Disposition: attachment; filename=\"" + name + "\"\r\n\r\n" + content + "\r\n--b--\r\n")
	m.Recipients = []string{"ann@x.example"}
	return m
}

// twoFiles is a mail with the same text attached twice.
func twoFiles(content string) sdktest.Mail {
	file := func(name string) string {
		return "--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=" + name + "\r\n\r\n" + content + "\r\n"
	}
	m := sdktest.Raw("From: bot@demo.localhost\r\nTo: ann@x.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		file("a.txt") + file("b.txt") + "--b--\r\n")
	m.Recipients = []string{"ann@x.example"}
	return m
}

func TestLeaks(t *testing.T) {
	to := []string{"ann@x.example"}
	long := strings.Repeat("nothing to see here\n", most/20)
	for _, tt := range []struct {
		name  string
		mail  sdktest.Mail
		found string
	}{
		{"nothing", sdktest.Mail{Subject: "hi", Text: "hello", Recipients: to}, ""},
		{"in the subject", sdktest.Mail{Subject: "card " + number, Recipients: to}, "a card number (ending in 1111) in the subject"},
		{"in the text", sdktest.Mail{Text: "card " + number, Recipients: to}, "a card number (ending in 1111) in the text"},
		{"in a table", attaching("text/csv", "a.csv", "name;card\r\nann;4012888888881881\r\n"), "a card number (ending in 1881) in the attachment a.csv"},
		{"in a table without a type", attaching("application/octet-stream", "A.CSV", "ann;4012888888881881\r\n"), "a card number (ending in 1881) in the attachment A.CSV"},
		{"in a picture", attaching("image/png", "a.png", number), ""},
		{"in header fields", sdktest.Mail{
			Header:     [][2]string{{"Message-ID", "<4111111111111111@x>"}, {"X-Id", "4111111111111111"}},
			Recipients: to,
		}, ""},
		{"far inside", attaching("text/plain", "a.txt", long[:len(long)-100]+number+" "), "a card number (ending in 1111) in the attachment a.txt"},
		{"too long", attaching("text/plain", "a.txt", long+number), "the attachment a.txt makes it too long to be looked at"},
		{"too many figures", attaching("text/plain", "a.txt", strings.Repeat("1 ", mostGroups)), "the attachment a.txt makes it too long to be looked at"},
		{"too many figures in the subject", sdktest.Mail{Subject: strings.Repeat("1 ", mostGroups) + number, Recipients: to}, "the subject makes it too long to be looked at"},
		{"too many figures in two files", twoFiles(strings.Repeat("1 ", mostGroups/2)), "the attachment b.txt makes it too long to be looked at"},
		{"name of two lines", attaching("text/plain", "a\tb.txt", number), "a card number (ending in 1111) in the attachment a?b.txt"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost()
			if tt.found == "" {
				h.Outbound(t, tt.mail).WantAction("allow")
				return
			}
			h.Outbound(t, tt.mail).WantAction("hold").WantReason(tt.found)
			h.Config["action"] = "deny"
			h.Outbound(t, tt.mail).WantAction("deny").WantReason(tt.found)
		})
	}
}

func TestAllowed(t *testing.T) {
	h := newHost()
	h.Config["allow"] = "bank.example, Demo.localhost"
	for to, action := range map[string]string{
		"ann@bank.example": "allow", "Ann@BANK.example": "allow", "bob@demo.localhost": "allow", "ann@sub.bank.example": "hold",
		"ann@x.example": "hold", "ann@bank.example bob@x.example": "hold", "bank.example@x.example": "hold",
	} {
		h.Outbound(t, sdktest.Mail{Text: number, Recipients: strings.Fields(to)}).WantAction(action)
	}
}
