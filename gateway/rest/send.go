package rest

import (
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/outbound"
)

// accepted is the answer to a send. Source: API guide, "Response".
type accepted struct {
	ID        string `json:"id"`
	MessageID string `json:"message_id"`
	ThreadID  string `json:"thread_id"`
}

func (s *Server) sendEmail(k *call) error {
	r, err := s.readSends(k, func(r *sendReader) error { return r.sending() })
	if err != nil {
		return err
	}
	defer r.close()
	return s.submit(k, r, false, func(out outbound.Receipts) any { return answerOf(out.Sent[0]) })
}

// submit sends what a request asks for, and answers it.
func (s *Server) submit(k *call, r *sendReader, permissive bool, answer func(outbound.Receipts) any) error {
	scope, err := s.sendScope(k, r.list[0].Compose)
	if err != nil {
		return err
	}
	if k.sendOnly() && slices.ContainsFunc(r.list, func(sub outbound.Submission) bool { return sub.Draft }) {
		return gateway.Fieldf(gateway.Restricted, "draft", "a send-only key can send emails and keep none")
	}
	if replayed, err := s.replay(k, scope, r.once); replayed || err != nil {
		return err
	}
	shown := func(out outbound.Receipts) any { return k.present(answer(out)) }
	b := outbound.Batch{List: r.list, Permissive: permissive, Once: r.once.keep(shown)}
	for i := range b.List {
		row := k.row
		row.Status = 200
		b.List[i].Activity = s.commitRow(k, row)
	}
	if err := s.sources(k, scope, r, permissive); err != nil {
		return err
	}
	out, err := s.cfg.Sender.SubmitAll(k.ctx, scope, b)
	if err != nil {
		return err
	}
	if n := len(out.Sent); n > 0 {
		k.logged = k.session != nil
		k.counted(out.Sent[n-1].Used)
	}
	return k.json(answer(out))
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

// readSends reads the body of a send with fn; a large one takes a slot. The reader,
// closed, gives the spooled files and the claim of the Idempotency-Key back.
func (s *Server) readSends(k *call, fn func(*sendReader) error) (*sendReader, error) {
	b, err := s.openBody(k, jsonBody, s.cfg.Limits.SendBytes)
	if err != nil {
		return nil, err
	}
	once, done, err := s.openOnce(k)
	if err != nil {
		return nil, b.refuse(err)
	}
	if n := int64(k.c.Request().Header.ContentLength()); n < 0 || n > s.cfg.Limits.JSONBytes {
		release, err := s.sends.Take(k.scope.Domain())
		if err != nil {
			done()
			return nil, b.refuse(err)
		}
		defer release()
	}
	r := &sendReader{t: newTokens(once.reads(b)), lim: s.cfg.Limits, dir: s.cfg.SpoolDir, once: once, done: done}
	whole := false
	defer func() { // also when fn panics: a claim must not outlive its request
		if !whole {
			r.close()
		}
	}()
	stop := b.watch()
	err = fn(r)
	if err == nil {
		err = r.t.end()
	}
	stop()
	r.t.release()
	if err != nil {
		return nil, b.refuse(err)
	}
	whole = true
	return r, nil
}

// sendScope is the caller's; an instance key acts for the domain of From.
func (s *Server) sendScope(k *call, c *gateway.Compose) (gateway.Scope, error) {
	if k.scope.Level() != gateway.LevelInstance {
		return k.scope, nil
	}
	_, host := gateway.SplitAddress(c.From.Addr)
	scope, err := s.within(k, host)
	if gateway.KindOf(err) == gateway.NotFound {
		err = gateway.Fieldf(gateway.DomainNotAuthorized, "from", "%s is not a domain of this gateway", host)
	}
	return scope, err
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
	r, err := s.readSends(k, func(r *sendReader) error {
		return r.t.array(func(i int) error {
			if int64(i) >= s.cfg.Limits.Batch {
				return gateway.Fieldf(gateway.InvalidParameter, "", "a batch has at most %d emails", s.cfg.Limits.Batch)
			}
			return r.sending()
		})
	})
	if err != nil {
		return err
	}
	defer r.close()
	if len(r.list) == 0 {
		return gateway.Errorf(gateway.MissingField, "a batch has at least one email")
	}
	return s.submit(k, r, permissive, func(out outbound.Receipts) any { return batchOf(out) })
}

func batchOf(out outbound.Receipts) batchAnswer {
	answer := batchAnswer{Data: []accepted{}}
	for _, r := range out.Sent {
		answer.Data = append(answer.Data, answerOf(r))
	}
	for _, r := range out.Refused {
		answer.Errors = append(answer.Errors, batchError{r.Index, r.Err.Kind.String(), r.Err.Message})
	}
	return answer
}
