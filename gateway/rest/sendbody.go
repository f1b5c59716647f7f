package rest

import (
	"io"
	"os"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/outbound"
)

// sendReader reads the emails of a send request. Attachments go to files as
// they come; close removes them.
type sendReader struct {
	t     *tokens
	lim   gateway.Limits
	dir   string
	list  []outbound.Submission
	files []*os.File
	text  int64 // bytes of html and text so far
	once  *once
	done  func() // leaves the claim of once
}

func (r *sendReader) close() {
	for _, f := range r.files {
		_ = f.Close() // it has no name any more
	}
	r.done()
}

const (
	// maxSubject is what RFC 5322 section 2.1.1 allows a line, over several.
	maxSubject = 4 << 10
	// maxAddressText bounds one address with its name.
	maxAddressText = 1 << 10
	// maxFilename and maxType bound what describes a file.
	maxFilename = 1 << 10
	maxType     = 256
)

// refusedFields are known to other services: to ignore one would do something
// else than was asked.
var refusedFields = map[string]string{
	"template": "templates are not built; send html", "template_id": "templates are not built; send html",
	"variables": "templates are not built; send html", "topic_id": "topics are not built", "region": "there are no regions",
	"amp": "amp is not built", "unsubscribe": "unsubscribe pages are not built",
}

// sending reads one email object.
func (r *sendReader) sending() error {
	sub := outbound.Submission{Compose: &gateway.Compose{}}
	var given fields
	err := r.t.object(func(name string) (err error) {
		if why, refused := refusedFields[name]; refused {
			return gateway.Fieldf(gateway.InvalidParameter, r.t.at(), "%s: %s", name, why)
		}
		if isNull, err := r.t.null(); isNull || err != nil {
			return err
		}
		switch name {
		case "scheduled_at":
			return r.schedule(&sub)
		case "draft":
			sub.Draft, err = r.t.boolean()
			return err
		}
		return r.field(sub.Compose, name, &given)
	})
	if err != nil {
		return err
	}
	r.list = append(r.list, sub)
	return r.complete(&sub, &given)
}

func (r *sendReader) schedule(sub *outbound.Submission) error {
	v, err := r.t.text(maxType)
	if err != nil || v == "" {
		return err
	}
	if sub.At, err = scheduledAt(v); err != nil {
		return gateway.Fieldf(gateway.InvalidParameter, r.t.at(), "%s", gateway.AsError(err).Message)
	}
	return nil
}

// fields notes what was there: an empty subject is a subject.
type fields struct{ from, to, subject bool }

func (r *sendReader) field(c *gateway.Compose, name string, given *fields) (err error) {
	switch name {
	case "from":
		given.from = true
		c.From, err = r.from()
	case "to":
		given.to = true
		c.To, err = r.addresses()
	case "cc":
		c.Cc, err = r.addresses()
	case "bcc":
		c.Bcc, err = r.addresses()
	case "reply_to":
		c.ReplyTo, err = r.addresses()
	case "subject":
		given.subject = true
		c.Subject, err = r.t.text(maxSubject)
	case "html":
		c.HTML, err = r.body()
	case "text":
		c.Text, err = r.body()
	case "in_reply_to":
		c.InReplyTo, err = r.t.text(maxAddressText)
	case "headers":
		c.Headers, err = r.headers()
	case "tags":
		c.Tags, err = r.tags()
	case "attachments":
		c.Attachments, err = r.attachments()
	default:
		err = r.t.skip()
	}
	return err
}

// body reads html or text, which stand in memory: each has its limit, and so
// have all of one request.
func (r *sendReader) body() (string, error) {
	v, err := r.t.text(min(r.lim.BodyBytes, r.lim.RequestTextBytes-r.text))
	r.text += int64(len(v))
	return v, err
}

// complete checks what no single field can.
func (r *sendReader) complete(sub *outbound.Submission, given *fields) error {
	c, at := sub.Compose, r.t.at()
	if at != "" {
		at += "."
	}
	switch {
	case !given.from:
		return gateway.Fieldf(gateway.MissingField, at+"from", "from is required")
	case sub.Draft && !sub.At.IsZero():
		return gateway.Fieldf(gateway.InvalidParameter, at+"scheduled_at", "a draft has no time; schedule it when it is sent")
	case sub.Draft: // what is missing is asked for when it is sent
	case !given.to || len(c.To) == 0:
		return gateway.Fieldf(gateway.MissingField, at+"to", "to is required")
	case !given.subject:
		return gateway.Fieldf(gateway.MissingField, at+"subject", "subject is required; it may be empty")
	case c.HTML == "" && c.Text == "" && len(c.Attachments) == 0:
		return gateway.Fieldf(gateway.MissingField, at+"html", "html or text is required")
	}
	return content.CheckCompose(c, r.lim)
}

func (r *sendReader) from() (gateway.Address, error) {
	v, err := r.t.text(maxAddressText)
	if err != nil {
		return gateway.Address{}, err
	}
	a, err := content.ParseAddress(v)
	if err != nil {
		return a, gateway.Fieldf(gateway.InvalidFrom, r.t.at(), "from: %s", gateway.AsError(err).Message)
	}
	return a, nil
}

// addresses reads one address or an array of them.
func (r *sendReader) addresses() (list []gateway.Address, err error) {
	one := func() error {
		v, err := r.t.text(maxAddressText)
		if err != nil {
			return err
		}
		a, err := content.ParseAddress(v)
		if err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, r.t.at(), "%s", gateway.AsError(err).Message)
		}
		list = append(list, a)
		return nil
	}
	if c, err := r.t.peek(); err != nil || c == '"' {
		if err == nil {
			err = one()
		}
		return list, err
	}
	err = r.t.array(func(i int) error {
		if int64(i) >= r.lim.Recipients {
			return r.tooMany("addresses", r.lim.Recipients)
		}
		return one()
	})
	return list, err
}

// tooMany refuses the element at hand, in the name of its list.
func (r *sendReader) tooMany(what string, most int64) error {
	field := *r.t
	field.path = field.path[:len(field.path)-1]
	return gateway.Fieldf(gateway.InvalidParameter, field.at(), "%s: more than %d %s", field.at(), most, what)
}

func (r *sendReader) headers() (list []gateway.HeaderField, err error) {
	err = r.t.object(func(name string) error {
		if int64(len(list)) >= r.lim.CustomHeaders {
			return r.tooMany("header fields", r.lim.CustomHeaders)
		}
		v, err := r.t.text(r.lim.CustomHeaderBytes)
		list = append(list, gateway.HeaderField{Name: name, Value: v})
		return err
	})
	return list, err
}

func (r *sendReader) tags() (list []gateway.Tag, err error) {
	err = r.t.array(func(i int) error {
		if int64(i) >= r.lim.Tags {
			return r.tooMany("tags", r.lim.Tags)
		}
		var tag gateway.Tag
		err := r.t.object(func(name string) (err error) {
			switch name {
			case "name":
				tag.Name, err = r.t.text(maxTag)
			case "value":
				tag.Value, err = r.t.text(maxTag)
			default:
				err = r.t.skip()
			}
			return err
		})
		if err == nil && (!tagText(tag.Name) || !tagText(tag.Value)) {
			err = gateway.Fieldf(gateway.InvalidParameter, r.t.at(), "a tag's name and value are 1 to %d letters, digits, _ or -", maxTag)
		}
		list = append(list, tag)
		return err
	})
	return list, err
}

const maxTag = 256

func tagText(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_' && c != '-' {
			return false
		}
	}
	return s != ""
}

func (r *sendReader) attachments() (list []gateway.Attachment, err error) {
	err = r.t.array(func(i int) error {
		if int64(i) >= r.lim.Attachments {
			return gateway.Fieldf(gateway.InvalidAttachment, r.t.at(), "more than %d attachments", r.lim.Attachments)
		}
		a, err := r.attachment()
		list = append(list, a)
		return err
	})
	return list, err
}

func (r *sendReader) attachment() (a gateway.Attachment, err error) {
	found := false
	err = r.t.object(func(name string) (err error) {
		if isNull, err := r.t.null(); isNull || err != nil {
			return err
		}
		switch name {
		case "filename":
			a.Filename, err = r.t.text(maxFilename)
		case "content_type":
			a.ContentType, err = r.t.text(maxType)
		case "content_id":
			a.ContentID, err = r.t.text(maxType)
		case "content":
			found = true
			err = r.file(&a)
		case "path", "email_id", "attachment_id":
			err = gateway.Fieldf(gateway.InvalidAttachment, r.t.at(), "%s is not built yet; send the file as content", name)
		default:
			err = r.t.skip()
		}
		return err
	})
	if err == nil && !found {
		err = gateway.Fieldf(gateway.InvalidAttachment, r.t.at()+".content", "an attachment needs its content, in base64")
	}
	if err == nil && a.Filename == "" && a.ContentID == "" {
		err = gateway.Fieldf(gateway.InvalidAttachment, r.t.at()+".filename", "an attachment needs a filename")
	}
	return a, err
}

// file decodes a base64 string into a file without a name, which is gone when
// the process is.
func (r *sendReader) file(a *gateway.Attachment) error {
	f, err := os.CreateTemp(r.dir, "attachment-*")
	if err != nil {
		return err
	}
	r.files = append(r.files, f)
	if err := os.Remove(f.Name()); err != nil {
		return err
	}
	d := base64Writer{w: f, most: r.lim.AttachmentBytes, at: r.t.at()}
	if err := r.t.stream(d.write); err != nil {
		return err
	}
	if a.Size, err = d.end(); err != nil {
		return err
	}
	size := a.Size
	a.Open = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, size)), nil }
	return nil
}

// base64Writer decodes base64 of either alphabet (RFC 4648 sections 4 and 5),
// padded or not, with white space anywhere; nothing else is forgiven.
type base64Writer struct {
	w      io.Writer
	most   int64
	at     string
	acc    uint32
	n      int // characters in acc
	pad    int
	size   int64
	buffer []byte
}

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}

func (d *base64Writer) bad() error {
	return gateway.Fieldf(gateway.InvalidAttachment, d.at, "%s is not base64", d.at)
}

func (d *base64Writer) write(p []byte) error {
	d.buffer = d.buffer[:0]
	for _, c := range p {
		switch v := base64Value(c); {
		case v >= 0 && d.pad == 0:
			d.acc = d.acc<<6 | uint32(v)
			if d.n++; d.n == 4 {
				d.buffer = append(d.buffer, byte(d.acc>>16), byte(d.acc>>8), byte(d.acc))
				d.acc, d.n = 0, 0
			}
		case c == '=':
			d.pad++
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
		default:
			return d.bad()
		}
	}
	return d.flush()
}

func (d *base64Writer) flush() error {
	if d.size += int64(len(d.buffer)); d.size > d.most {
		return gateway.Fieldf(gateway.TooLarge, d.at, "%s is over %d bytes", d.at, d.most)
	}
	_, err := d.w.Write(d.buffer)
	return err
}

// end takes the last, shorter group.
func (d *base64Writer) end() (int64, error) {
	d.buffer = d.buffer[:0]
	switch {
	case d.n == 1, d.pad > 2, d.pad > 0 && (d.n+d.pad)%4 != 0:
		return 0, d.bad()
	case d.n == 2:
		d.buffer = append(d.buffer, byte(d.acc>>4))
	case d.n == 3:
		d.buffer = append(d.buffer, byte(d.acc>>10), byte(d.acc>>2))
	}
	err := d.flush()
	return d.size, err
}
