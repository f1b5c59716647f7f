package sdk

import "github.com/centerleap/postern/sdk/abi"

// Reply is an answer to a message. It begins with Text or HTML; its methods return a Reply
// with something added.
type Reply struct{ doc abi.Reply }

// Text is an answer in plain text.
func Text(text string) Reply { return Reply{abi.Reply{Text: text}} }

// HTML is an answer in HTML.
func HTML(html string) Reply { return Reply{abi.Reply{HTML: html}} }

// Text adds the answer in plain text.
func (r Reply) Text(text string) Reply {
	r.doc.Text = text
	return r
}

// HTML adds the answer in HTML.
func (r Reply) HTML(html string) Reply {
	r.doc.HTML = html
	return r
}

// From is who answers: an address of the plugin's account, or of its domain. The mailbox
// that got the message unless it is said.
func (r Reply) From(addr string) Reply {
	r.doc.From = addr
	return r
}

// Subject is the answer's. Re: and the message's unless it is said.
func (r Reply) Subject(text string) Reply {
	r.doc.Subject = text
	return r
}
