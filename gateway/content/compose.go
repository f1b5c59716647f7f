package content

import (
	"fmt"
	"io"
	"mime"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"

	"github.com/centerleap/postern/gateway"
)

// Trace is what the gateway decides about a message it composes. Both are final:
// they are never rewritten later.
type Trace struct {
	MessageID string    // with angle brackets
	Date      time.Time // zero: none is written
}

// Compose writes the message that c describes: text and html as alternatives,
// inline files beside the HTML that shows them, attachments after all. Without
// a text, one is made of the visible HTML. Bcc is never written. Attachments
// stream; memory does not grow with them.
func Compose(w io.Writer, c *gateway.Compose, t Trace) error {
	h, err := topHeader(c, t)
	if err != nil {
		return err
	}
	if c.Text == "" && c.HTML != "" {
		plain := *c
		plain.Text, _ = VisibleText(c.HTML)
		c = &plain
	}
	return (&composer{c: c}).message(w, h)
}

func topHeader(c *gateway.Compose, t Trace) (message.Header, error) {
	var h mail.Header
	// Fields are added from the last to the first: the library puts each on top.
	for _, f := range slices.Backward(c.Headers) {
		h.AddRaw(appendField(nil, f)) // the library folds in the middle of words, and panics at long names
	}
	h.SetText("MIME-Version", "1.0")
	if len(c.References) > 0 {
		h.SetMsgIDList("References", bare(c.References))
	}
	if c.InReplyTo != "" {
		h.SetMsgIDList("In-Reply-To", bare([]string{c.InReplyTo}))
	}
	h.AddRaw(appendField(nil, gateway.HeaderField{Name: "Subject", Value: c.Subject}))
	setAddresses(&h, "Reply-To", c.ReplyTo)
	setAddresses(&h, "Cc", c.Cc)
	setAddresses(&h, "To", c.To)
	setAddresses(&h, "From", []gateway.Address{c.From})
	h.SetMessageID(strings.Trim(t.MessageID, "<>"))
	if !t.Date.IsZero() { // a draft is dated when it is sent
		h.SetDate(t.Date)
	}
	return h.Header, nil
}

// bare takes the brackets off, which the library puts on.
func bare(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = strings.Trim(id, "<>")
	}
	return out
}

func setAddresses(h *mail.Header, name string, list []gateway.Address) {
	if len(list) == 0 {
		return
	}
	addrs := make([]*mail.Address, len(list))
	for i, a := range list {
		addrs[i] = &mail.Address{Name: a.Name, Address: a.Addr}
	}
	h.SetAddressList(name, addrs)
}

// composer writes the nested parts of one message.
type composer struct{ c *gateway.Compose }

// node writes itself into an entity whose header it has filled.
type node struct {
	header message.Header
	write  func(io.Writer) error // of a leaf
	parts  []node                // of a multipart
}

func (m *composer) message(w io.Writer, h message.Header) error {
	root := m.tree()
	for f := root.header.Fields(); f.Next(); {
		h.Set(f.Key(), f.Value())
	}
	root.header = h
	out, err := message.CreateWriter(w, h)
	if err != nil {
		return err
	}
	return root.into(out)
}

// into writes a node and closes its writer.
func (n *node) into(w *message.Writer) error {
	if n.write != nil {
		if err := n.write(w); err != nil {
			return err
		}
		return w.Close()
	}
	for i := range n.parts {
		p, err := w.CreatePart(n.parts[i].header)
		if err != nil {
			return err
		}
		if err := n.parts[i].into(p); err != nil {
			return err
		}
	}
	return w.Close()
}

// tree is mixed(related(alternative(text, html), inline…), files…), without the
// levels that would hold one part alone.
func (m *composer) tree() node {
	var inline, files []node
	for i := range m.c.Attachments {
		a := &m.c.Attachments[i]
		if a.ContentID != "" && m.c.HTML != "" && !isText(a.ContentType) {
			inline = append(inline, fileNode(a, "inline"))
		} else {
			files = append(files, fileNode(a, "attachment"))
		}
	}
	var body []node
	if m.c.Text != "" || m.c.HTML == "" {
		body = append(body, textNode("text/plain", m.c.Text))
	}
	if m.c.HTML != "" {
		body = append(body, textNode("text/html", m.c.HTML))
	}
	n := group("alternative", body)
	if len(inline) > 0 {
		n = related(n, inline)
	}
	if m.c.Text == "" && m.c.HTML == "" && len(files) > 0 {
		return multipart("mixed", files)
	}
	return group("mixed", append([]node{n}, files...))
}

// group is a multipart, or its only part.
func group(kind string, parts []node) node {
	if len(parts) == 1 {
		return parts[0]
	}
	return multipart(kind, parts)
}

// related shows files within a root, whose type RFC 2387 section 3.1 wants named.
func related(root node, inline []node) node {
	typ, _, _ := root.header.ContentType() // ours: it can be read
	n := node{parts: append([]node{root}, inline...)}
	n.header.SetContentType("multipart/related", map[string]string{"type": typ})
	return n
}

// isText reports whether a file, shown inline, would be taken for a text of the
// message by who reads it.
func isText(typ string) bool {
	t := fileType(typ)
	return t == "text/plain" || t == "text/html"
}

func multipart(kind string, parts []node) node {
	n := node{parts: parts}
	n.header.SetContentType("multipart/"+kind, nil)
	return n
}

// textNode is quoted-printable: safe on every path, and no signature breaks on
// a line that was too long.
func textNode(typ, text string) node {
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\n", "\r\n")
	n := node{write: func(w io.Writer) error {
		_, err := io.WriteString(w, text)
		return err
	}}
	n.header.SetContentType(typ, map[string]string{"charset": "utf-8"})
	n.header.Set("Content-Transfer-Encoding", "quoted-printable")
	return n
}

func fileNode(a *gateway.Attachment, disposition string) node {
	n := node{write: func(w io.Writer) error {
		r, err := a.Open()
		if err != nil {
			return fmt.Errorf("attachment %q: %w", a.Filename, err)
		}
		defer r.Close()
		_, err = io.Copy(w, r)
		return err
	}}
	name := safeName(a.Filename)
	params := map[string]string{}
	if name != "" {
		params["filename"] = name
	}
	n.header.SetContentType(fileType(a.ContentType), nil)
	n.header.SetContentDisposition(disposition, params)
	n.header.Set("Content-Transfer-Encoding", "base64")
	if a.ContentID != "" {
		n.header.Set("Content-ID", "<"+a.ContentID+">")
	}
	return n
}

// fileType is the media type of a file: never one that would make readers look
// for parts inside it.
func fileType(typ string) string {
	t, _, err := mime.ParseMediaType(typ)
	if err != nil || !isMediaType(t) || strings.HasPrefix(t, "multipart/") || strings.HasPrefix(t, "message/") {
		return "application/octet-stream"
	}
	return t
}
