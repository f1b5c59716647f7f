package store_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// sender is an installation that may send and answer.
func (w *world) sender(name string, of *gateway.Account) gateway.Plugin {
	w.Helper()
	p := w.install(name, "code of "+name, of)
	on, asks := true, []string{"kv"}
	v := p.Active()
	v.Asks, v.SHA256 = []string{"kv", "reply", "send"}, [32]byte{1}
	ref, done := w.blob(w.ours.ID, "more code of "+name)
	defer done()
	v.Code = ref
	_, err := w.UpdatePlugin(w.ctx(), inside(w.ours.ID), p.ID, v, true)
	w.ok(err)
	asks = append(asks, "reply", "send")
	got, err := w.ChangePlugin(w.ctx(), inside(w.ours.ID), p.ID, gateway.PluginChange{Enabled: &on, Grants: &asks})
	w.ok(err)
	return *got
}

// wants makes intents durable.
func (w *world) wants(list ...gateway.Intent) {
	w.Helper()
	w.ok(w.RemindPlugins(w.ctx(), inside(w.ours.ID), gateway.Effects{Intents: list}))
}

func anyRoom(gateway.DomainID) int { return 1000 }

// due leases all that is due.
func (w *world) due() []gateway.Intent {
	w.Helper()
	all, err := w.LeaseIntents(w.ctx(), system, 1000, anyRoom, time.Hour)
	w.ok(err)
	return all
}

// lines are the texts of a plugin's log, oldest first.
func (w *world) lines(p *gateway.Plugin) (texts []string) {
	w.Helper()
	page, err := w.PluginLines(w.ctx(), inside(w.ours.ID), p.ID, gateway.LineFilter{Forward: true, Limit: 100})
	w.ok(err)
	for _, l := range page.Lines {
		texts = append(texts, l.Text)
	}
	return texts
}

// fulfils submits an intent from an address to some.
func (w *world) fulfils(in *gateway.Intent, from string, to ...string) error {
	w.Helper()
	a, done := w.acceptance(inside(w.ours.ID), from, to...)
	defer done()
	a.Intent, a.Activity = in, &gateway.Activity{Protocol: "plugin", Method: "send", Status: 200}
	_, err := w.Accept(w.ctx(), inside(w.ours.ID), a)
	return err
}

// An intent comes back as it was stored, to one who tries it, and again when that one is
// lost: by time, or by the end of the process.
func TestIntents(t *testing.T) {
	w := newWorld(t)
	p := w.sender("bot", w.ann)
	mail := gateway.Compose{
		From: gateway.Address{Name: "Ann", Addr: "ann@ours.test"}, To: []gateway.Address{{Addr: "a@x.test"}, {Name: "B", Addr: "b@x.test"}}, Cc: []gateway.Address{{Addr: "c@x.test"}},
		Bcc: []gateway.Address{{Addr: "d@x.test"}}, ReplyTo: []gateway.Address{{Addr: "e@x.test"}}, Subject: "s", Text: "t", HTML: "<p>h", InReplyTo: "<i@x>", References: []string{"<r@x>", "<i@x>"},
		Headers: []gateway.HeaderField{{Name: "X-A", Value: "1"}, {Name: "X-A", Value: "2"}}, Tags: []gateway.Tag{{Name: "k", Value: "v"}},
	}
	id, answers := newID(), newID()
	w.wants(gateway.Intent{ID: id, Account: w.ann.ID, Plugin: p.ID, Answers: answers, Mail: mail}, gateway.Intent{Plugin: newID(), Mail: mail})
	select {
	case <-w.IntentsAdded():
	default:
		t.Error("nobody is woken")
	}
	got := w.due()
	if len(got) != 1 { // the other is of no plugin
		t.Fatalf("%d are due, want 1", len(got))
	}
	first := got[0]
	want := gateway.Intent{ID: id, Domain: w.ours.ID, Account: w.ann.ID, Plugin: p.ID, Answers: answers, Mail: mail, Created: w.clock, Due: w.clock.Add(time.Hour), Tried: 1, Fence: first.Fence}
	if !reflect.DeepEqual(first, want) || first.Fence == 0 {
		t.Errorf("got  %+v\nwant %+v", first, want)
	}
	if again := w.due(); len(again) != 0 {
		t.Errorf("it is leased twice: %+v", again)
	}
	w.fits()
	w.clock = w.clock.Add(time.Hour)
	second := w.due()
	if len(second) != 1 || second[0].Fence == first.Fence || second[0].Tried != 2 {
		t.Fatalf("after its time: %+v", second)
	}
	w.ok(w.EndIntent(w.ctx(), inside(w.ours.ID), &first, gateway.LineInfo, "by who lost it", nil))
	w.ok(w.PostponeIntent(w.ctx(), inside(w.ours.ID), &first, w.clock))
	w.reopen()
	w.ok(w.ReclaimIntents(w.ctx(), system))
	third := w.due()
	if len(third) != 1 || third[0].Tried != 3 {
		t.Fatalf("after a restart: %+v", third)
	}
	w.ok(w.ReclaimIntents(w.ctx(), system)) // takes nothing from who is alive
	w.ok(w.PostponeIntent(w.ctx(), inside(w.ours.ID), &third[0], w.clock.Add(time.Minute)))
	if next, err := w.NextIntent(w.ctx(), system); err != nil || !next.Equal(w.clock.Add(time.Minute)) {
		t.Errorf("next at %v, %v", next, err)
	}
	w.clock = w.clock.Add(time.Minute)
	last := w.due()
	for name, sc := range map[string]gateway.Scope{"another domain": inside(w.them.ID), "an account": of(w.ann)} {
		if err := w.EndIntent(w.ctx(), sc, &last[0], gateway.LineInfo, "x", nil); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s ends it: %v", name, err)
		}
		if err := w.PostponeIntent(w.ctx(), sc, &last[0], w.clock); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s puts it off: %v", name, err)
		}
		if _, err := w.LeaseIntents(w.ctx(), sc, 1, anyRoom, time.Hour); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s leases: %v", name, err)
		}
	}
	row := &gateway.Activity{Protocol: "plugin", Method: "send", Status: 422}
	w.ok(w.EndIntent(w.ctx(), inside(w.ours.ID), &last[0], gateway.LineWarning, "it can't be", row))
	if got := w.lines(&p); !slices.Equal(got, []string{"it can't be"}) {
		t.Errorf("the plugin's log: %q", got)
	}
	rows, _, err := w.Activity(w.ctx(), of(w.ann), gateway.ActivityFilter{Limit: 10})
	if err != nil || len(rows) != 1 || rows[0].Endpoint != "bot" || rows[0].Account != w.ann.ID {
		t.Errorf("the log: %+v, %v", rows, err)
	}
	w.clock = w.clock.Add(24 * time.Hour)
	if left := w.due(); len(left) != 0 {
		t.Errorf("it is still there: %+v", left)
	}
	w.fits()
}

// What is sent ends its intent in the same commit: it is never sent twice, and not by who
// may not.
func TestFulfil(t *testing.T) {
	w := newWorld(t)
	domains, anns := w.sender("domain's", nil), w.sender("ann's", w.ann)
	off, none := false, []string{"kv"}
	for _, tt := range []struct {
		name   string
		plugin *gateway.Plugin
		before func(p *gateway.Plugin)
		from   string
		want   gateway.Kind
	}{
		{name: "a domain's as anybody", plugin: &domains, from: "eve@ours.test"},
		{name: "a domain's as somebody new", plugin: &domains, from: "new@ours.test"},
		{name: "an account's as itself", plugin: &anns, from: "ann@ours.test"},
		{name: "as its alias", plugin: &anns, from: "ann.alias@ours.test"},
		{name: "as another", plugin: &anns, from: "eve@ours.test", want: gateway.DomainNotAuthorized},
		{name: "as nobody", plugin: &anns, from: "newer@ours.test", want: gateway.DomainNotAuthorized},
		{name: "not granted any more", plugin: &anns, from: "ann@ours.test", want: gateway.Restricted, before: func(p *gateway.Plugin) {
			_, err := w.ChangePlugin(w.ctx(), inside(w.ours.ID), p.ID, gateway.PluginChange{Grants: &none})
			w.ok(err)
		}},
		{name: "switched off", plugin: &domains, from: "eve@ours.test", want: gateway.Restricted, before: func(p *gateway.Plugin) {
			_, err := w.ChangePlugin(w.ctx(), inside(w.ours.ID), p.ID, gateway.PluginChange{Enabled: &off})
			w.ok(err)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w.wants(gateway.Intent{Plugin: tt.plugin.ID})
			in := w.due()
			if len(in) != 1 {
				t.Fatalf("%d are due", len(in))
			}
			if tt.before != nil {
				tt.before(tt.plugin)
			}
			before := len(w.sentBy(tt.from))
			err := w.fulfils(&in[0], tt.from, "x@y.test")
			if tt.want != gateway.Internal {
				if gateway.KindOf(err) != tt.want || len(w.sentBy(tt.from)) != before {
					t.Errorf("%v, want %v", err, tt.want)
				}
				w.ok(w.EndIntent(w.ctx(), inside(w.ours.ID), &in[0], gateway.LineInfo, "x", nil))
				return
			}
			w.ok(err)
			if err := w.fulfils(&in[0], tt.from, "x@y.test"); gateway.KindOf(err) != gateway.InvalidState {
				t.Errorf("again: %v", err)
			}
			if n := len(w.sentBy(tt.from)); n != before+1 {
				t.Errorf("%d were sent", n-before)
			}
		})
	}
	w.fits()
}

// sentBy lists what an address has sent.
func (w *world) sentBy(addr string) []*gateway.Message {
	w.Helper()
	a, err := w.Account(w.ctx(), inside(w.ours.ID), w.ours.ID, addr)
	if err != nil {
		return nil
	}
	l, err := w.List(w.ctx(), of(a), gateway.ListQuery{Domain: a.Domain, Account: a.ID, Mailbox: gateway.SentMailbox, Limit: 100})
	w.ok(err)
	return l.Messages
}

// A plugin answers each sender now and then, a conversation so often, and nobody from
// itself; and it sends so much an hour.
func TestReplyLimits(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Limits = gateway.DefaultLimits()
		w.cfg.Limits.PluginSendsHour, w.cfg.Limits.RepliesThreadDay = 4, 3
	})
	p, other := w.sender("bot", w.ann), w.sender("other", w.ann)
	mail := w.deliver(w.ann, "<1@x.test>")
	eves := w.deliver(w.eve, "<2@x.test>")
	reply := func(p *gateway.Plugin, to ...string) error {
		w.wants(gateway.Intent{Plugin: p.ID, Answers: mail})
		in := w.due()
		err := w.fulfils(&in[0], "ann@ours.test", to...)
		if err != nil {
			w.ok(w.EndIntent(w.ctx(), inside(w.ours.ID), &in[0], gateway.LineInfo, "x", nil))
		}
		return err
	}
	w.ok(reply(&p, "A@x.test"))
	for what, err := range map[string]error{
		"the same sender": reply(&p, "a@x.TEST"), "itself": reply(&p, "ann@ours.test"), "its alias": reply(&p, "ann.alias@ours.test"),
	} {
		if gateway.KindOf(err) != gateway.InvalidState {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := reply(&p, "a@x.test", "b@x.test"); gateway.KindOf(err) != gateway.InvalidParameter {
		t.Errorf("two: %v", err)
	}
	w.ok(reply(&other, "a@x.test"))
	w.ok(reply(&p, "eve@ours.test"))
	if err := reply(&p, "b@x.test"); gateway.KindOf(err) != gateway.InvalidState || !strings.Contains(err.Error(), "conversation") {
		t.Errorf("a fourth in a conversation: %v", err)
	}
	w.clock = w.clock.Add(4 * time.Hour)
	mail = w.deliver(w.ann, "<3@x.test>")
	w.ok(reply(&p, "a@x.test"))
	mail = eves
	if err := reply(&p, "b@x.test"); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another account's mail: %v", err)
	}
	for _, to := range []string{"1@x.test", "2@x.test", "3@x.test"} {
		w.wants(gateway.Intent{Plugin: p.ID})
		in := w.due()
		w.ok(w.fulfils(&in[0], "ann@ours.test", to))
	}
	w.wants(gateway.Intent{Plugin: p.ID})
	in := w.due()
	err := w.fulfils(&in[0], "ann@ours.test", "4@x.test")
	if e := gateway.AsError(err); e.Kind != gateway.RateLimited || e.Retry != time.Hour {
		t.Errorf("a fifth in an hour: %v", err)
	}
	w.clock = w.clock.Add(time.Hour)
	in = w.due()
	w.ok(w.fulfils(&in[0], "ann@ours.test", "4@x.test"))
	w.clock = w.clock.Add(24 * time.Hour)
	w.fits()
}

// Without reply_hours an agent answers whenever it is written to, within the day's bound of
// the conversation, which begins anew the day after.
func TestReplyAlways(t *testing.T) {
	w := newWorld(t, func(w *world) {
		w.cfg.Limits = gateway.DefaultLimits()
		w.cfg.Limits.ReplyHours, w.cfg.Limits.RepliesThreadDay = 0, 2
	})
	p := w.sender("agent", w.ann)
	mail := w.deliver(w.ann, "<1@x.test>")
	for i, want := range []gateway.Kind{gateway.Internal, gateway.Internal, gateway.InvalidState, gateway.Internal} {
		if i == 3 {
			w.clock = w.clock.Add(24 * time.Hour)
		}
		w.wants(gateway.Intent{Plugin: p.ID, Answers: mail})
		in := w.due()
		err := w.fulfils(&in[len(in)-1], "ann@ours.test", "a@x.test")
		if want == gateway.Internal {
			w.ok(err)
			continue
		}
		if gateway.KindOf(err) != want {
			t.Errorf("answer %d: %v", i, err)
		}
		w.ok(w.EndIntent(w.ctx(), inside(w.ours.ID), &in[0], gateway.LineInfo, "x", nil))
	}
	w.fits()
}

// So many wait, and no more: of a plugin half of what its domain may have. The others are
// dropped, and the plugin's log says so.
func TestIntentsWaiting(t *testing.T) {
	for _, tt := range []struct {
		name  string
		limit func(*gateway.Limits)
		text  string
	}{
		{name: "count", limit: func(l *gateway.Limits) { l.PluginIntents = 10 }},
		{name: "bytes", limit: func(l *gateway.Limits) { l.PluginIntentBytes = 11000 }, text: strings.Repeat("x", 1000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, func(w *world) {
				w.cfg.Limits = gateway.DefaultLimits()
				tt.limit(&w.cfg.Limits)
			})
			a, b, c := w.sender("a", nil), w.sender("b", w.ann), w.sender("c", nil)
			for range 7 {
				w.wants(gateway.Intent{Plugin: a.ID, Mail: gateway.Compose{Text: tt.text}}, gateway.Intent{Plugin: b.ID, Mail: gateway.Compose{Text: tt.text}})
			}
			w.wants(gateway.Intent{Plugin: c.ID, Mail: gateway.Compose{Text: tt.text}})
			if n := []int{len(w.lines(&a)), len(w.lines(&b)), len(w.lines(&c))}; !slices.Equal(n, []int{2, 2, 1}) {
				t.Errorf("dropped %v", n)
			}
			w.fits()
			all := w.due()
			if len(all) != 10 {
				t.Fatalf("%d wait", len(all))
			}
			w.ok(w.EndIntent(w.ctx(), inside(w.ours.ID), &all[0], gateway.LineInfo, "x", nil))
			w.wants(gateway.Intent{Plugin: c.ID, Mail: gateway.Compose{Text: tt.text}})
			if n := len(w.due()); n != 1 {
				t.Errorf("after one has gone %d are due", n)
			}
			w.fits()
		})
	}
}

// With a plugin, an account or a domain go its intents, and what is remembered of answers.
func TestIntentsErased(t *testing.T) {
	w := newWorld(t)
	p, q, anns := w.sender("p", nil), w.sender("q", nil), w.sender("ann's", w.ann)
	mail := w.deliver(w.ann, "<1@x.test>")
	w.wants(gateway.Intent{Plugin: p.ID, Account: w.ann.ID, Answers: mail})
	in := w.due()
	w.ok(w.fulfils(&in[0], "ann@ours.test", "a@x.test"))
	for range 3 {
		w.wants(gateway.Intent{Plugin: p.ID, Account: w.ann.ID}, gateway.Intent{Plugin: q.ID, Account: w.eve.ID}, gateway.Intent{Plugin: q.ID, Account: w.ann.ID}, gateway.Intent{Plugin: anns.ID, Account: w.ann.ID})
	}
	in = w.due()
	w.ok(w.DeletePlugin(w.ctx(), inside(w.ours.ID), p.ID))
	if err := w.fulfils(&in[0], "eve@ours.test", "a@x.test"); in[0].Plugin == p.ID && gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("an intent of a plugin that was deleted: %v", err)
	}
	w.fits()
	w.ok(w.CloseAccount(w.ctx(), inside(w.ours.ID), w.ours.ID, w.ann.ID))
	w.ok(w.EraseAccount(w.ctx(), inside(w.ours.ID), w.ours.ID, w.ann.ID))
	w.fits()
	w.clock = w.clock.Add(time.Hour)
	left := w.due()
	for _, in := range left {
		if in.Account != w.eve.ID {
			t.Errorf("left: %+v", in)
		}
	}
	if len(left) != 3 {
		t.Errorf("%d are left", len(left))
	}
	if n, some := w.keysOfAccount(w.ann); n > 0 {
		t.Errorf("%d keys are left, such as %v", n, some)
	}
	w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID))
	if n, some := w.keysOf(w.ours.ID); n > 0 {
		t.Errorf("%d keys are left, such as %v", n, some)
	}
}

// One domain's mail keeps no other's waiting.
func TestIntentsOfManyDomains(t *testing.T) {
	w := newWorld(t)
	p := w.sender("p", nil)
	for range 50 {
		w.wants(gateway.Intent{Plugin: p.ID})
	}
	theirs := gateway.Plugin{ID: newID(), Domain: w.them.ID, Name: "theirs"}
	ref, done := w.blob(w.them.ID, "their code")
	defer done()
	theirs.Code = ref
	_, _, err := w.InstallPlugin(w.ctx(), inside(w.them.ID), &theirs, false)
	w.ok(err)
	w.clock = w.clock.Add(time.Second)
	w.ok(w.RemindPlugins(w.ctx(), inside(w.them.ID), gateway.Effects{Intents: []gateway.Intent{{Plugin: theirs.ID}}}))
	all, err := w.LeaseIntents(w.ctx(), system, 8, func(gateway.DomainID) int { return 4 }, time.Hour)
	w.ok(err)
	by := make(map[gateway.DomainID]int)
	for _, in := range all {
		by[in.Domain]++
	}
	if by[w.ours.ID] != 4 || by[w.them.ID] != 1 {
		t.Errorf("leased %v", by)
	}
}
