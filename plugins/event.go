package plugins

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// eventText is how much of a message's text its event carries; ours.
const eventText = 16 << 10

// view is a message as a hook shows it, the same to all plugins that are asked one after
// the other: what one of them had described is not described again for the next.
type view struct {
	look  *gateway.Look
	hook  gateway.Hook
	guest guest // who is asked

	fields    []gateway.HeaderField
	described *abi.Event
	found     uint8  // what of costly is in it, a bit each
	doc       []byte // the whole of it, in JSON
	junk      bool   // somebody put it there
}

// costly are the members of an event that have to be found out, not only copied: so each is
// when a plugin asks for it, or for the whole document.
var costly = [...]struct {
	members []string
	tell    func(*view, *abi.Event) error
}{
	{[]string{"headers"}, (*view).tellHeader},
	{[]string{"automated"}, (*view).tellAutomation},
	{[]string{"thread_id", "new_thread_id", "candidates"}, (*view).tellThread},
	{[]string{"text", "text_truncated"}, (*view).tellText},
}

// header reads the message's header.
func (v *view) header() ([]gateway.HeaderField, error) {
	if v.fields == nil && v.look.Reading != nil {
		fields, err := v.look.Reading.Header()
		if err != nil {
			return nil, err
		}
		v.fields = fields
	}
	return v.fields, nil
}

// document is the event document.
func (v *view) document() ([]byte, error) {
	if v.doc != nil {
		return v.doc, nil
	}
	e := v.event()
	for i := range costly {
		if err := v.find(i); err != nil {
			return nil, err
		}
	}
	doc, err := json.Marshal(e)
	v.doc = doc
	return doc, err
}

// value is one value of the event.
func (v *view) value(path string) (value string, ok bool, err error) {
	member, _, _ := strings.Cut(path, ".")
	e := v.event()
	for i := range costly {
		if slices.Contains(costly[i].members, member) {
			err = v.find(i)
		}
	}
	if err != nil {
		return "", false, err
	}
	value, ok = e.Value(path)
	return value, ok, nil
}

// find finds out costly members, once.
func (v *view) find(i int) (err error) {
	if bit := uint8(1) << i; v.found&bit == 0 && v.look.Message != nil {
		if err = costly[i].tell(v, v.described); err == nil {
			v.found |= bit
		}
	}
	return err
}

// event describes the message but for what is costly, or that there is none.
func (v *view) event() *abi.Event {
	if v.described != nil {
		return v.described
	}
	look := v.look
	e := &abi.Event{
		V: 1, Hook: string(v.hook), Domain: domainOf(look), Mailbox: look.Mailbox,
		Envelope: abi.Envelope{MailFrom: look.Envelope.ReturnPath, RcptTo: listed(look.Envelope.Recipients), RemoteIP: look.Envelope.RemoteIP, Helo: look.Envelope.Helo},
		To:       []abi.Address{}, Cc: []abi.Address{}, ReplyTo: []abi.Address{}, References: []string{}, Headers: [][2]string{}, Parts: []abi.Part{},
		Via: look.Via, DryRun: look.DryRun,
	}
	v.tellState(e)
	if look.Message != nil {
		v.describeMessage(e)
	}
	v.tellOccasion(e)
	v.described = e
	return e
}

// describeMessage adds what is known of the message.
func (v *view) describeMessage(e *abi.Event) {
	m := v.look.Message
	c := &m.Content
	e.Time, e.Auth, e.Size, e.Subject = rfc3339(m.Arrived), authOf(&m.Auth), m.Blob.Size, c.Subject
	e.To, e.Cc, e.ReplyTo = addresses(c.To), addresses(c.Cc), addresses(c.ReplyTo)
	e.RFCMessageID, e.InReplyTo, e.References = c.MessageID, c.InReplyTo, listed(c.References)
	if !m.ID.IsZero() {
		e.MessageID = m.ID.String()
	}
	if !m.Thread.IsZero() { // it is stored
		e.ThreadID = m.Thread.String()
	}
	if len(c.From) > 0 {
		e.From = abi.Address{Name: c.From[0].Name, Addr: c.From[0].Addr}
	}
	for i := range c.Parts {
		p := &c.Parts[i]
		e.Parts = append(e.Parts, abi.Part{Index: i, Type: p.Type, Name: p.Filename, Size: p.DecodedSize})
	}
	if v.hook == gateway.HookOutbound {
		describeSending(e, m)
	}
}

// tellHeader adds the fields of the header.
func (v *view) tellHeader(e *abi.Event) error {
	fields, err := v.header()
	for _, f := range fields {
		e.Headers = append(e.Headers, [2]string{f.Name, f.Value})
	}
	return err
}

func authOf(a *gateway.AuthResults) abi.Auth {
	return abi.Auth{
		SPF: a.SPF.Result, DKIM: a.DKIM.Result, DMARC: a.DMARC.Result, FromAligned: a.FromAligned, Disposition: string(a.Disposition),
	}
}

// tellText adds the message's text, which has to be found and decoded.
func (v *view) tellText(e *abi.Event) (err error) {
	if v.look.Reading != nil {
		e.Text, e.TextTruncated, err = v.look.Reading.Text(eventText)
	}
	return err
}

// describeSending adds what only the sender knows.
func describeSending(e *abi.Event, m *gateway.Message) {
	e.Bcc = addresses(m.Content.Bcc)
	if !m.Key.IsZero() {
		e.APIKeyID = m.Key.String()
	}
	for _, t := range m.Tags {
		e.Tags = append(e.Tags, abi.Tag(t))
	}
}

// tellThread adds which conversations the message may belong to.
func (v *view) tellThread(e *abi.Event) error {
	if v.hook != gateway.HookThread {
		return nil
	}
	found, err := v.look.Candidates()
	if err != nil {
		return err
	}
	e.NewThreadID = v.look.NewThread.String()
	e.ThreadID = e.NewThreadID
	for i, t := range found {
		if i == 0 {
			e.ThreadID = t.ID.String()
		}
		e.Candidates = append(e.Candidates, abi.Candidate{ThreadID: t.ID.String(), Subject: t.Subject})
	}
	return nil
}

// tellAutomation says whether a person wrote the message, and whether a program may answer
// it.
func (v *view) tellAutomation(e *abi.Event) error {
	if v.look.Automation == nil {
		return nil
	}
	a, err := v.look.Automation()
	e.Automated = abi.Automated{Auto: a.Auto, List: a.List, Bulk: a.Bulk, Bounce: a.Bounce, ReplyOK: err == nil && a.Silent == ""}
	return err
}

// domainOf is the name of the domain that a look is about.
func domainOf(look *gateway.Look) string {
	if look.Domain != "" {
		return look.Domain
	}
	addr := look.Mailbox
	if addr == "" && len(look.Envelope.Recipients) > 0 {
		addr = look.Envelope.Recipients[0]
	}
	_, host := gateway.SplitAddress(addr)
	return strings.ToLower(host)
}

func addresses(list []gateway.Address) []abi.Address {
	out := make([]abi.Address, len(list))
	for i, a := range list {
		out[i] = abi.Address{Name: a.Name, Addr: a.Addr}
	}
	return out
}

// listed is a list that is never null in JSON.
func listed(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
