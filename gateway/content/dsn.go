package content

import (
	"bytes"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
)

// DSN is a delivery status notification about one recipient, as its sender gets it: RFC
// 3464 in the frame of RFC 6522.
type DSN struct {
	From, To  gateway.Address
	Host      string // that reports
	Arrived   time.Time
	Recipient string
	Action    Action
	Status    [3]int    // RFC 3463
	Code      int       // SMTP reply code; 0 if there is none
	Reason    string    // in a stranger's words: it is made printable here
	Remote    string    // host whose words they are; empty: ours
	Until     time.Time // how long it is tried; zero if it is not
	// Header is the header section of the message, as far as it is shown.
	Header []byte
}

// What a DSN is called and begins with, by its action.
var reportWords = map[Action][2]string{
	ActionFailed:  {"Not delivered", "Your message could not be delivered to\n\n    %s\n\nIt is not tried again."},
	ActionDelayed: {"Delayed", "Your message has not been delivered yet to\n\n    %s\n\nYou need not send it again."},
}

// Write writes the whole message. Nothing of what strangers said reaches a header.
func (d *DSN) Write(w io.Writer, t Trace, lim gateway.Limits) error {
	h, _, err := splitHeader(d.Header, lim)
	if err != nil {
		h = nil // cut where it can't be read: the report is sent without its words
	}
	subject := cut(decodeField(h.get("Subject")), maxSubject)
	boundary := "dsn-" + uuid.NewString()
	var b bytes.Buffer
	b.Write(Fields([]gateway.HeaderField{
		{Name: "From", Value: d.From.String()},
		{Name: "Subject", Value: strings.TrimSuffix(reportWords[d.Action][0]+": "+subject, ": ")},
		{Name: "Date", Value: t.Date.Format(time.RFC1123Z)},
		{Name: "Message-ID", Value: t.MessageID},
		{Name: "Auto-Submitted", Value: "auto-replied"}, // RFC 3834 section 5.1
	}))
	fmt.Fprintf(&b, "To: <%s>\r\n", d.To.Addr)
	if ids := MessageIDs(h.get("Message-ID")); len(ids) == 1 {
		fmt.Fprintf(&b, "In-Reply-To: %s\r\n", ids[0])
		chain := append(MessageIDs(h.get("References")), ids[0])
		fmt.Fprintf(&b, "References: %s\r\n", strings.Join(chain[max(0, len(chain)-maxReported):], "\r\n "))
	}
	fmt.Fprintf(&b, "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"%s\"\r\n\r\n", boundary)
	parts := []func(*bytes.Buffer){func(b *bytes.Buffer) { d.writeWords(b, subject) }, d.writeStatus, d.writeHeader}
	for _, part := range parts {
		fmt.Fprintf(&b, "--%s\r\n", boundary)
		part(&b)
		b.WriteString("\r\n")
	}
	fmt.Fprintf(&b, "--%s--\r\n", boundary)
	_, err = b.WriteTo(w)
	return err
}

const (
	// maxSubject is how much of the message's subject stands in that of its report; ours.
	maxSubject = 200
	// maxReported is how many ids References has: RFC 5322 sets no limit; ours.
	maxReported = 20
)

// writeWords is the part that people read.
func (d *DSN) writeWords(b *bytes.Buffer, subject string) {
	b.WriteString("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
	text := fmt.Sprintf(reportWords[d.Action][1], d.Recipient) + "\n\n"
	if !d.Until.IsZero() {
		text += "It is tried until " + d.Until.Format(time.RFC1123Z) + ".\n\n"
	}
	by := d.Host
	if d.Remote != "" {
		by = d.Remote
	}
	text += fmt.Sprintf("%s said:\n\n    %s\n\nSubject: %s\nSent:    %s\n", by, d.diagnostic(), subject, d.Arrived.Format(time.RFC1123Z))
	q := quotedprintable.NewWriter(b)
	_, _ = io.WriteString(q, text) // a Buffer takes it all
	_ = q.Close()
}

// diagnostic is a reply as SMTP has it, printable.
func (d *DSN) diagnostic() string {
	s := d.status()
	if d.Code != 0 {
		s = fmt.Sprintf("%d %s", d.Code, s)
	}
	return strings.TrimSpace(s + " " + PrintableLine(d.Reason, maxReason))
}

func (d *DSN) status() string { return fmt.Sprintf("%d.%d.%d", d.Status[0], d.Status[1], d.Status[2]) }

// writeStatus is the part that programs read. An address that is not ASCII asks for RFC
// 6533.
func (d *DSN) writeStatus(b *bytes.Buffer) {
	typ, encoding, addr := "message/delivery-status", "7bit", "rfc822; "+d.Recipient
	if !isASCII([]byte(d.Recipient)) {
		typ, encoding, addr = "message/global-delivery-status", "8bit", "utf-8; "+d.Recipient
	}
	fmt.Fprintf(b, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", typ, encoding)
	fmt.Fprintf(b, "Reporting-MTA: dns; %s\r\nArrival-Date: %s\r\n\r\n", d.Host, d.Arrived.Format(time.RFC1123Z))
	fmt.Fprintf(b, "Final-Recipient: %s\r\nAction: %s\r\nStatus: %s\r\n", addr, d.Action, d.status())
	if d.Remote != "" {
		fmt.Fprintf(b, "Remote-MTA: dns; %s\r\n", PrintableLine(d.Remote, maxHost))
	}
	if d.Code != 0 {
		b.Write(Fields([]gateway.HeaderField{{Name: "Diagnostic-Code", Value: "smtp; " + d.diagnostic()}}))
	}
	if !d.Until.IsZero() {
		fmt.Fprintf(b, "Will-Retry-Until: %s\r\n", d.Until.Format(time.RFC1123Z))
	}
}

// maxHost is the length of a host's name, RFC 1035 section 2.3.4.
const maxHost = 255

// writeHeader returns the header section of the message, and nothing of its body: who
// gets the report has the message.
func (d *DSN) writeHeader(b *bytes.Buffer) {
	typ, encoding := "text/rfc822-headers", "7bit"
	if !isASCII(d.Header) {
		typ = "message/global-headers"
	}
	if typ != "text/rfc822-headers" || longLines(d.Header) {
		encoding = "quoted-printable"
	}
	fmt.Fprintf(b, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", typ, encoding)
	if encoding == "7bit" {
		b.Write(d.Header)
		return
	}
	q := quotedprintable.NewWriter(b)
	_, _ = q.Write(d.Header)
	_ = q.Close()
}

// longLines reports whether a line is longer than RFC 5322 section 2.1.1 allows.
func longLines(b []byte) bool {
	for line := range bytes.Lines(b) {
		if len(line) > 1000 {
			return true
		}
	}
	return false
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// HeaderSection is the header section that b begins with, without the empty line that
// ends it. One that is longer than most is cut behind a whole field.
func HeaderSection(b []byte, most int64) []byte {
	end := 0
	for line := range bytes.Lines(b) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			return b[:end]
		}
		if int64(end+len(line)) > most {
			break
		}
		end += len(line)
	}
	for end > 0 && int64(end) < int64(len(b)) && (b[end] == ' ' || b[end] == '\t') { // within a field
		end = bytes.LastIndexByte(b[:end-1], '\n') + 1
	}
	return b[:end]
}
