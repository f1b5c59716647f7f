package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/flow"
	"github.com/centerleap/postern/gateway/threading"
)

// tray carries one submission through the flow; each stage fills its part.
type tray struct {
	scope gateway.Scope
	sub   Submission
	large bool // its body shall not travel with the commit

	from       gateway.Address // the author
	returnPath string
	recipients []string
	domain     *gateway.Domain
	account    *gateway.Account // nil: the address has none yet

	now     time.Time          // when it is accepted
	written *content.Submitted // the sender's own words, or nil and
	compose gateway.Compose    // the description of them, completed
	trace   content.Trace
	source  io.Closer // of written, if it has to be closed
	body    gateway.BlobWriter
	blob    gateway.Blob
	content *gateway.Content
	reading *content.Reading // of all that
	// What plugins have changed: added are fields before the body's, and compose describes
	// a draft once described.
	added     []gateway.HeaderField
	described bool

	message    *gateway.Message // as it will be stored
	leaves     bool             // some recipient lives elsewhere
	held       gateway.HeldReason
	until      time.Time // when what holds it lets it go; zero: somebody has to
	hooksUntil time.Time // when the time of all hooks is over
	effects    gateway.Effects
	facts      gateway.ThreadFacts
	choice     gateway.ThreadChoice // of plugins
	newThread  gateway.ID           // that plugins were told it starts
	acceptance *gateway.Acceptance
}

func (t *tray) close() {
	if t.body != nil {
		_ = t.body.Close() // drops the body unless the commit has it
	}
	if t.source != nil {
		_ = t.source.Close()
	}
}

// Submit is the whole way from a client's words to a message that is durable
// and under way; once it returns nil the door may answer 200 or 250.
func (s *Sender) Submit(ctx context.Context, sc gateway.Scope, sub Submission) (Receipt, error) {
	out, err := s.SubmitAll(ctx, sc, Batch{List: []Submission{sub}})
	if err != nil {
		return Receipt{}, err
	}
	return out.Sent[0], nil
}

// SubmitAll submits several messages of one domain in one commit. The Field of its
// error starts with the index of the message at fault, if there are several.
func (s *Sender) SubmitAll(ctx context.Context, sc gateway.Scope, b Batch) (out Receipts, err error) {
	trays := make([]tray, len(b.List))
	defer func() {
		for i := range trays {
			trays[i].close()
		}
	}()
	var list []*gateway.Acceptance
	for i := range trays {
		trays[i] = tray{scope: sc, sub: b.List[i], large: i >= bodiesPerCommit}
		err := s.prepare(ctx, &trays[i])
		switch e := gateway.AsError(err); {
		case err == nil:
			list = append(list, trays[i].acceptance)
		case !b.Permissive || !ofTheMessage(e.Kind):
			return out, atIndex(err, i, len(b.List))
		default:
			out.Refused = append(out.Refused, Refusal{i, e})
		}
	}
	if len(list) == 0 {
		return out, nil // nothing happens, so there is nothing to make happen once
	}
	var once *gateway.Once
	if b.Once != nil {
		once = &gateway.Once{Name: b.Once.Name, Digest: b.Once.Digest, Answer: func(done []gateway.Accepted) []byte {
			return b.Once.Answer(Receipts{receipts(list, done), out.Refused})
		}}
	}
	places := s.inside.claim(list)
	accepted, err := s.cfg.Store.AcceptAll(ctx, sc, list, once)
	if err != nil {
		s.inside.giveBack(places)
		return out, fmt.Errorf("outbound/store: %w", err)
	}
	s.tryNow(ctx, accepted, places)
	if waiting(list) {
		s.Wake()
	}
	out.Sent = receipts(list, accepted)
	return out, nil
}

// ofTheMessage reports whether a refusal is about one message: the next one of its
// batch may do better.
func ofTheMessage(k gateway.Kind) bool {
	return k != gateway.Internal && k != gateway.InvalidKey && k != gateway.Unavailable && k != gateway.RateLimited
}

func receipts(list []*gateway.Acceptance, done []gateway.Accepted) []Receipt {
	out := make([]Receipt, len(done))
	for i, a := range done {
		m := list[i].Message
		out[i] = Receipt{ID: m.ID, MessageID: m.Content.MessageID, Thread: a.Thread, Account: a.Account, Used: a.Used}
	}
	return out
}

// bodiesPerCommit is how many bodies of a batch may travel inside its commit;
// the others are synced in files of their own before. Ours: eight of 256 KiB
// stay below what an engine takes in one commit.
const bodiesPerCommit = 4

// prepare runs every stage but the last, which a batch shares.
func (s *Sender) prepare(ctx context.Context, t *tray) error {
	return flow.Run(ctx, s.cfg.Log, "outbound", t,
		flow.Stage[tray]{Name: "open", Do: s.open},           // who is the author, who are the recipients
		flow.Stage[tray]{Name: "authorize", Do: s.authorize}, // From within the key's scope, domain verified
		flow.Stage[tray]{Name: "compose", Do: s.compose},     // fields or submitted bytes -> final bytes, parsed once
		flow.Stage[tray]{Name: "hooks", Do: s.hooks},         // plugins: allow, deny, hold
		flow.Stage[tray]{Name: "thread", Do: s.thread},       // References -> facts; the commit decides
		flow.Stage[tray]{Name: "address", Do: s.address},     // one delivery per recipient
		flow.Stage[tray]{Name: "sign", Do: s.sign},           // DKIM, over the final bytes
	)
}

// atIndex names the message of a batch in an error's field.
func atIndex(err error, i, n int) error {
	var e *gateway.Error
	if n == 1 || !errors.As(err, &e) {
		return err
	}
	c := *e
	c.Field = fmt.Sprintf("[%d]", i)
	if e.Field != "" {
		c.Field += "." + e.Field
	}
	return &c
}

// open takes author and envelope from whichever form the submission has.
func (s *Sender) open(ctx context.Context, t *tray) (err error) {
	t.now = s.cfg.Now().UTC()
	if !t.sub.At.IsZero() {
		if err := s.checkTime(t.sub.At); err != nil {
			return err
		}
	}
	switch {
	case t.sub.Stored != nil:
		return s.openDraft(ctx, t)
	case t.sub.Written != nil:
		w := t.sub.Written
		if t.written, err = content.ReadSubmitted(w.Body, s.cfg.Limits); err != nil {
			return err
		}
		t.from, t.returnPath, t.recipients = t.written.From, w.ReturnPath, w.Recipients
		return nil
	}
	t.compose = *t.sub.Compose
	t.from, t.returnPath, t.recipients = t.compose.From, t.compose.From.Addr, t.compose.Recipients()
	if in := t.sub.Intent; in != nil && !in.Answers.IsZero() {
		t.returnPath = "" // so that nothing ever answers an answer: RFC 3834 section 3.3
	}
	return nil
}

// authorize checks that the key may send as the author. The commit reads key
// and domain again; this is the early answer.
func (s *Sender) authorize(ctx context.Context, t *tray) (err error) {
	from := t.from.Addr
	_, host := gateway.SplitAddress(from)
	if host == "" {
		return gateway.Fieldf(gateway.InvalidFrom, "from", "from must be one address such as hello@yourdomain.com")
	}
	if t.domain, err = s.cfg.Store.Domain(ctx, t.scope, t.scope.Domain()); err != nil {
		return err
	}
	if host != t.domain.Name {
		return gateway.Fieldf(gateway.DomainNotAuthorized, "from", "the key belongs to %s and may not send as %s", t.domain.Name, from)
	}
	if !t.domain.Sends() && !t.sub.Draft {
		return &gateway.Error{
			Kind: gateway.DomainNotAuthorized, Field: "from", Reason: "domain not verified",
			Message: fmt.Sprintf("domain %s is not verified; publish its DNS records and verify it", t.domain.Name),
		}
	}
	t.account, err = s.cfg.Store.Account(ctx, t.scope, t.domain.ID, from)
	switch {
	case err == nil:
	case gateway.KindOf(err) != gateway.NotFound:
		return err
	case t.scope.Level() == gateway.LevelAccount:
		return gateway.Fieldf(gateway.DomainNotAuthorized, "from", "the key may not send as %s", from)
	}
	return nil
}

// thread gathers what decides the conversation, and asks plugins; the store looks
// it up inside the commit, where no other message can slip in between.
func (s *Sender) thread(ctx context.Context, t *tray) error {
	t.facts = threading.Facts(t.content, t.now)
	err := s.choose(ctx, t)
	if t.choice.None() {
		t.choice.Join = t.sub.Thread
	}
	return err
}

func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }
