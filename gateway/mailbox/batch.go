package mailbox

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// Need says what of messages is to be read.
type Need uint8

// The needs; each costs a read.
const (
	NeedBody  Need = 1 << iota // ID, Arrived, Prefix, Blob, Thread
	NeedText                   // HeaderSize, Envelope, BodyStructure, Body
	NeedParts                  // the whole record and the whole structure
)

// Batch is messages that were read together. What it holds is good until the next Read
// with it, which uses its memory again.
type Batch struct {
	messages []gateway.Message
	whole    []*gateway.Message
	need     Need
	got      []Need
	bytes    []byte
}

// Message returns the i-th; nil if it is gone.
func (b *Batch) Message(i int) *gateway.Message {
	switch {
	case b.need&NeedParts != 0:
		return b.whole[i]
	case b.got[i] != b.need:
		return nil
	}
	return &b.messages[i]
}

// keep copies into the batch.
func (b *Batch) keep(p []byte) []byte {
	at := len(b.bytes)
	b.bytes = append(b.bytes, p...)
	return b.bytes[at:len(b.bytes):len(b.bytes)]
}

// Read reads what is needed of the messages of some numbers.
func (v *View) Read(ctx context.Context, numbers []int, need Need, b *Batch) (err error) {
	b.need = need
	if need&NeedParts != 0 {
		b.whole, err = v.Messages(ctx, numbers, true)
		return err
	}
	list := make([]gateway.MessageNumber, len(numbers))
	for i, n := range numbers {
		list[i] = v.Row(n).Message
	}
	if cap(b.messages) < len(list) {
		b.messages, b.got = make([]gateway.Message, len(list)), make([]Need, len(list))
	}
	b.messages, b.got, b.bytes = b.messages[:len(list)], b.got[:len(list)], b.bytes[:0]
	clear(b.messages)
	clear(b.got)
	store, d, a := v.mail.cfg.Store, v.at.Domain, v.at.Account
	if need&NeedBody != 0 {
		err = store.Bodies(ctx, v.scope, d, a, list, func(i int, m *gateway.Message) {
			m.Prefix = b.keep(m.Prefix)
			b.messages[i], b.got[i] = *m, NeedBody
		})
	}
	if need&NeedText != 0 && err == nil {
		err = store.Described(ctx, v.scope, d, a, list, func(i int, c *gateway.Content) {
			to := &b.messages[i].Content
			to.HeaderSize = c.HeaderSize
			to.Envelope, to.BodyStructure, to.Body = b.keep(c.Envelope), b.keep(c.BodyStructure), b.keep(c.Body)
			b.got[i] |= NeedText
		})
	}
	return err
}
