package rest

import (
	"io"
	"os"

	"github.com/centerleap/postern/gateway"
)

func (r *sendReader) attachments() (list []gateway.Attachment, err error) {
	err = r.t.array(func(i int) error {
		if int64(i) >= r.lim.Attachments {
			return gateway.Fieldf(gateway.InvalidAttachment, r.t.at(), "more than %d attachments", r.lim.Attachments)
		}
		a, err := r.attachment(i)
		list = append(list, a)
		return err
	})
	return list, err
}

// attachment reads one attachment, and the bytes of it that are in the request.
func (r *sendReader) attachment(i int) (a gateway.Attachment, err error) {
	inside := false
	src := source{email: len(r.list), file: i, at: r.t.at()}
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
			inside = true
			err = r.file(&a)
		case "path":
			src.path, err = r.t.text(maxPath)
		case "email_id":
			src.emailID, err = r.t.text(maxAddressText)
		case "attachment_id":
			src.attachment, err = r.t.text(maxType)
		default:
			err = r.t.skip()
		}
		return err
	})
	if err != nil {
		return a, err
	}
	return a, r.settle(&a, src, inside)
}

// settle makes sure that an attachment has its bytes from one place.
func (r *sendReader) settle(a *gateway.Attachment, src source, inside bool) error {
	stored := src.emailID != "" || src.attachment != ""
	switch {
	case inside && (src.path != "" || stored) || src.path != "" && stored:
		return gateway.Fieldf(gateway.InvalidAttachment, src.at, "an attachment has one of content, path, and email_id with attachment_id")
	case stored && src.emailID == "":
		return gateway.Fieldf(gateway.InvalidAttachment, src.at+".email_id", "attachment_id needs the email_id of its email")
	case stored && src.attachment == "":
		return gateway.Fieldf(gateway.InvalidAttachment, src.at+".attachment_id", "email_id needs the attachment_id of one of its files")
	case stored || src.path != "":
		r.sources = append(r.sources, src)
		return nil
	case !inside:
		return gateway.Fieldf(gateway.InvalidAttachment, src.at+".content", "an attachment needs its content, in base64, or a path, or an email_id")
	case a.Filename == "" && a.ContentID == "":
		return gateway.Fieldf(gateway.InvalidAttachment, src.at+".filename", "an attachment needs a filename")
	}
	return nil
}

// spool makes a file without a name, which is gone when the process is.
func (r *sendReader) spool() (*os.File, error) {
	f, err := os.CreateTemp(r.dir, "attachment-*")
	if err != nil {
		return nil, err
	}
	r.files = append(r.files, f)
	return f, os.Remove(f.Name())
}

// file decodes a base64 string into a file, or an array of bytes.
func (r *sendReader) file(a *gateway.Attachment) error {
	f, err := r.spool()
	if err != nil {
		return err
	}
	d := base64Writer{w: f, most: r.lim.AttachmentBytes, at: r.t.at()}
	c, err := r.t.peek()
	switch {
	case err != nil:
		return err
	case c == '[':
		err = r.t.octets(d.plain)
	default:
		err = r.t.stream(d.write)
	}
	if err != nil {
		return err
	}
	if a.Size, err = d.end(); err != nil {
		return err
	}
	a.Open = opener(f, a.Size)
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

// plain takes bytes as they are.
func (d *base64Writer) plain(p []byte) error {
	d.buffer = append(d.buffer[:0], p...)
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
