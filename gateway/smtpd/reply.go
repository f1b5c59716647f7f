package smtpd

import (
	"bytes"
	"strings"

	"github.com/emersion/go-smtp"

	"github.com/centerleap/postern/gateway"
)

// reply is one reply of ours: the library writes it as it is, so its text must
// be one line of printable characters.
func reply(code int, enhanced [3]int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: oneLine(text)}
}

// maxReplyText bounds the text of a reply. RFC 5321 section 4.5.3.1.5 allows 512
// bytes with code and line end.
const maxReplyText = 400

// oneLine makes any text fit for a reply: texts of plugins come here too, and a
// CR in them would be a reply of its own.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)
	return strings.Join(strings.Fields(text[:min(len(text), maxReplyText)]), " ")
}

// replyTo gives an error the reply of its Kind: what we don't know is a fault of
// ours, and the client tries again.
func replyTo(err error) *smtp.SMTPError {
	e := gateway.AsError(err)
	r := e.Kind.Reply()
	switch {
	case e.Enhanced != [3]int{}:
		return reply(e.Code, e.Enhanced, e.Message)
	case e.Code != 0: // a plugin's own
		return reply(e.Code, [3]int{e.Code / 100, 7, 1}, e.Message)
	}
	return reply(r.SMTP, r.Enhanced, e.Message)
}

// dataReply is replyTo for a message: its faults are not those of a command.
func dataReply(err error) *smtp.SMTPError {
	e := gateway.AsError(err)
	switch e.Kind {
	case gateway.Malformed, gateway.MissingField, gateway.InvalidParameter, gateway.InvalidFrom:
		return reply(550, [3]int{5, 6, 0}, e.Message)
	case gateway.NotFound: // a recipient that was here at RCPT
		return reply(550, [3]int{5, 1, 1}, e.Message)
	}
	return replyTo(err)
}

// correction is a reply of the library that is not what the RFCs have, or repeats
// what the client said.
type correction struct {
	wrong string // how the line begins
	right string
	bye   bool // what comes next can't be read as a command
}

var corrections = []correction{
	{"250 2.0.0 Roger", "250 2.1.0 Ok", false},
	{"250 2.0.0 I'll make sure", "250 2.1.5 Ok", false},
	{"250-Hello", "250-Hello", false},
	{"250 2.0.0 Hello", "250 Hello", false}, // RFC 2034 section 4
	{"421 4.4.0 Connection error", "421 4.4.0 the connection failed", false},
	{"454 4.7.0 Invalid base64", "501 5.5.2 the answer is not base64", false}, // RFC 4954 section 4
	{"500 5.5.1 Too many errors", tooManyFaults, true},
	{"500 5.5.2 Syntax errors", "500 5.5.2 there is no such command", false},
	{"500 5.5.4 Unknown MAIL", "555 5.5.4 a parameter is not known", false}, // RFC 5321 section 4.1.1.11
	{"500 5.5.4 Unknown RCPT", "555 5.5.4 a parameter is not known", false},
	{"500 5.5.4 Malformed AUTH", "501 5.5.4 AUTH= must be an address, or <>", false},
	{"501 5.5.2 Bad command", "500 5.5.2 there is no such command", false},
	{"501 5.5.4 Malformed size", "501 5.5.4 the chunk has no size", true},
	{"501 5.5.4 Missing chunk", "501 5.5.4 the chunk has no size", true},
	{"501 5.5.4 Too many arguments", "501 5.5.4 a chunk has a size, and may be LAST", true},
	{"501 5.5.4 Unknown BDAT", "501 5.5.4 a chunk has a size, and may be LAST", true},
	{"502 5.5.1 Please introduce", "503 5.5.1 EHLO first", false}, // RFC 5321 section 4.3.2, as those below
	{"502 5.5.1 Missing MAIL", "503 5.5.1 MAIL first", false},
	{"502 5.5.1 Missing RCPT", "503 5.5.1 RCPT first", false},
	{"502 5.5.1 MAIL not allowed", "503 5.5.1 a message is on its way; RSET ends it", false},
	{"502 5.5.1 RCPT not allowed", "503 5.5.1 a message is on its way; RSET ends it", false},
	{"502 5.5.1 DATA not allowed", "503 5.5.1 a message is on its way; RSET ends it", false},
	{"502 5.5.1 TLS not supported", "503 5.5.1 STARTTLS comes before all else", false},
	{"502 5.5.4 Missing parameter", "501 5.5.4 AUTH needs a mechanism", false},
	{"554 5.0.0 Error: transaction failed", "451 4.3.0 the message did not arrive whole", false},
}

// corrected is a line of the library as the client shall hear it, and whether it
// is the last one.
func corrected(line []byte) (right []byte, bye bool) {
	for _, c := range corrections {
		if bytes.HasPrefix(line, []byte(c.wrong)) {
			return []byte(c.right + "\r\n"), c.bye
		}
	}
	return line, false
}
