package content

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// told is a report in one line a recipient.
func told(r *Report) string {
	if r == nil {
		return "no report"
	}
	var b strings.Builder
	if r.Feedback != "" {
		fmt.Fprintf(&b, "feedback %s\n", r.Feedback)
	}
	for _, f := range r.Fates {
		fmt.Fprintf(&b, "%s %s %d %d.%d.%d %q\n", strings.Join(f.Recipients, ","), f.Action, f.Code, f.Status[0], f.Status[1], f.Status[2], f.Text)
	}
	return b.String()
}

// TestReadReport: reports in the manner of those who write most of them.
func TestReadReport(t *testing.T) {
	tests := map[string]string{
		"postfix":       `nobody@target.example failed 550 5.1.1 "550 5.1.1 <nobody@target.example>: Recipient address rejected"`,
		"postfix-delay": `slow@target.example delayed 0 4.4.1 "connect to mx.target.example[192.0.2.25]:25: Connection timed out"`,
		"exim":          `gone@target.example failed 550 5.2.1 "550 5.2.1 The account is disabled"`,
		"exim-old": `gone@target.example failed 550 5.1.1 "host mx.target.example [192.0.2.25] SMTP error from remote mail server after RCPT TO:<gone@target.example>: 550 5.1.1 no such user"
full@other.example failed 552 5.0.0 "host mx.other.example [192.0.2.26] 552 mailbox is full, try next year"`,
		"exchange": `Left.Us@office.example,left.us@office.example failed 550 5.1.10 "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup"`,
		"gmail": `typo@gmail.example failed 550 5.1.1 "550-5.1.1 The email account that you tried to reach does not exist. Please try ` +
			`550-5.1.1 double-checking the address. 550 5.1.1 For more, see https://support.example/answer/6596"`,
		"sendmail": `one@target.example failed 550 5.1.2 "550 5.1.2 Host unknown"
two@target.example failed 554 5.7.1 "554 5.7.1 Refused by policy"
three@target.example relayed 0 2.1.9 "2.1.9"`,
		"qmail": `gone@target.example failed 0 5.1.1 "Sorry, no mailbox here by that name. (#5.1.1)"
shut@other.example failed 550 5.7.1 "192.0.2.26 does not like recipient. Remote host said: 550 5.7.1 go away Giving up on 192.0.2.26."`,
		"utf8":         `grüße@intl.example failed 550 5.1.1 "550 5.1.1 unbekannt: gr??e"`,
		"bare":         `gone@target.example failed 0 5.1.3 "5.1.3 (bad address)"`,
		"arf":          "feedback abuse\nangry@isp.example  0 0.0.0 \"\"\nangry@isp.example  0 0.0.0 \"\"",
		"arf-redacted": "feedback abuse",
		"read":         "no report",
		"vacation":     "no report",
		"forwarded":    "no report",
	}
	files, err := filepath.Glob("testdata/reports/*.eml")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d files, %d tests, %v", len(files), len(tests), err)
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			b := reportFile(t, name)
			for _, raw := range []string{b, crlf(b)} {
				if got := strings.TrimSpace(told(ReadReport([]byte(raw), lim))); got != want {
					t.Errorf("got\n%s\nwant\n%s", got, want)
				}
			}
		})
	}
}

func reportFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "reports", name+".eml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestReportCut: a report that ends anywhere is read as far as it goes.
func TestReportCut(t *testing.T) {
	raw := crlf(reportFile(t, "sendmail"))
	most := 0
	for n := range len(raw) {
		if r := ReadReport([]byte(raw[:n]), lim); r != nil {
			most = max(most, len(r.Fates))
		}
	}
	if most != 3 {
		t.Errorf("at most %d recipients were seen, want 3", most)
	}
}

// TestReportBounds: what names more recipients than any message has costs no more.
func TestReportBounds(t *testing.T) {
	small := lim
	small.RecipientsSubmission = 3
	many := strings.Repeat("Final-Recipient: rfc822; a@x.example\nAction: failed\n\n", 50)
	lists := strings.Repeat("Original-Rcpt-To: a@x.example\n", 50)
	for name, raw := range map[string]string{
		"status":   "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n" + many,
		"feedback": "Content-Type: message/feedback-report\n\nFeedback-Type: abuse\n" + lists,
		"failed":   "X-Failed-Recipients: " + strings.Repeat("a@x.example, ", 50) + "a@x.example\n\nno\n",
		"qmail":    "Subject: no\n\nHi. This is q.\n\n" + strings.Repeat("<a@x.example>:\nno\n\n", 50),
	} {
		r := ReadReport([]byte(raw), small)
		if r == nil || len(r.Fates) == 0 || len(r.Fates) > 4 {
			t.Errorf("%s: %v", name, told(r))
		}
	}
}

func TestPrintableLine(t *testing.T) {
	for _, tt := range []struct {
		in   string
		most int
		want string
	}{
		{"550 no", 10, "550 no"},
		{"  a \r\n\tb\x00c\x1b[2Jd\x7f ", 30, "a b c [2Jd"},
		{"gr\u00fc\u00dfe\u202e\xff", 30, "gr??e??"},
		{"abc def", 3, "abc"},
		{"abc def", 4, "abc"},
		{"\r\n", 3, ""},
		{"a", 0, ""},
	} {
		if got := PrintableLine(tt.in, tt.most); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.in, got, tt.want)
		}
	}
}

// FuzzReadReport: whatever comes, what is read of it can be written into a report, a log
// and a store.
func FuzzReadReport(f *testing.F) {
	files, err := filepath.Glob("testdata/reports/*.eml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(reportFile(f, strings.TrimSuffix(filepath.Base(file), ".eml")))
	}
	f.Fuzz(func(t *testing.T, raw string) {
		r := ReadReport([]byte(raw), lim)
		if r == nil {
			return
		}
		if int64(len(r.Fates)) > lim.RecipientsSubmission+1 {
			t.Errorf("%d recipients", len(r.Fates))
		}
		for _, fate := range r.Fates {
			checkFate(t, fate)
		}
	})
}

func checkFate(t *testing.T, f Fate) {
	t.Helper()
	if len(f.Recipients) == 0 || len(f.Recipients) > 2 {
		t.Errorf("a fate of %d recipients", len(f.Recipients))
	}
	for _, addr := range f.Recipients {
		if a, err := ParseAddress(addr); err != nil || a.Addr != addr {
			t.Errorf("%q is no address: %v", addr, err)
		}
	}
	if len(f.Text) > maxReason || f.Text != PrintableLine(f.Text, maxReason) {
		t.Errorf("the text is %q", f.Text)
	}
	for i, n := range f.Status {
		if n < 0 || n > 999 || i == 0 && n > 5 {
			t.Errorf("the status is %v", f.Status)
		}
	}
}
