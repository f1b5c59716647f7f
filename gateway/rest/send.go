package rest

import (
	"fmt"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
)

// accepted is the answer to a send. Source: API guide, "Response".
type accepted struct {
	ID        string `json:"id"`
	MessageID string `json:"message_id"`
	ThreadID  string `json:"thread_id"`
}

func (s *Server) sendEmail(k *call) error {
	var list []*gateway.Compose
	done, err := s.readSends(k, func(r *sendReader) error {
		c, err := r.email()
		list = append(list, c)
		return err
	})
	if err != nil {
		return err
	}
	defer done()
	scope, err := s.sendScope(k, list[0])
	if err != nil {
		return err
	}
	row := k.row
	row.Status = 200
	receipt, err := s.cfg.Sender.Submit(k.ctx, scope, outbound.Submission{Compose: list[0], Activity: s.commitRow(k, row)})
	if err != nil {
		return err
	}
	k.logged = k.session != nil
	s.rateHeaders(k, receipt.Used)
	return k.c.JSON(answerOf(receipt))
}

func answerOf(r outbound.Receipt) accepted {
	return accepted{r.ID.String(), r.MessageID, r.Thread.String()}
}

// commitRow is the row of the log that commits with a message.
func (s *Server) commitRow(k *call, row gateway.Activity) *gateway.Activity {
	if k.session == nil {
		return nil
	}
	row.At = s.cfg.Now()
	return &row
}

// readSends reads the body of a send with fn; a large one takes a slot. done
// gives the spooled files back.
func (s *Server) readSends(k *call, fn func(*sendReader) error) (done func(), err error) {
	b, err := s.openBody(k, jsonBody, s.cfg.Limits.SendBytes)
	if err != nil {
		return nil, err
	}
	if k.c.Get("Idempotency-Key") != "" { // to ignore it would send twice what must go once
		return nil, b.refuse(gateway.Fieldf(gateway.InvalidParameter, "idempotency-key", "Idempotency-Key is not built yet; send without it"))
	}
	if n := int64(k.c.Request().Header.ContentLength()); n < 0 || n > s.cfg.Limits.JSONBytes {
		select {
		case s.sends <- struct{}{}:
			defer func() { <-s.sends }()
		default:
			return nil, b.refuse(&gateway.Error{Kind: gateway.Unavailable, Message: "too many large emails are being sent at once; try again", Retry: time.Second})
		}
	}
	r := &sendReader{t: newTokens(b), lim: s.cfg.Limits, dir: s.cfg.SpoolDir}
	stop := b.watch()
	err = fn(r)
	if err == nil {
		err = r.t.end()
	}
	stop()
	if err != nil {
		r.close()
		return nil, b.refuse(err)
	}
	return r.close, nil
}

// sendScope is the caller's; an instance key acts for the domain of From.
func (s *Server) sendScope(k *call, c *gateway.Compose) (gateway.Scope, error) {
	if k.scope.Level() != gateway.LevelInstance {
		return k.scope, nil
	}
	_, host := gateway.SplitAddress(c.From.Addr)
	d, err := s.cfg.Domains.Get(k.ctx, k.scope, host)
	if gateway.KindOf(err) == gateway.NotFound {
		return k.scope, gateway.Fieldf(gateway.DomainNotAuthorized, "from", "%s is not a domain of this gateway", host)
	} else if err != nil {
		return k.scope, err
	}
	return keys.Narrow(k.scope, d.ID, 0)
}

// rateHeaders tell a key how much of its hour is left: the IETF fields of
// draft-ietf-httpapi-ratelimit-headers, and the older trio.
func (s *Server) rateHeaders(k *call, u gateway.Usage) {
	if k.session == nil {
		return
	}
	most := k.session.Key().Limits.Messages
	if most == 0 {
		return
	}
	left := max(0, most-u.Messages)
	reset := max(0, int(u.Opened.Add(gateway.Window).Sub(s.cfg.Now()).Seconds()))
	k.c.Set("RateLimit-Policy", fmt.Sprintf(`"emails";q=%d;w=%d`, most, int(gateway.Window.Seconds())))
	k.c.Set("RateLimit", fmt.Sprintf(`"emails";r=%d;t=%d`, left, reset))
	k.c.Set("RateLimit-Limit", fmt.Sprint(most))
	k.c.Set("RateLimit-Remaining", fmt.Sprint(left))
	k.c.Set("RateLimit-Reset", fmt.Sprint(reset))
}

// batchError is one email that a permissive batch could not send.
type batchError struct {
	Index   int    `json:"index"`
	Name    string `json:"name"`
	Message string `json:"message"`
}

type batchAnswer struct {
	Data   []accepted   `json:"data"`
	Errors []batchError `json:"errors,omitempty"`
}

// sendBatch sends up to Limits.Batch emails: all or none, or, with the header
// x-batch-validation: permissive, those that can be sent.
func (s *Server) sendBatch(k *call) error {
	permissive := false
	switch v := strings.ToLower(k.c.Get("X-Batch-Validation")); v {
	case "", "strict":
	case "permissive":
		permissive = true
	default:
		return gateway.Fieldf(gateway.InvalidParameter, "x-batch-validation", "x-batch-validation is strict or permissive")
	}
	var list []*gateway.Compose
	done, err := s.readSends(k, func(r *sendReader) error {
		return r.t.array(func(i int) error {
			if int64(i) >= s.cfg.Limits.Batch {
				return gateway.Fieldf(gateway.InvalidParameter, "", "a batch has at most %d emails", s.cfg.Limits.Batch)
			}
			c, err := r.email()
			list = append(list, c)
			return err
		})
	})
	if err != nil {
		return err
	}
	defer done()
	if len(list) == 0 {
		return gateway.Errorf(gateway.MissingField, "a batch has at least one email")
	}
	scope, err := s.sendScope(k, list[0])
	if err != nil {
		return err
	}
	subs := make([]outbound.Submission, len(list))
	for i, c := range list {
		row := k.row
		row.Status = 200
		subs[i] = outbound.Submission{Compose: c, Activity: s.commitRow(k, row)}
	}
	if permissive {
		return s.sendEach(k, scope, subs)
	}
	receipts, err := s.cfg.Sender.SubmitAll(k.ctx, scope, subs)
	if err != nil {
		return err
	}
	k.logged = k.session != nil
	answer := batchAnswer{}
	for _, r := range receipts {
		answer.Data = append(answer.Data, answerOf(r))
	}
	s.rateHeaders(k, receipts[len(receipts)-1].Used)
	return k.c.JSON(answer)
}

func (s *Server) sendEach(k *call, scope gateway.Scope, subs []outbound.Submission) error {
	answer := batchAnswer{Data: []accepted{}}
	for i, sub := range subs {
		r, err := s.cfg.Sender.Submit(k.ctx, scope, sub)
		if err != nil {
			e := gateway.AsError(err)
			if e.Kind == gateway.Internal || e.Kind == gateway.InvalidKey || e.Kind == gateway.Unavailable {
				return err
			}
			answer.Errors = append(answer.Errors, batchError{i, e.Kind.String(), e.Message})
			continue
		}
		answer.Data = append(answer.Data, answerOf(r))
		s.rateHeaders(k, r.Used)
	}
	return k.c.JSON(answer)
}
