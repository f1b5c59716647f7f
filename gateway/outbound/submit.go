package outbound

import (
	"bufio"
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

// compose makes the final bytes, and reads them once.
func (s *Sender) compose(ctx context.Context, t *tray) (err error) {
	t.trace = content.Trace{MessageID: "<" + newID().String() + "@" + t.domain.Name + ">", Date: t.now}
	switch {
	case t.sub.Draft:
		t.trace.Date = time.Time{} // it is dated when it is sent
	case !t.sub.At.IsZero():
		t.trace.Date = t.sub.At.UTC()
	}
	if t.written != nil {
		err = s.writeBody(ctx, t, 0, func(w io.Writer) error { return t.written.Write(w, t.trace) })
	} else {
		err = s.describe(ctx, t)
	}
	if err != nil {
		return err
	}
	if t.content, err = s.scan(ctx, t); err != nil {
		return err
	}
	t.content.Bcc = t.compose.Bcc // the sender knows; the bytes don't say
	if t.written != nil {
		t.content.Bcc = t.written.Bcc
	}
	t.message = &gateway.Message{
		ID: newID(), Domain: t.domain.ID, Arrived: t.now, Sent: true, ReturnPath: t.returnPath, Scheduled: t.sub.At,
		Recipients: t.recipients, Blob: t.blob, Content: *t.content, Tags: t.compose.Tags, Key: t.scope.Key(),
	}
	if in := t.sub.Intent; in != nil {
		t.message.Plugin = in.Plugin
	}
	if d := t.sub.Stored; d != nil {
		t.message.ID, t.message.Tags = d.ID, d.Tags
	}
	return nil
}

// scan says what is in the bytes of a message.
func (s *Sender) scan(ctx context.Context, t *tray) (*gateway.Content, error) {
	r, err := s.cfg.Store.OpenBlob(ctx, t.scope, t.blob, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return content.Scan(r, s.cfg.Limits)
}

// describe completes the client's fields and writes the message they describe.
func (s *Sender) describe(ctx context.Context, t *tray) error {
	if err := s.identify(ctx, t); err != nil {
		return err
	}
	if err := s.answer(ctx, t); err != nil {
		return err
	}
	if err := content.CheckHeaders(t.compose.Headers, s.cfg.Limits); err != nil {
		return err
	}
	return s.writeComposed(ctx, t)
}

// writeComposed keeps the message that compose describes.
func (s *Sender) writeComposed(ctx context.Context, t *tray) error {
	hint := int64(len(t.compose.HTML) + len(t.compose.Text))
	for _, a := range t.compose.Attachments {
		hint += a.Size * 4 / 3
	}
	return s.writeBody(ctx, t, hint, func(w io.Writer) error {
		if hint < manyLines {
			return content.Compose(w, &t.compose, t.trace)
		}
		buffered := bufio.NewWriterSize(w, 32<<10)
		if err := content.Compose(buffered, &t.compose, t.trace); err != nil {
			return err
		}
		return buffered.Flush()
	})
}

// manyLines is a size from which lines are gathered before they are written: a file of 25
// MiB has 450,000 of them.
const manyLines = 64 << 10

// writeBody keeps what write writes. hint is its size, as far as known.
func (s *Sender) writeBody(ctx context.Context, t *tray, hint int64, write func(io.Writer) error) (err error) {
	if t.large {
		hint = max(hint, largeBody)
	}
	if t.body, err = s.cfg.Store.CreateBlob(ctx, t.scope, t.domain.ID, hint); err != nil {
		return err
	}
	if err := write(t.body); err != nil {
		return err
	}
	t.blob, err = t.body.Seal()
	return err
}

// largeBody is a size that no engine carries inside a commit.
const largeBody = 1 << 20

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

// address makes one delivery per recipient, and the acceptance of it all.
func (s *Sender) address(ctx context.Context, t *tray) error {
	s.lone(ctx, t)
	t.acceptance = &gateway.Acceptance{
		Message: t.message, From: t.from, Facts: t.facts, Thread: t.choice, NewThread: t.newThread,
		Effects: t.effects, Activity: t.sub.Activity, Intent: t.sub.Intent, Draft: t.sub.Draft, Replaces: t.sub.Stored != nil,
	}
	if t.sub.Draft {
		return nil
	}
	if len(t.message.Recipients) == 0 {
		return gateway.Fieldf(gateway.MissingField, "to", "at least one recipient is needed")
	}
	mode, err := s.cfg.Mode(ctx)
	if err != nil {
		return err
	}
	for _, rcpt := range t.message.Recipients {
		here, err := s.livesHere(ctx, rcpt)
		if err != nil {
			return err
		}
		t.leaves = t.leaves || !here
		t.acceptance.Deliveries = append(t.acceptance.Deliveries, t.delivery(rcpt, !here, mode == gateway.ModeCapture))
	}
	return nil
}

// delivery is the job for one recipient. What holds it: a plugin, then its time, then
// the capturing of foreign mail.
func (t *tray) delivery(rcpt string, foreign, capturing bool) gateway.Delivery {
	captured := foreign && capturing
	d := gateway.Delivery{
		ID: newID(), Recipient: rcpt, ReturnPath: t.returnPath, Author: t.domain.Name,
		State: gateway.DeliveryQueued, Due: t.now.Truncate(time.Millisecond), Held: t.held, Until: t.until,
	}
	if foreign {
		d.Site = siteOf(rcpt)
	}
	if !t.sub.At.IsZero() {
		d.Due = t.sub.At.UTC().Truncate(time.Millisecond)
		if d.Held == "" {
			d.Held = gateway.HeldScheduled
		}
	}
	switch {
	case captured && d.Held == "":
		d.Held = gateway.HeldCapture
	case captured:
		d.Then = gateway.HeldCapture
	}
	if d.Held != "" {
		d.State = gateway.DeliveryHeld
	}
	return d
}

// livesHere reports whether an address belongs to a domain of ours. Only one whose mail
// comes here counts: naming a domain must not catch other people's mail.
func (s *Sender) livesHere(ctx context.Context, addr string) (bool, error) {
	d, err := s.home(ctx, addr)
	return d != nil, err
}

// home is the domain of ours that an address belongs to, or nil.
func (s *Sender) home(ctx context.Context, addr string) (*gateway.Domain, error) {
	_, host := gateway.SplitAddress(addr)
	d, err := s.cfg.Store.DomainByName(ctx, s.cfg.System, host)
	switch {
	case err == nil && d.Receives():
		return d, nil
	case gateway.KindOf(err) == gateway.NotFound:
		err = nil
	}
	return nil, err
}

func newID() gateway.ID { return gateway.ID(uuid.Must(uuid.NewV7())) }
