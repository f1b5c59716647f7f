package rest

import (
	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// conversation is a thread. Source: API guide, "Thread Response".
type conversation struct {
	Object       string      `json:"object"`
	ThreadID     string      `json:"thread_id"`
	Subject      string      `json:"subject"`
	MessageCount int         `json:"message_count"`
	Data         []emailItem `json:"data"`
	HasMore      bool        `json:"has_more"`
}

const (
	defaultThread = 100
	maxThread     = 500
)

func (s *Server) getThread(k *call) error {
	scope, account, err := s.ownEmail(k)
	if err != nil {
		return err
	}
	id, err := gateway.ParseID(k.c.Params("threadId"))
	if err != nil {
		return gateway.Errorf(gateway.NotFound, "no such thread")
	}
	limit, err := k.number("limit", defaultThread)
	if err != nil {
		return err
	}
	page, err := k.number("page", 1)
	if err != nil {
		return err
	}
	th, err := s.cfg.Mail.Thread(k.ctx, scope, id, page, min(limit, maxThread))
	if err != nil {
		return err
	}
	if account != 0 && th.Thread.Account != account {
		return gateway.Errorf(gateway.NotFound, "no such thread")
	}
	out := conversation{
		Object: "thread", ThreadID: th.Thread.ID.String(), Subject: th.Thread.Subject,
		MessageCount: th.Thread.Count, Data: []emailItem{}, HasMore: th.HasMore,
	}
	for i := range th.Items {
		out.Data = append(out.Data, itemOf(&th.Items[i]))
	}
	return k.json(out)
}

// threadSummary is a conversation in a list: its date and preview are those of its
// newest email in the folder, the rest is about all of it.
type threadSummary struct {
	Object       string   `json:"object"`
	ThreadID     string   `json:"thread_id"`
	Subject      string   `json:"subject"`
	MessageCount int      `json:"message_count"`
	LastDate     string   `json:"last_date"`
	Unread       int      `json:"unread"`
	Participants []string `json:"participants"`
	Preview      string   `json:"preview"`
}

// threadPage is a page of conversations.
type threadPage struct {
	Object   string          `json:"object"`
	Data     []threadSummary `json:"data"`
	HasMore  bool            `json:"has_more"`
	Page     int             `json:"page"`
	PageSize int             `json:"page_size"`
}

func (s *Server) listThreads(k *call) error {
	scope, err := s.mailScope(k)
	if err != nil {
		return err
	}
	q, err := s.pageQuery(k)
	if err != nil {
		return err
	}
	if v := k.c.Query("q"); v != "" {
		text, err := words(v)
		if err != nil {
			return err
		}
		q.Filter = &mailbox.Filter{Words: text}
	}
	all, err := s.cfg.Mail.Conversations(k.ctx, scope, q)
	if err != nil {
		return err
	}
	out := threadPage{Object: "list", Data: []threadSummary{}, HasMore: all.HasMore, Page: all.Page, PageSize: all.Size}
	for i := range all.Items {
		t := &all.Items[i]
		people := t.People
		if people == nil {
			people = []string{}
		}
		out.Data = append(out.Data, threadSummary{
			"thread_summary", t.Thread.ID.String(), t.Thread.Subject, t.Thread.Count, stamp(t.Newest.Arrived), t.Unread, people, t.Newest.Content.Preview,
		})
	}
	return k.json(out)
}
