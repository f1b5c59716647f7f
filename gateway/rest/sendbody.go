package rest

import (
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
	// sources are the attachments whose bytes are elsewhere.
	sources []source
	text    int64 // bytes of html and text so far
	once    *once
	done    func() // leaves the claim of once
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
				tag.Name, err = r.t.text(gateway.TagLength)
			case "value":
				tag.Value, err = r.t.text(gateway.TagLength)
			default:
				err = r.t.skip()
			}
			return err
		})
		if err == nil && (!gateway.ValidTag(tag.Name) || !gateway.ValidTag(tag.Value)) {
			err = gateway.Fieldf(gateway.InvalidParameter, r.t.at(), "a tag's name and value are 1 to %d letters, digits, _ or -", gateway.TagLength)
		}
		list = append(list, tag)
		return err
	})
	return list, err
}
