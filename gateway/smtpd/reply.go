package smtpd

import (
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
	if e.Code != 0 { // a plugin's own
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
