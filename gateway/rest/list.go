package rest

import (
	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// emailPage is a page of emails. Source: API guide, "List Response".
type emailPage struct {
	Object   string      `json:"object"`
	Data     []emailItem `json:"data"`
	Total    int64       `json:"total"`
	Capped   *bool       `json:"total_capped,omitempty"` // of filtered lists
	HasMore  bool        `json:"has_more"`
	Page     int         `json:"page"`
	PageSize int         `json:"page_size"`
}

const defaultPage = 20

func (s *Server) listEmails(k *call) error {
	scope, err := s.mailScope(k)
	if err != nil {
		return err
	}
	q, err := s.pageQuery(k)
	if err != nil {
		return err
	}
	if q.After, q.Before, err = k.cursors(); err != nil {
		return err
	}
	if q.Filter, err = k.filter(); err != nil {
		return err
	}
	p, err := s.cfg.Mail.List(k.ctx, scope, q)
	if err != nil {
		return err
	}
	out := pageOf(p)
	if q.Filter != nil {
		out.Capped = &p.Capped
	}
	return k.json(out)
}

// pageQuery reads which page of which folder is meant.
func (s *Server) pageQuery(k *call) (q mailbox.Query, err error) {
	q.Email, q.Folder = k.c.Query("email"), k.c.Query("folder")
	if q.Limit, err = k.number("limit", defaultPage); err != nil {
		return q, err
	}
	q.Limit = min(q.Limit, int(s.cfg.Limits.PageSize))
	q.Page, err = k.number("page", 1)
	return q, err
}

func pageOf(p mailbox.Page) emailPage {
	out := emailPage{Object: "list", Data: []emailItem{}, Total: p.Total, HasMore: p.HasMore, Page: p.Page, PageSize: p.Size}
	for i := range p.Items {
		out.Data = append(out.Data, itemOf(&p.Items[i]))
	}
	return out
}

// cursors reads after and before. They and page exclude each other.
func (k *call) cursors() (after, before *mailbox.Ref, err error) {
	first := ""
	for _, name := range []string{"page", "after", "before"} {
		if k.c.Query(name) == "" {
			continue
		}
		if first != "" {
			return nil, nil, gateway.Fieldf(gateway.InvalidParameter, name, "%s and %s exclude each other", first, name)
		}
		first = name
	}
	for name, to := range map[string]**mailbox.Ref{"after": &after, "before": &before} {
		if v := k.c.Query(name); v != "" {
			ref, err := parseRef(v)
			if err != nil {
				return nil, nil, err
			}
			*to = &ref
		}
	}
	return after, before, nil
}

// filters are the parameters that narrow a list of emails.
var filters = []string{"q", "from", "to", "subject", "since", "until", "is_read", "is_starred", "has_attachments", "label", "tag", "thread_id"}

// filter reads what narrows a list; nil if nothing does.
func (k *call) filter() (f *mailbox.Filter, err error) {
	for _, name := range filters {
		v := k.c.Query(name)
		if v == "" {
			continue
		}
		if f == nil {
			f = &mailbox.Filter{}
		}
		if err := k.narrow(f, name, v); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// narrow reads one parameter into f.
func (k *call) narrow(f *mailbox.Filter, name, v string) (err error) {
	switch name {
	case "q":
		f.Words, err = words(v)
	case "from":
		f.From = v
	case "to":
		f.To = v
	case "subject":
		f.Subject = v
	case "since":
		f.Since, err = k.time(name)
	case "until":
		f.Until, err = k.time(name)
	case "is_read":
		f.Read, err = k.choice(name)
	case "is_starred":
		f.Starred, err = k.choice(name)
	case "has_attachments":
		f.Attachments, err = k.choice(name)
	case "label":
		if f.Label = v; !gateway.ValidLabel(v) {
			err = gateway.Fieldf(gateway.InvalidParameter, name, "a label is of 1 to 64 letters, digits and marks, without spaces")
		}
	case "tag":
		f.Tag, err = k.tag()
	case "thread_id":
		f.Thread, err = k.uuid(name)
	}
	return err
}
