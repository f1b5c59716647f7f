// Package search answers one question: which messages hold these words? It is pure:
// texts and messages' numbers in, postings out, and postings and a query in, numbers
// out. Who keeps the postings and where the texts come from is others' business.
//
// An index answers for the messages up to one number. What it says is true, or says
// that the message has to be looked at: nothing that matches is ever left out.
package search

import "github.com/centerleap/postern/gateway"

// Fields are where in a message a text stands; a set of bits.
type Fields uint16

// The fields, decoded. The first five are what stands in one, without its name; Header has
// theirs, too.
const (
	From Fields = 1 << iota
	To
	Cc
	Bcc
	Subject
	Header // every field, with its name
	Body   // the texts of the message, decoded, markup included

	// Text is the whole message, what RFC 9051 section 6.4.4 calls TEXT.
	Text = From | To | Cc | Bcc | Subject | Header | Body
)

// Query asks for the messages that contain a text, in any case, in one of some fields:
// a substring, as IMAP has it, that may cut words in two and reach over several.
type Query struct {
	Text   string
	Fields Fields
	// AnySpace asks for the words of the text with any space between them. Then all that
	// match are among those to be looked at.
	AnySpace bool
}

// Found is what an index knows of a query. Both lists are in order and have no number
// twice, nor in common.
type Found struct {
	Sure  []gateway.MessageNumber // they match
	Maybe []gateway.MessageNumber // they may: look at them
	// Through is how far the index reaches: later messages it does not know.
	Through gateway.MessageNumber
}
