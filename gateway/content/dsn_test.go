package content

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

func writtenDSN(t testing.TB, d *DSN) string {
	t.Helper()
	var b bytes.Buffer
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if err := d.Write(&b, Trace{MessageID: "<r@a.test>", Date: at}, lim); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func aDSN() *DSN {
	return &DSN{
		From: gateway.Address{Name: "Mail", Addr: "mailer-daemon@a.test"}, To: gateway.Address{Addr: "ann@a.test"},
		Host: "mx.a.test", Recipient: "bob@b.test", Action: ActionFailed, Status: [3]int{5, 1, 1}, Code: 550, Remote: "mx.b.test",
	}
}

// The fields that a report has, and no others, whatever is put into it.
var dsnFields = []string{"From", "Subject", "Date", "Message-Id", "Auto-Submitted", "To", "In-Reply-To", "References", "MIME-Version", "Content-Type"}

// FuzzDSN: nothing that strangers or senders wrote becomes a header field or a part of
// its own, every line fits SMTP, and what the report says is what we read of it.
func FuzzDSN(f *testing.F) {
	f.Add("Message-ID: <m@a.test>\r\nSubject: hi\r\n", "no such user", "mx.b.test")
	f.Add("Subject: =?utf-8?q?a=0D=0ABcc:_x?=\r\n", "x\r\nBcc: y\x1b\x00", "a\r\nb")
	f.Add("References: "+strings.Repeat("<a@b>\r\n ", 300)+"\r\n", strings.Repeat("x", 5000), strings.Repeat("y", 500))
	f.Add("Subject: "+strings.Repeat("\u00fc", 500)+"\r\nX: \xff"+strings.Repeat("long", 900)+"\r\n", "--dsn-", "")
	f.Fuzz(func(t *testing.T, head, reason, remote string) {
		d := aDSN()
		d.Header, d.Reason, d.Remote = HeaderSection([]byte(crlf(strings.ReplaceAll(head, "\r", ""))), lim.ReportHeaderBytes), reason, remote
		raw := writtenDSN(t, d)
		for line := range strings.Lines(raw) {
			if len(line) > 1000 || !strings.HasSuffix(line, "\r\n") || strings.ContainsAny(line[:len(line)-2], "\r\n") {
				t.Fatalf("a line is %q", line)
			}
		}
		c := scan(t, raw)
		if len(c.Parts) != 4 || c.Defects&^gateway.DefectCharset != 0 || !c.AutoReply {
			t.Fatalf("%d parts, defects %b in\n%s", len(c.Parts), c.Defects, raw)
		}
		fields, err := Header(strings.NewReader(raw), lim)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			if !slices.Contains(dsnFields, f.Name) {
				t.Errorf("a field is %q", f)
			}
		}
		r := ReadReport([]byte(raw), lim)
		if r == nil || len(r.Fates) != 1 {
			t.Fatalf("it reads as %s:\n%s", told(r), raw)
		}
		if got := r.Fates[0]; got.Action != d.Action || got.Status != d.Status || got.Code != d.Code || got.Recipients[0] != d.Recipient {
			t.Errorf("it reads as %s:\n%s", told(r), raw)
		}
	})
}

// TestDSNAddress: one that is not ASCII makes a report of RFC 6533.
func TestDSNAddress(t *testing.T) {
	d := aDSN()
	d.Recipient = "gr\u00fc\u00dfe@b.test"
	raw := writtenDSN(t, d)
	if !strings.Contains(raw, "message/global-delivery-status") || !strings.Contains(raw, "Final-Recipient: utf-8; gr\u00fc\u00dfe@b.test\r\n") {
		t.Errorf("it is\n%s", raw)
	}
	if r := ReadReport([]byte(raw), lim); r == nil || len(r.Fates) != 1 || r.Fates[0].Recipients[0] != d.Recipient {
		t.Errorf("it reads as %s", told(r))
	}
}

func TestHeaderSection(t *testing.T) {
	for _, tt := range []struct {
		in   string
		most int64
		want string
	}{
		{"A: 1\r\nB: 2\r\n\r\nbody", 100, "A: 1\r\nB: 2\r\n"},
		{"A: 1\r\nB: 2\r\n", 100, "A: 1\r\nB: 2\r\n"},
		{"A: 1\r\nB: 2\r\n\r\nbody", 11, "A: 1\r\n"},
		{"A: 1\r\nB: 2\r\n 3\r\n\t4\r\nC: 5\r\n\r\n", 14, "A: 1\r\n"}, // not half a field
		{"A: 1\r\nB: 2\r\n 3\r\n\t4\r\nC: 5\r\n\r\n", 22, "A: 1\r\nB: 2\r\n 3\r\n\t4\r\n"},
		{"A: 1\r\n", 3, ""},
		{"\r\nbody", 100, ""},
		{"", 100, ""},
	} {
		if got := HeaderSection([]byte(tt.in), tt.most); string(got) != tt.want {
			t.Errorf("%q to %d: %q, want %q", tt.in, tt.most, got, tt.want)
		}
	}
}
