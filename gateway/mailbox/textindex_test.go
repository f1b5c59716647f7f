package mailbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/search"
)

// reader is a mail flow of its own over the store of a house.
func (h *house) reader(store mailbox.Store, change func(*gateway.Limits)) *mailbox.Mail {
	h.Helper()
	limits := gateway.DefaultLimits()
	if change != nil {
		change(&limits)
	}
	m, err := mailbox.New(mailbox.Config{Store: store, Streams: h.hub(), Limits: limits, System: system, Internal: keys.Internal, Now: func() time.Time { return h.clock }, Log: slog.New(slog.NewTextHandler(&h.log, nil))})
	h.ok(err)
	return m
}

// shelf is an account that letters are put into one by one.
type shelf struct {
	*house
	a    *gateway.Account
	mail *mailbox.Mail // that indexes and is asked
	day  time.Time
}

func newShelf(t testing.TB, h *house, name string, store mailbox.Store, change func(*gateway.Limits)) *shelf {
	h.account(name)
	a, err := h.Account(t.Context(), system, h.domain.ID, name+"@h.test")
	h.ok(err)
	return &shelf{h, a, h.reader(store, change), time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
}

func (s *shelf) scope() gateway.Scope {
	return gateway.NewScope(gateway.LevelAccount, s.a.Domain, s.a.ID, gateway.ID{})
}

func (s *shelf) put(raw string) {
	s.Helper()
	_, err := s.mail.Append(context.Background(), s.scope(), s.a, mailbox.Appending{
		Folder: gateway.Inbox, At: s.day, Body: strings.NewReader(raw), Size: int64(len(raw)),
	})
	s.ok(err)
}

func (s *shelf) putRandom(r *rand.Rand, n int) (all []*letter) {
	s.Helper()
	for range n {
		l := newLetter(r, s.day)
		s.put(l.raw)
		all = append(all, l)
	}
	return all
}

// ask is what the index says; it must know all.
func (s *shelf) ask(q search.Query, gone ...gateway.MessageNumber) string {
	s.Helper()
	f, err := s.mail.AskIndex(context.Background(), s.scope(), s.a.Domain, s.a.ID, q)
	s.ok(err)
	_, newest, err := s.Segments(context.Background(), s.scope(), s.a.Domain, s.a.ID)
	s.ok(err)
	if f.Through != newest {
		s.Fatalf("the index reaches to %d, the newest message is %d", f.Through, newest)
	}
	is := func(n gateway.MessageNumber) bool { return slices.Contains(gone, n) }
	return fmt.Sprint(slices.DeleteFunc(f.Sure, is), slices.DeleteFunc(f.Maybe, is))
}

// questions are what is asked to compare two indexes: of a phrase in bodies how many are to
// be looked at depends on how the index is cut into segments.
func questions(r *rand.Rand, n int) (all []search.Query) {
	fields := []search.Fields{search.From, search.To, search.Subject, search.Header, search.Body, search.Text, search.Subject | search.Body}
	for range n {
		q := search.Query{Text: sought(r), Fields: pickOne(r, fields)}
		if strings.ContainsFunc(q.Text, func(c rune) bool { return !unicode.In(c, unicode.L, unicode.M, unicode.N) }) {
			q.Fields = search.Subject | search.Header
		}
		all = append(all, q)
	}
	return all
}

// answers are without messages that are gone: an index may remember them until it merges.
func (s *shelf) answers(questions []search.Query, gone ...gateway.MessageNumber) (all []string) {
	s.Helper()
	for _, q := range questions {
		all = append(all, s.ask(q, gone...))
	}
	return all
}

// A search by the real index finds what each message by itself says that it should:
// behind what is indexed, too.
func TestSearchByIndexEqualsNaive(t *testing.T) {
	h, v, all, day := library(t, 60)
	for seed := range uint64(900) {
		if seed == 300 { // before, the index knows nothing
			h.ok(h.mail.UpdateIndex(t.Context()))
		}
		r := rand.New(rand.NewPCG(seed, 11))
		c := newCriteria(r, all, day, 2)
		var want []int
		for i, l := range all {
			if l.matches(&c, i) {
				want = append(want, i)
			}
		}
		if got, err := v.Search(t.Context(), &c); err != nil || !slices.Equal(got, want) {
			t.Fatalf("seed %d: %v, %v, want %v, of %+v", seed, got, err, want, c)
		}
	}
}

// An index that grew letter by letter and was merged, while messages went, answers as one
// that is made anew; and it has few segments.
func TestIndexGrowsAsRebuilt(t *testing.T) {
	h := newHouse(t, 0)
	s := newShelf(t, h, "ann", h.Store, func(l *gateway.Limits) { l.IndexBatch = 3 })
	r := rand.New(rand.NewPCG(4, 4))
	for range 60 {
		s.putRandom(r, 1+r.IntN(5))
		h.ok(s.mail.UpdateIndex(t.Context()))
	}
	at := gateway.Selection{Domain: s.a.Domain, Account: s.a.ID, Mailbox: inbox}
	_, err := h.ExpungeAll(t.Context(), system, at, []uint32{1, 2, 3, 20, 21, 22}, false)
	h.ok(err)
	for range 30 {
		s.putRandom(r, 3)
		h.ok(s.mail.UpdateIndex(t.Context()))
	}
	grown, _, err := h.Segments(t.Context(), system, s.a.Domain, s.a.ID)
	h.ok(err)
	if len(grown) > 20 {
		t.Errorf("%d segments", len(grown))
	}
	ask := questions(r, 300)
	gone := []gateway.MessageNumber{1, 2, 3, 20, 21, 22}
	before := s.answers(ask, gone...)
	anew := &shelf{h, s.a, h.reader(h.Store, nil), s.day}
	h.ok(h.DropSegments(t.Context(), system, s.a.Domain, s.a.ID))
	if f, err := anew.mail.AskIndex(t.Context(), anew.scope(), s.a.Domain, s.a.ID, ask[0]); err != nil || f.Through != 0 {
		t.Errorf("without an index: %v, %v", f, err)
	}
	h.ok(anew.mail.UpdateIndex(t.Context()))
	for i, after := range anew.answers(ask) {
		if before[i] != after {
			t.Errorf("%+v: %s, rebuilt %s", ask[i], before[i], after)
		}
	}
	h.fits()
}

// failing is a store whose commits to the index fail at times, before or after they are
// durable: as for a process that dies there.
type failing struct {
	mailbox.Store
	r *rand.Rand
}

var errDied = errors.New("it died")

func (f *failing) fail(commit func() error) error {
	switch f.r.IntN(4) {
	case 0:
		return errDied
	case 1:
		return errors.Join(commit(), errDied)
	}
	return commit()
}

func (f *failing) AddSegment(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, seg *gateway.IndexSegment) error {
	return f.fail(func() error { return f.Store.AddSegment(ctx, s, d, a, seg) })
}

func (f *failing) MergeSegments(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, old []gateway.IndexSegment, merged *gateway.IndexSegment) error {
	return f.fail(func() error { return f.Store.MergeSegments(ctx, s, d, a, old, merged) })
}

// However often indexing dies, what comes of it is the same index.
func TestIndexingDies(t *testing.T) {
	h := newHouse(t, 0)
	r := rand.New(rand.NewPCG(5, 5))
	s := newShelf(t, h, "ann", &failing{h.Store, r}, func(l *gateway.Limits) { l.IndexBatch = 2 })
	died := 0
	for range 40 {
		s.putRandom(r, r.IntN(4))
		if err := s.mail.UpdateIndex(t.Context()); errors.Is(err, errDied) {
			died++
		} else {
			h.ok(err)
		}
	}
	if died < 5 {
		t.Fatalf("it died %d times: the test shows nothing", died)
	}
	for tries := 0; ; tries++ {
		if err := s.mail.UpdateIndex(t.Context()); err == nil {
			break
		} else if tries == 100 {
			t.Fatal(err)
		}
	}
	ask := questions(r, 200)
	before := s.answers(ask)
	h.ok(h.DropSegments(t.Context(), system, s.a.Domain, s.a.ID))
	s.mail = h.reader(h.Store, nil)
	h.ok(s.mail.UpdateIndex(t.Context()))
	if after := s.answers(ask); !slices.Equal(before, after) {
		t.Error("the index is another one")
	}
	h.fits()
}

// Who asks while segments are merged gets the same answer, and takes nothing for damage.
func TestAskWhileMerging(t *testing.T) {
	h := newHouse(t, 0)
	none := func(l *gateway.Limits) { l.IndexBatch, l.IndexCache = 1, 0 }
	s := newShelf(t, h, "ann", h.Store, none)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 80 {
			s.put(fmt.Sprintf("Subject: number %d\r\n\r\nbody\r\n", i))
			if err := s.mail.UpdateIndex(context.Background()); err != nil {
				t.Error(err)
			}
		}
	}()
	asking := &shelf{h, s.a, h.reader(h.Store, none), s.day}
	for asked, more := 0, true; more; asked++ {
		select {
		case <-done:
			more = false
		default:
		}
		f, err := asking.mail.AskIndex(t.Context(), s.scope(), s.a.Domain, s.a.ID, search.Query{Text: "bod", Fields: search.Body})
		if err != nil || len(f.Sure) != int(f.Through) || !more && f.Through != 80 {
			t.Fatalf("asked %d times: %d through %d, %v", asked, len(f.Sure), f.Through, err)
		}
	}
	if strings.Contains(h.log.String(), "damaged") {
		t.Error(h.log.String())
	}
}

// What an index can't hold is looked at; another account's mail answers nobody.
func TestIndexOf(t *testing.T) {
	h := newHouse(t, 0)
	small := func(l *gateway.Limits) { l.IndexText, l.IndexCache = 1000, 2000 }
	ann, eve := newShelf(t, h, "ann", h.Store, small), newShelf(t, h, "eve", h.Store, small)
	ann.put("From: a@x.test\r\nSubject: Budget\r\n\r\nthe quarterly figures\r\n")
	ann.put("From: b@x.test\r\nSubject: Long\r\n\r\n" + strings.Repeat("words and words ", 100) + "and a needle\r\n")
	ann.put("From: c@x.test\r\nSubject: =?utf-8?q?=C3=84pfel?=\r\nX-Mark: one\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nS=FC=DF\r\n")
	eve.put("From: d@x.test\r\nSubject: Secret\r\n\r\nneedle budget\r\n")
	h.ok(ann.mail.UpdateIndex(t.Context()))
	for _, tt := range []struct {
		who  *shelf
		text string
		in   search.Fields
		want string
	}{
		{ann, "udge", search.Subject, "[1] []"},
		{ann, "needle", search.Body, "[] [2]"},
		{ann, "figures", search.Body, "[1] [2]"},
		{ann, "secret", search.Text, "[] [2]"},
		{ann, "ÄPFEL", search.Subject, "[3] []"},
		{ann, "süSS", search.Body, "[] [2]"},
		{ann, "süß", search.Text, "[3] [2]"},
		{ann, "x-mark: o", search.Header, "[] [3]"},
		{ann, "from", search.Text, "[1 2 3] []"},
		{ann, "Subject: budget", search.Text, "[] [1 2]"},
		{ann, "FROM: C@x", search.Text, "[] [2 3]"},
		{ann, "from: long", search.Text, "[] [2]"},
		{ann, "c@x", search.From, "[] [3]"},
		{ann, "c@x", search.To, "[] []"},
		{eve, "budget", search.Text, "[1] []"},
		{eve, "figures", search.Text, "[] []"},
	} {
		if got := tt.who.ask(search.Query{Text: tt.text, Fields: tt.in}); got != tt.want {
			t.Errorf("%s asks for %q in %b: %s, want %s", tt.who.a.Email, tt.text, tt.in, got, tt.want)
		}
	}
	if _, err := ann.mail.AskIndex(t.Context(), eve.scope(), ann.a.Domain, ann.a.ID, search.Query{Text: "figures", Fields: search.Text}); gateway.KindOf(err) != gateway.NotFound || err == nil {
		t.Errorf("the index of another account: %v", err)
	}
}
