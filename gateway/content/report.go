package content

import (
	"bytes"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// Report is what a message says about the fate of another one: a delivery status
// notification (RFC 3464, RFC 6533), a bounce in words that some servers have always
// used, or a complaint (RFC 5965).
type Report struct {
	// Feedback is the Feedback-Type of a complaint in lower case, such as abuse; empty
	// if it is about delivery.
	Feedback string
	Fates    []Fate // at most as many as a message may have recipients
}

// Fate is what a report says of one recipient.
type Fate struct {
	// Recipients are the addresses that it may be about: the one that the message was
	// sent to, and the one that this became.
	Recipients []string
	Action     Action
	Status     [3]int // RFC 3463; class.0.0 if nothing is said
	Code       int    // of the SMTP reply; 0 if none is told
	Text       string // why, as PrintableLine makes it
}

// Action is what a host did for a recipient, RFC 3464 section 2.3.3.
type Action string

// The actions that there are; a complaint has none.
const (
	ActionFailed    Action = "failed"
	ActionDelayed   Action = "delayed"
	ActionDelivered Action = "delivered"
	ActionRelayed   Action = "relayed"
	ActionExpanded  Action = "expanded"
)

// ReadReport reads the start of a message as a report: more than the first part of one
// is seldom needed, and the message it returns never. It is nil if it is none.
func ReadReport(message []byte, lim gateway.Limits) *Report {
	c, err := Scan(bytes.NewReader(message), lim)
	if err != nil {
		return nil
	}
	r := reportReader{message: message, content: c, lim: lim}
	for i := range c.Parts {
		switch c.Parts[i].Type {
		case "message/delivery-status", "message/global-delivery-status":
			return r.status(i)
		case "message/feedback-report":
			return r.feedback(i)
		case "message/rfc822":
			return r.words() // what follows is another message, which may be a report
		}
	}
	return r.words()
}

// reportReader is a message that may be a report, as Scan has described it.
type reportReader struct {
	message []byte
	content *gateway.Content
	lim     gateway.Limits
}

// part is the decoded body of a part.
func (r *reportReader) part(i int) []byte {
	p := &r.content.Parts[i]
	from := min(p.BodyAt, int64(len(r.message)))
	body := r.message[from:min(from+p.BodySize, int64(len(r.message)))]
	b, err := io.ReadAll(Decoder(bytes.NewReader(body), p))
	if err != nil {
		return nil
	}
	return b
}

// groups cuts the body of a status into its groups of fields, RFC 3464 section 2.1.
func (r *reportReader) groups(i int) (all []header) {
	for group := range bytes.SplitSeq(bytes.ReplaceAll(r.part(i), []byte("\r\n"), []byte("\n")), []byte("\n\n")) {
		if int64(len(all)) > r.lim.RecipientsSubmission {
			break
		}
		if fields, _, err := splitHeader(bytes.TrimLeft(group, "\n"), r.lim); err == nil && len(fields) > 0 {
			all = append(all, fields)
		}
	}
	return all
}

// status reads a delivery status. A group is a recipient's if it names one: not all
// servers part the fields of the message from the first recipient's.
func (r *reportReader) status(i int) *Report {
	var out Report
	for _, g := range r.groups(i) {
		f := Fate{Recipients: reportedAddresses(g.get("Original-Recipient"), g.get("Final-Recipient"))}
		if len(f.Recipients) == 0 {
			continue
		}
		f.explain(g.get("Diagnostic-Code"), g.get("Status"))
		action, _, _ := strings.Cut(strings.ToLower(g.get("Action")), " ")
		switch f.Action = Action(action); f.Action {
		case ActionFailed, ActionDelayed, ActionDelivered, ActionRelayed, ActionExpanded:
		default:
			if f.Action = ActionDelayed; f.Status[0] == 5 {
				f.Action = ActionFailed
			}
		}
		out.Fates = append(out.Fates, f)
	}
	return &out
}

// feedback reads a complaint. Who complains is often left out; then there are no fates.
func (r *reportReader) feedback(i int) *Report {
	var out Report
	for _, g := range r.groups(i) {
		if out.Feedback == "" {
			out.Feedback = strings.ToLower(strings.TrimSpace(g.get("Feedback-Type")))
		}
		for _, name := range []string{"Original-Rcpt-To", "Removal-Recipient"} {
			for _, v := range g.all(name) {
				if to := reportedAddresses(v); len(to) > 0 && int64(len(out.Fates)) < r.lim.RecipientsSubmission {
					out.Fates = append(out.Fates, Fate{Recipients: to})
				}
			}
		}
	}
	if out.Feedback == "" {
		out.Feedback = "other" // RFC 5965 section 3.1 requires one
	}
	return &out
}

// explain takes reply code, status and reason out of a diagnostic text and, if it has
// more to say, the status field. Servers that write 5.0.0 there for everything quote the
// other side's own status in the text.
func (f *Fate) explain(diagnostic, status string) {
	if _, text, typed := strings.Cut(diagnostic, ";"); typed {
		diagnostic = text
	}
	f.Text = PrintableLine(diagnostic, maxReason)
	if m := replyCode.FindStringSubmatch(f.Text); m != nil {
		f.Code, _ = strconv.Atoi(m[1])
	}
	said, told := statusIn(status), statusIn(f.Text)
	switch {
	case told[0] != 0 && (said[0] == 0 || said[0] == told[0] && said[2] == 0):
		f.Status = told
	case said[0] != 0:
		f.Status = said
	case f.Code != 0:
		f.Status[0] = f.Code / 100
	}
	if f.Text == "" {
		f.Text = PrintableLine(status, maxReason)
	}
}

var (
	replyCode    = regexp.MustCompile(`(?:^|[\s:#<(])([245][0-5][0-9])(?:[ -]|$)`)
	enhancedCode = regexp.MustCompile(`(?:^|[\s#(<:])([245])\.([0-9]{1,3})\.([0-9]{1,3})(?:[^0-9.]|$)`)
)

// statusIn finds the first enhanced status code of a text; zero if there is none.
func statusIn(text string) (s [3]int) {
	m := enhancedCode.FindStringSubmatch(text)
	for i := range s {
		if m != nil {
			s[i], _ = strconv.Atoi(m[i+1])
		}
	}
	return s
}

// maxReason is how much of a reason is kept; ours. A reply line has at most 512 bytes,
// RFC 5321 section 4.5.3.1.5.
const maxReason = 400

// PrintableLine makes one line of printable ASCII out of what a stranger wrote, at most
// most bytes: it may then stand in a log, a report or a reply.
func PrintableLine(s string, most int) string {
	var b strings.Builder
	blank := false
	for _, r := range s {
		if b.Len() >= most {
			break
		}
		if r <= ' ' || r == 0x7f {
			blank = b.Len() > 0
			continue
		}
		if blank {
			b.WriteByte(' ')
			blank = false
		}
		if r > 0x7f {
			r = '?'
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String()[:min(b.Len(), most)])
}

// reportedAddresses reads address fields of a report, such as rfc822;user@host: those
// that can be read, none twice.
func reportedAddresses(values ...string) (out []string) {
	for _, v := range values {
		if typ, rest, typed := strings.Cut(v, ";"); typed {
			if typ = strings.ToLower(strings.TrimSpace(typ)); typ != "rfc822" && typ != "utf-8" {
				continue
			}
			v = rest
		}
		v = strings.TrimSpace(v)
		if i := strings.IndexAny(v, " \t"); i > 0 {
			v = v[:i] // a comment, or a name that follows
		}
		a, err := ParseAddress(unescapeAddress(strings.Trim(v, "<>")))
		if err == nil && (len(out) == 0 || out[len(out)-1] != a.Addr) {
			out = append(out, a.Addr)
		}
	}
	return out
}

var escapedRune = regexp.MustCompile(`\\x\{([0-9A-Fa-f]{1,6})\}`)

// unescapeAddress undoes utf-8-addr-xtext, RFC 6533 section 3.
func unescapeAddress(v string) string {
	return escapedRune.ReplaceAllStringFunc(v, func(m string) string {
		n, err := strconv.ParseUint(m[3:len(m)-1], 16, 32)
		if err != nil || n > 0x10ffff {
			return m
		}
		return string(rune(n))
	})
}
