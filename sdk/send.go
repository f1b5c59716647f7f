package sdk

import (
	"maps"
	"slices"

	"github.com/centerleap/postern/sdk/abi"
)

// Mail is a message to send: what POST /emails takes, without attachments and times.
type Mail = abi.Outgoing

// Tag is a name and a value that mail carries for whoever counts it.
type Tag = abi.Tag

// Send sends mail: once, and only if the call ends well, however often it is tried. Plugins
// that are asked about mail that leaves are asked about this, too. It needs To, and Text or
// HTML. The thread hook can't send, nor can a plugin that is asked about the mail of
// another. Permission send.
func Send(m Mail) error { return host.Send(appendMail(nil, &m)) }

func appendMail(b []byte, m *Mail) []byte {
	w := objectWriter{b: append(b, '{')}
	w.text(`"from":`, m.From)
	w.texts(`"to":`, m.To)
	w.texts(`"cc":`, m.Cc)
	w.texts(`"bcc":`, m.Bcc)
	w.texts(`"reply_to":`, m.ReplyTo)
	w.text(`"subject":`, m.Subject)
	w.text(`"text":`, m.Text)
	w.text(`"html":`, m.HTML)
	if len(m.Headers) > 0 {
		w.object(`"headers":`, func(w *objectWriter) {
			for _, name := range slices.Sorted(maps.Keys(m.Headers)) {
				w.name(string(append(appendText(nil, name), ':')))
				w.b = appendText(w.b, m.Headers[name])
			}
		})
	}
	if len(m.Tags) > 0 {
		objects(&w, `"tags":`, m.Tags, writeTag)
	}
	w.text(`"in_reply_to":`, m.InReplyTo)
	w.texts(`"references":`, m.References)
	return append(w.b, '}')
}
