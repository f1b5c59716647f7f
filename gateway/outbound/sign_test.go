package outbound_test

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailauth"
	"github.com/centerleap/postern/gateway/outbound"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/badgerstore"
)

// lab is the flow over a real store, with everything else played.
type lab struct {
	testing.TB
	*outbound.Sender
	store  *store.Store
	domain *gateway.Domain
	public ed25519.PublicKey
	signer *mailauth.Signer

	mu      sync.Mutex
	clock   time.Time
	verdict gateway.Verdict                              // of the outbound hook,
	ask     func(*gateway.Look) (gateway.Verdict, error) // unless this answers
	hook    func(*gateway.Look)
	refuses bool          // the receiver
	refusal error         // with which; default: later
	fault   error         // of signing
	inside  []bool        // what signing was told of each mail
	carried []string      // what each attempt brought
	arrived chan struct{} // one for each
}

func newLab(t testing.TB) *lab {
	t.Helper()
	l := &lab{TB: t, arrived: make(chan struct{}, 100), clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	quiet := slog.New(slog.DiscardHandler)
	e, err := badgerstore.Open(badgerstore.Config{Dir: t.TempDir(), Log: quiet, Now: l.now})
	l.ok(err)
	t.Cleanup(func() { l.ok(e.Close()) })
	l.store, err = store.New(e, store.Config{Threading: threading.Rules{}, Now: l.now})
	l.ok(err)
	l.domain = &gateway.Domain{UUID: gateway.ID(uuid.New()), Name: "a.test", Status: gateway.DomainVerified}
	l.ok(l.store.CreateDomain(t.Context(), keys.System(), l.domain))
	public, private, err := ed25519.GenerateKey(nil)
	l.ok(err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	l.ok(err)
	l.public = public
	l.signer, err = mailauth.NewSigner(mailauth.SignerConfig{
		Domain: "a.test", Limits: gateway.DefaultLimits(), Now: l.now,
		Keys: []gateway.SigningKey{{Selector: "s", Algorithm: "ed25519", Private: gateway.Secret(der)}},
	})
	l.ok(err)
	l.Sender, err = outbound.New(outbound.Config{
		Store: l.store, Receiver: l, Hooks: l, Signer: l, System: keys.System(), Internal: keys.Internal, Hostname: "mx.a.test", Limits: gateway.DefaultLimits(), Log: quiet, Now: l.now,
	})
	l.ok(err)
	return l
}

func (l *lab) ok(err error) {
	l.Helper()
	if err != nil {
		l.Fatal(err)
	}
}

func (l *lab) now() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clock
}

func (l *lab) later(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clock = l.clock.Add(d)
}

// Sign implements outbound.Signer.
func (l *lab) Sign(_ context.Context, _ gateway.Scope, _ *gateway.Domain, inside bool, message io.Reader) ([]byte, error) {
	l.inside = append(l.inside, inside)
	if l.fault != nil {
		return nil, l.fault
	}
	return l.signer.Sign(message)
}

// Outbound and Thread implement outbound.Hooks.
func (l *lab) Outbound(_ context.Context, _ gateway.Scope, look *gateway.Look) (gateway.Verdict, error) {
	l.mu.Lock()
	verdict, ask := l.verdict, l.ask
	if l.hook != nil {
		l.hook(look)
	}
	l.mu.Unlock()
	switch {
	case ask != nil:
		return ask(look)
	case verdict.Changes():
		return verdict, look.Edit(&verdict)
	}
	return verdict, nil
}

func (l *lab) Thread(context.Context, gateway.Scope, *gateway.Look) (gateway.ThreadChoice, error) {
	return gateway.ThreadChoice{}, nil
}

// Receive implements outbound.Receiver.
func (l *lab) Receive(ctx context.Context, env gateway.Envelope, _ io.Reader) error {
	whole := string(env.Prefix) + l.body(ctx, env.Body)
	if l.refused(env, whole) {
		return cmp.Or(l.refusal, error(gateway.Errorf(gateway.Unavailable, "later")))
	}
	if env.Leased == nil {
		return nil
	}
	done := gateway.Outcome{State: gateway.DeliveryDelivered, Code: 250} // in the commit that receives it
	return l.store.Finish(ctx, keys.Internal(l.domain.ID), gateway.Attempt{Delivery: *env.Leased, Outcome: done})
}

// refused notes what came, and whether it is refused; reports never are.
func (l *lab) refused(env gateway.Envelope, whole string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.carried = append(l.carried, whole)
	select {
	case l.arrived <- struct{}{}:
	default: // a test that doesn't count them
	}
	return l.refuses && env.ReturnPath != ""
}

func (l *lab) body(ctx context.Context, b gateway.Blob) string {
	r, err := l.store.OpenBlob(ctx, keys.Internal(l.domain.ID), b, 0, -1)
	if err != nil {
		l.Error(err)
		return ""
	}
	defer r.Close()
	out, err := io.ReadAll(r)
	if err != nil {
		l.Error(err)
	}
	return string(out)
}

func (l *lab) submit(sub outbound.Submission) *gateway.Message {
	l.Helper()
	sub.Compose = &gateway.Compose{From: gateway.Address{Addr: "ann@a.test"}, To: []gateway.Address{{Addr: "bob@a.test"}}, Subject: "Hello", Text: "hi"}
	got, err := l.Submit(l.Context(), keys.Internal(l.domain.ID), sub)
	l.ok(err)
	m, err := l.store.Message(l.Context(), keys.Internal(l.domain.ID), got.ID)
	l.ok(err)
	return m
}

// attempts runs the queue until it has made n attempts in all.
func (l *lab) attempts(n int) {
	l.Helper()
	ctx, stop := context.WithTimeout(l.Context(), 20*time.Second)
	defer stop()
	before := len(l.carried)
	l.Wake()
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	for made := before; made < n; made++ {
		select {
		case <-l.arrived:
		case <-ctx.Done():
			l.Fatalf("%d attempts, want %d", made, n)
		}
	}
	stop()
	l.ok(<-done) // it waits for what is under way
	if len(l.carried) != n {
		l.Fatalf("%d attempts, want %d", len(l.carried), n)
	}
}

// signed wants one signature that holds, and which of a header's fields it covers.
func (l *lab) signed(message string) []string {
	l.Helper()
	found, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) {
		return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(l.public)}, nil
	}})
	if err != nil || len(found) != 1 || found[0].Err != nil {
		l.Fatalf("%v %v in\n%s", found, err, message)
	}
	return found[0].HeaderKeys
}

// A field that a plugin adds is in what is stored and carried, under the signature.
func TestSignsWhatPluginsAdd(t *testing.T) {
	l := newLab(t)
	l.verdict.Headers = []gateway.HeaderField{{Name: "List-Unsubscribe", Value: "<https://a.test/u>"}, {Name: "X-Checked", Value: "Ünicode"}}
	m := l.submit(outbound.Submission{})
	l.attempts(1)
	whole := string(m.Prefix) + l.body(t.Context(), m.Blob)
	if l.carried[0] != whole || m.Size() != int64(len(whole)) {
		t.Errorf("carried\n%s\nSent has %d bytes\n%s", l.carried[0], m.Size(), whole)
	}
	if covers := strings.ToLower(strings.Join(l.signed(whole), " ")); !strings.Contains(covers, "list-unsubscribe") || !strings.Contains(whole, "\r\nX-Checked: =?utf-8?q?") {
		t.Errorf("covers %s of\n%s", covers, whole)
	}
	altered := strings.Replace(whole, "a.test/u", "b.test/u", 1)
	found, err := dkim.VerifyWithOptions(strings.NewReader(altered), &dkim.VerifyOptions{LookupTXT: func(string) ([]string, error) {
		return []string{"v=DKIM1; k=ed25519; p=" + base64.StdEncoding.EncodeToString(l.public)}, nil
	}})
	if err != nil || found[0].Err == nil {
		t.Errorf("with another address it holds: %v", err)
	}
}

// Each attempt carries the same bytes: after a restart of the queue, later, and when the
// sender has deleted the mail meanwhile.
func TestAttemptsCarryTheSame(t *testing.T) {
	l := newLab(t)
	l.refuses = true
	m := l.submit(outbound.Submission{})
	l.attempts(1)
	l.later(time.Hour)
	l.attempts(2)
	e := m.Entries[0]
	at := gateway.Selection{Domain: l.domain.ID, Account: m.Account, Mailbox: e.Mailbox}
	_, err := l.store.ExpungeAll(t.Context(), keys.Internal(l.domain.ID), at, []uint32{e.UID}, false)
	l.ok(err)
	if _, err := l.store.Message(t.Context(), keys.Internal(l.domain.ID), m.ID); gateway.KindOf(err) != gateway.NotFound {
		t.Fatalf("it is not deleted: %v", err)
	}
	l.later(time.Hour)
	l.attempts(3)
	l.refuses = false
	l.later(3 * time.Hour)
	l.attempts(4)
	for i, got := range l.carried {
		if got != l.carried[0] {
			t.Errorf("attempt %d carried\n%s\nthe first\n%s", i+1, got, l.carried[0])
		}
	}
	l.signed(l.carried[3])
}

// A scheduled mail is dated when it is to leave, and that is signed; a draft is not
// signed before it is sent.
func TestSignsScheduled(t *testing.T) {
	l := newLab(t)
	at := l.now().Add(2 * time.Hour)
	m := l.submit(outbound.Submission{At: at})
	l.signed(string(m.Prefix) + l.body(t.Context(), m.Blob))
	if !m.Content.Date.Equal(at) {
		t.Errorf("dated %s, want %s", m.Content.Date, at)
	}
	l.later(3 * time.Hour)
	l.attempts(1)
	if want := string(m.Prefix) + l.body(t.Context(), m.Blob); l.carried[0] != want {
		t.Errorf("carried\n%s\nwant\n%s", l.carried[0], want)
	}
	if d := l.submit(outbound.Submission{Draft: true}); len(d.Prefix) > 0 {
		t.Errorf("a draft has %q before it", d.Prefix)
	}
}

// One recipient elsewhere is enough for the signatures that everybody can verify, also
// of mail that is held.
func TestSignsForWhom(t *testing.T) {
	l := newLab(t)
	here, elsewhere := gateway.Address{Addr: "bob@a.test"}, gateway.Address{Addr: "eve@b.test"}
	for _, to := range [][]gateway.Address{{here}, {elsewhere}, {here, elsewhere, here}} {
		_, err := l.Submit(t.Context(), keys.Internal(l.domain.ID), outbound.Submission{Compose: &gateway.Compose{From: here, To: to, Text: "hi"}})
		l.ok(err)
	}
	if !slices.Equal(l.inside, []bool{true, false, false}) {
		t.Errorf("inside: %v", l.inside)
	}
}

// What can't be signed is not accepted.
func TestUnsignable(t *testing.T) {
	l := newLab(t)
	l.fault = errors.New("no key")
	c := &gateway.Compose{From: gateway.Address{Addr: "ann@a.test"}, To: []gateway.Address{{Addr: "bob@a.test"}}, Subject: "Hello", Text: "hi"}
	_, err := l.Submit(t.Context(), keys.Internal(l.domain.ID), outbound.Submission{Compose: c})
	if err == nil || !strings.Contains(err.Error(), "outbound/sign") || !errors.Is(err, l.fault) {
		t.Errorf("%v", err)
	}
}
