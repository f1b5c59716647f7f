package store_test

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store/engine"
)

// digest is what names a code.
func digest(code string) [32]byte { return sha256.Sum256([]byte(code)) }

// install makes an installation of ours.test, of an account if there is one.
func (w *world) install(name, code string, of *gateway.Account) gateway.Plugin {
	w.Helper()
	ref, done := w.blob(w.ours.ID, code)
	defer done()
	p := gateway.Plugin{
		ID: newID(), Domain: w.ours.ID, Name: name, Code: ref, SHA256: digest(code), Failure: gateway.FailOpen, Version: "1",
		Hooks: []gateway.Hook{gateway.HookInbound}, Asks: []string{"kv", "raw"}, Grants: []string{"kv"},
	}
	if of != nil {
		p.Account = of.ID
	}
	p, _, err := w.InstallPlugin(w.ctx(), inside(w.ours.ID), &p, false)
	w.ok(err)
	return p
}

func (w *world) value(p *gateway.Plugin, key string) string {
	w.Helper()
	v, known, err := w.PluginValue(w.ctx(), inside(w.ours.ID), p.ID, key)
	w.ok(err)
	if !known {
		return "-"
	}
	return string(v)
}

func (w *world) bytes(p *gateway.Plugin, recount bool) int64 {
	w.Helper()
	n, err := w.PluginBytes(w.ctx(), inside(w.ours.ID), p.ID, recount)
	w.ok(err)
	return n
}

func write(p *gateway.Plugin, key, value string) gateway.PluginWrite {
	return gateway.PluginWrite{Plugin: p.ID, Key: key, Value: []byte(value)}
}

// An installation comes back as it was stored; new code keeps what its tenant set.
func TestInstallPlugin(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	first := w.install("filter", "code 1", nil)
	on, order, policy, config := true, 7, gateway.FailClosed, map[string]string{"a": "1", "b": ""}
	_, err := w.ChangePlugin(w.ctx(), sc, first.ID, gateway.PluginChange{Enabled: &on, Priority: &order, Failure: &policy, Config: &config})
	w.ok(err)
	w.ok(w.RemindPlugins(w.ctx(), sc, gateway.Effects{KV: []gateway.PluginWrite{write(&first, "k", "v")}}))
	w.reopen()
	again := w.install("filter", "code 2", nil)
	got, err := w.Plugin(w.ctx(), sc, first.ID)
	w.ok(err)
	if again.ID != first.ID || !got.Enabled || got.Priority != 7 || got.Failure != policy || fmt.Sprint(got.Config) != fmt.Sprint(config) ||
		got.SHA256 == first.SHA256 || !slices.Equal(got.Grants, []string{"kv"}) || !slices.Equal(got.Asks, []string{"kv", "raw"}) || got.CreatedAt != first.CreatedAt {
		t.Errorf("after new code: %+v", got)
	}
	if v := w.value(&first, "k"); v != "v" {
		t.Errorf("it remembers %q", v)
	}
	grants := []string{"send"}
	if _, err := w.ChangePlugin(w.ctx(), sc, first.ID, gateway.PluginChange{Grants: &grants}); gateway.KindOf(err) != gateway.InvalidParameter {
		t.Errorf("granting what it does not ask for: %v", err)
	}
}

// versions lists what is kept of a plugin's code, the newest first; * is asked.
func versions(p *gateway.Plugin) (out string) {
	for _, v := range p.Versions() {
		if v.SHA256 == p.SHA256 {
			out += "*"
		}
		out += v.Version + fmt.Sprint(v.Grants) + " "
	}
	return out
}

// So many versions are kept; a plugin goes back to one of them, with the grants that it
// had and its tenant has not taken away since; what nobody can go back to is gone.
func TestPluginVersions(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	p := w.install("filter", "code 1", nil)
	push := func(version, code string, asks ...string) *gateway.Plugin {
		t.Helper()
		w.clock = w.clock.Add(time.Second)
		ref, done := w.blob(w.ours.ID, code)
		defer done()
		got, err := w.UpdatePlugin(w.ctx(), sc, p.ID, gateway.PluginVersion{Version: version, SHA256: digest(code), Code: ref, Asks: asks, Hooks: p.Hooks}, false)
		w.ok(err)
		return got
	}
	change := func(c gateway.PluginChange) *gateway.Plugin {
		t.Helper()
		got, err := w.ChangePlugin(w.ctx(), sc, p.ID, c)
		w.ok(err)
		w.reopen()
		again, err := w.Plugin(w.ctx(), sc, p.ID)
		w.ok(err)
		if versions(again) != versions(got) || again.Code != got.Code {
			t.Errorf("changed to %s, stored as %s", versions(got), versions(again))
		}
		return again
	}
	to := func(v string) gateway.PluginChange { return gateway.PluginChange{Version: &v} }
	none, both := []string{}, []string{"kv", "raw"}
	for _, tt := range []struct {
		what string
		got  *gateway.Plugin
		want string
	}{
		{"as installed", change(gateway.PluginChange{}), "*1[kv] "},
		{"one that asks for less", push("2", "code 2"), "*2[] 1[kv] "},
		{"back", change(to("1")), "2[] *1[kv] "},
		{"the same code again", push("1", "code 1", "kv", "raw"), "2[] *1[kv] "},
		{"a kept code again", push("2", "code 2"), "*2[] 1[kv] "},
		{"more", push("3", "code 3", "kv", "raw"), "*3[] 2[] 1[kv] "},
		{"granted", change(gateway.PluginChange{Grants: &both}), "*3[kv raw] 2[] 1[kv] "},
		{"taken away", change(gateway.PluginChange{Grants: &none}), "*3[] 2[] 1[] "},
		{"back to what had it", change(to("1")), "3[] 2[] *1[] "},
		{"a fourth", push("4", "code 4"), "*4[] 3[] 2[] 1[] "},
		{"a fifth", push("5", "code 5"), "*5[] 4[] 3[] 1[] "}, // 2 was left first
	} {
		if got := versions(tt.got); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.what, got, tt.want)
		}
	}
	push("4", "another 4")
	for name, want := range map[string]string{"2": "no version", "4": "2 versions"} {
		if _, err := w.ChangePlugin(w.ctx(), sc, p.ID, to(name)); gateway.KindOf(err) != gateway.InvalidParameter || !strings.Contains(err.Error(), want) {
			t.Errorf("back to %s: %v", name, err)
		}
	}
	last := change(gateway.PluginChange{})
	if n := w.fits().Bodies; n != 4 {
		t.Errorf("%d codes are stored", n)
	}
	for who, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "their account": of(w.spy), "an account": of(w.eve), "nobody": {}} {
		if _, err := w.UpdatePlugin(w.ctx(), sc, p.ID, last.Active(), false); gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s: %v", who, err)
		}
	}
	w.ok(w.DeletePlugin(w.ctx(), sc, p.ID))
	if n := w.fits().Bodies; n != 0 {
		t.Errorf("%d codes are left", n)
	}
}

// The order is priority, then name; an account sees its own, nobody another's.
func TestPluginWalls(t *testing.T) {
	w := newWorld(t)
	b, a, mine := w.install("b", "code", nil), w.install("a", "code", nil), w.install("a", "code", w.ann)
	names := func(sc gateway.Scope) (out string) {
		all, err := w.Plugins(w.ctx(), sc)
		w.ok(err)
		for _, p := range all {
			out += fmt.Sprintf("%s/%d ", p.Name, p.Account)
		}
		return out
	}
	first := -1
	_, err := w.ChangePlugin(w.ctx(), inside(w.ours.ID), b.ID, gateway.PluginChange{Priority: &first})
	w.ok(err)
	for _, tt := range []struct {
		sc   gateway.Scope
		want string
	}{
		{inside(w.ours.ID), fmt.Sprintf("b/0 a/0 a/%d ", w.ann.ID)},
		{of(w.ann), fmt.Sprintf("a/%d ", w.ann.ID)},
		{of(w.eve), ""},
		{inside(w.them.ID), ""},
	} {
		if got := names(tt.sc); got != tt.want {
			t.Errorf("%v sees %q, want %q", tt.sc, got, tt.want)
		}
	}
	on := true
	for who, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "neighbour": of(w.eve), "their account": of(w.spy), "nobody": {}} {
		for what, err := range map[string]error{
			"Plugin": second(w.Plugin(w.ctx(), sc, mine.ID)),
			"Change": second(w.ChangePlugin(w.ctx(), sc, mine.ID, gateway.PluginChange{Enabled: &on})),
			"Delete": w.DeletePlugin(w.ctx(), sc, mine.ID),
			"Domain": second(w.Plugin(w.ctx(), sc, a.ID)),
		} {
			if gateway.KindOf(err) != gateway.NotFound || err == nil {
				t.Errorf("%s, %s: %v, want not found", who, what, err)
			}
		}
		if v, known, err := w.PluginValue(w.ctx(), sc, mine.ID, "k"); known {
			t.Errorf("%s reads %q, %v", who, v, err)
		}
		p := gateway.Plugin{ID: newID(), Domain: w.ours.ID, Name: "x", Code: a.Code}
		if _, _, err := w.InstallPlugin(w.ctx(), sc, &p, false); err == nil {
			t.Errorf("%s installs a plugin for the domain", who)
		}
	}
	w.ok(w.RemindPlugins(w.ctx(), inside(w.them.ID), gateway.Effects{KV: []gateway.PluginWrite{write(&a, "k", "theirs")}}))
	if v := w.value(&a, "k"); v != "-" {
		t.Errorf("another domain wrote %q", v)
	}
}

// What plugins remember commits with the message, counts by the byte, expires, and
// goes with its plugin.
func TestPluginValues(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	p, other := w.install("p", "code", nil), w.install("other", "code", nil)
	ref, done := w.blob(w.ours.ID, "body")
	defer done()
	c := content("<1@x.test>", "subject", w.clock)
	f := &gateway.Filing{
		Message: &gateway.Message{Arrived: w.clock, Blob: ref, Content: c}, Facts: threading.Facts(&c, w.clock),
		Copies:  []gateway.Copy{{Account: 9999, ID: newID(), Folder: gateway.Inbox}},
		Effects: gateway.Effects{KV: []gateway.PluginWrite{write(&p, "key", "value")}},
	}
	if err := w.Deliver(w.ctx(), sc, f); err == nil {
		t.Fatal("mail for nobody was delivered")
	}
	if v := w.value(&p, "key"); v != "-" {
		t.Errorf("a message that was not stored is remembered: %q", v)
	}
	f.Copies[0].Account = w.ann.ID
	w.ok(w.Deliver(w.ctx(), sc, f))
	w.ok(w.RemindPlugins(w.ctx(), sc, gateway.Effects{KV: []gateway.PluginWrite{
		write(&p, "key", "longer value"), write(&other, "key", "x"), {Plugin: p.ID, Key: "soon", Value: []byte("gone"), Expires: w.clock.Add(time.Minute)},
	}}))
	if v, o := w.value(&p, "key"), w.value(&other, "key"); v != "longer value" || o != "x" {
		t.Errorf("values %q and %q", v, o)
	}
	if n := w.bytes(&p, false); n != int64(len("keylonger value")+len("soongone")) {
		t.Errorf("%d bytes", n)
	}
	w.clock = w.clock.Add(2 * time.Minute)
	if v, n := w.value(&p, "soon"), w.bytes(&p, true); v != "-" || n != int64(len("keylonger value")) || w.bytes(&p, false) != n {
		t.Errorf("after its time: %q, %d bytes", v, n)
	}
	var many []gateway.PluginWrite
	for i := range 1500 {
		many = append(many, write(&p, fmt.Sprint(i), "v"))
	}
	w.ok(w.RemindPlugins(w.ctx(), sc, gateway.Effects{KV: many}))
	w.ok(w.DeletePlugin(w.ctx(), sc, p.ID))
	w.ok(w.RemindPlugins(w.ctx(), sc, gateway.Effects{KV: []gateway.PluginWrite{write(&p, "late", "v")}}))
	if v, n := w.value(&p, "7")+w.value(&p, "late"), w.bytes(&p, true); v != "--" || n != 0 {
		t.Errorf("a deleted plugin remembers %q, %d bytes", v, n)
	}
	if o := w.value(&other, "key"); o != "x" {
		t.Errorf("its neighbour remembers %q", o)
	}
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{0x51}), func(k, v []byte) error {
			if slices.Equal(k[5:], p.ID[:]) {
				t.Errorf("its counter is left: %x", v)
			}
			return nil
		})
	}))
}

// Of a plugin's lines so many are kept, each for its time; they go with it, and what it
// says too late is dropped.
func TestPluginLines(t *testing.T) {
	w := newWorld(t)
	w.cfg.Limits = gateway.DefaultLimits()
	w.cfg.Limits.PluginLines = 5
	w.reopen()
	sc := inside(w.ours.ID)
	p, other := w.install("p", "code", w.ann), w.install("other", "code", nil)
	say := func(texts ...string) {
		t.Helper()
		var lines []gateway.PluginLine
		for i, text := range texts {
			lines = append(lines, gateway.PluginLine{
				Plugin: p.ID, At: w.clock, Level: gateway.LineLevel(i % 4), Version: "1", Hook: gateway.HookInbound, Email: gateway.ID{7}, MessageID: "<1@x>", Text: text,
			})
		}
		lines = append(lines, gateway.PluginLine{Plugin: other.ID, At: w.clock, Text: "x"}, gateway.PluginLine{Plugin: newID(), At: w.clock, Text: "nobody's"})
		w.ok(w.AddPluginLines(w.ctx(), sc, w.ours.ID, lines))
	}
	read := func(f gateway.LineFilter) string {
		t.Helper()
		page, err := w.PluginLines(w.ctx(), of(w.ann), p.ID, f)
		w.ok(err)
		out := ""
		for _, l := range page.Lines {
			out += l.Text + " "
			want := gateway.PluginLine{
				Plugin: p.ID, Sequence: l.Sequence, At: l.At, Level: l.Level, Version: "1", Hook: gateway.HookInbound, Email: gateway.ID{7}, MessageID: "<1@x>", Text: l.Text,
			}
			if l != want {
				t.Errorf("%+v, want %+v", l, want)
			}
		}
		return fmt.Sprint(out, page.More, " ", page.Last)
	}
	if got := read(gateway.LineFilter{Limit: 9}); got != "false 0" {
		t.Errorf("before it spoke: %s", got)
	}
	say("a", "b", "c")
	w.clock = w.clock.Add(time.Hour)
	say("d", "e", "f", "g")
	w.reopen()
	for _, tt := range []struct {
		f    gateway.LineFilter
		want string
	}{
		{gateway.LineFilter{Limit: 9}, "g f e d c false 7"},
		{gateway.LineFilter{Limit: 2}, "g f true 7"},
		{gateway.LineFilter{Limit: 2, Beyond: 6}, "e d true 7"},
		{gateway.LineFilter{Limit: 2, Beyond: 4}, "c false 7"},
		{gateway.LineFilter{Limit: 2, Beyond: 2}, "false 7"},
		{gateway.LineFilter{Limit: 2, Forward: true}, "c d true 4"},
		{gateway.LineFilter{Limit: 3, Forward: true, Beyond: 4}, "e f g false 7"},
		{gateway.LineFilter{Limit: 3, Forward: true, Beyond: 7}, "false 7"},
		{gateway.LineFilter{Limit: 3, Forward: true, Beyond: 1 << 63}, "false 7"},
		{gateway.LineFilter{Limit: 9, Level: gateway.LineWarning}, "g f c false 7"},
		{gateway.LineFilter{Limit: 1, Level: gateway.LineError, Forward: true}, "g false 7"},
		{gateway.LineFilter{Limit: 9, Since: w.clock}, "g f e d false 7"},
	} {
		if got := read(tt.f); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.f, got, tt.want)
		}
	}
	for who, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "neighbour": of(w.eve), "nobody": {}} {
		if _, err := w.PluginLines(w.ctx(), sc, p.ID, gateway.LineFilter{Limit: 1}); gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s reads: %v", who, err)
		}
		if err := w.AddPluginLines(w.ctx(), sc, w.ours.ID, nil); err == nil {
			t.Errorf("%s writes", who)
		}
	}
	if _, err := w.PluginLines(w.ctx(), of(w.ann), other.ID, gateway.LineFilter{Limit: 1}); gateway.KindOf(err) != gateway.NotFound || err == nil {
		t.Errorf("an account reads its domain's plugin: %v", err)
	}
	w.clock = w.clock.Add(gateway.ActivityRetention - time.Minute)
	if got := read(gateway.LineFilter{Limit: 9}); got != "g f e d false 7" {
		t.Errorf("after the time of the first: %s", got)
	}
	w.ok(w.DeletePlugin(w.ctx(), sc, p.ID))
	say("late")
	w.ok(w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Range{From: []byte{0x51}, To: []byte{0x55}}, func(k, _ []byte) error {
			if slices.Equal(k[5:21], p.ID[:]) {
				t.Errorf("%x is left", k)
			}
			return nil
		})
	}))
}

// A plugin's choice of a conversation stands over the rule, for the message and
// what answers it, as far as there is such a conversation.
func TestThreadChoice(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	file := func(a *gateway.Account, msgid, ref string, choice gateway.ThreadChoice, told gateway.ID) *gateway.Message {
		t.Helper()
		blob, done := w.blob(w.ours.ID, msgid)
		defer done()
		c := content(msgid, "about "+msgid, w.clock)
		if ref != "" {
			c.References = []string{ref}
		}
		id := newID()
		w.ok(w.Deliver(w.ctx(), sc, &gateway.Filing{
			Message: &gateway.Message{Arrived: w.clock, Blob: blob, Content: c}, Facts: threading.Facts(&c, w.clock),
			Copies: []gateway.Copy{{Account: a.ID, ID: id, Folder: gateway.Inbox, Thread: choice, NewThread: told}},
		}))
		m, err := w.Message(w.ctx(), sc, id)
		w.ok(err)
		return m
	}
	told := newID()
	one := file(w.ann, "<1@x.test>", "", gateway.ThreadChoice{}, told)
	two := file(w.ann, "<2@x.test>", "", gateway.ThreadChoice{Join: told}, gateway.ID{})
	if one.Thread != told || two.Thread != told || two.Position != 1 {
		t.Errorf("joined: %v and %v (%d), want %v", one.Thread, two.Thread, two.Position, told)
	}
	if m := file(w.ann, "<3@x.test>", "<2@x.test>", gateway.ThreadChoice{}, gateway.ID{}); m.Thread != told {
		t.Errorf("an answer to what joined is in %v", m.Thread)
	}
	own := newID()
	apart := file(w.ann, "<4@x.test>", "<1@x.test>", gateway.ThreadChoice{New: true}, own)
	if apart.Thread != own {
		t.Errorf("one that starts anew is in %v, want %v", apart.Thread, own)
	}
	if m := file(w.ann, "<5@x.test>", "<1@x.test>", gateway.ThreadChoice{}, gateway.ID{}); m.Thread != told {
		t.Errorf("the conversation it left moved to %v", m.Thread)
	}
	for name, join := range map[string]gateway.ID{"nowhere": newID(), "another account's": file(w.eve, "<6@x.test>", "", gateway.ThreadChoice{}, gateway.ID{}).Thread} {
		if m := file(w.ann, "<7-"+name[:3]+"@x.test>", "<1@x.test>", gateway.ThreadChoice{Join: join}, gateway.ID{}); m.Thread != told {
			t.Errorf("joining %s: in %v, want the rule's %v", name, m.Thread, told)
		}
	}
	// Told it would start one, which meanwhile another message has started.
	late := newID()
	if m := file(w.ann, "<8@x.test>", "<4@x.test>", gateway.ThreadChoice{}, late); m.Thread != own {
		t.Errorf("in %v, want %v", m.Thread, own)
	}
	if m := file(w.ann, "<9@x.test>", "", gateway.ThreadChoice{Join: late}, gateway.ID{}); m.Thread != own {
		t.Errorf("the id that was told leads to %v, want %v", m.Thread, own)
	}
	found, err := w.Candidates(w.ctx(), sc, w.ann.ID, &gateway.ThreadFacts{Links: []string{"<1@x.test>"}})
	w.ok(err)
	if len(found) != 1 || found[0].ID != told {
		t.Errorf("candidates %v", found)
	}
	if found, err := w.Candidates(w.ctx(), inside(w.them.ID), w.spy.ID, &gateway.ThreadFacts{Links: []string{"<1@x.test>"}}); err != nil || len(found) != 0 {
		t.Errorf("another domain finds %v, %v", found, err)
	}
}

// Account keys install no plugin once a domain has half of what it may have; a
// configuration has so many values at most.
func TestPluginBounds(t *testing.T) {
	w := newWorld(t)
	limits := gateway.DefaultLimits()
	try := func(i int, account *gateway.Account) error {
		ref, done := w.blob(w.ours.ID, "code")
		defer done()
		p := gateway.Plugin{ID: newID(), Domain: w.ours.ID, Name: fmt.Sprint("p", i), Code: ref, SHA256: digest("code"), Hooks: []gateway.Hook{"inbound"}}
		sc := inside(w.ours.ID)
		if account != nil {
			p.Account, sc = account.ID, of(account)
		}
		_, _, err := w.InstallPlugin(w.ctx(), sc, &p, false)
		return err
	}
	i := 0
	for ; int64(i) < limits.Plugins/2; i++ {
		w.ok(try(i, w.ann))
	}
	if err := try(i, w.eve); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("one more for an account: %v", err)
	}
	for ; int64(i) < limits.Plugins; i++ {
		w.ok(try(i, nil))
	}
	if err := try(i, nil); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("one more for the domain: %v", err)
	}

	all, err := w.Plugins(w.ctx(), inside(w.ours.ID))
	w.ok(err)
	config := map[string]string{}
	for i := range limits.PluginConfigValues {
		config[fmt.Sprint(i)] = ""
	}
	set := func(c gateway.PluginChange) error {
		_, err := w.ChangePlugin(w.ctx(), inside(w.ours.ID), all[0].ID, c)
		return err
	}
	w.ok(set(gateway.PluginChange{Config: &config}))
	secret := gateway.Secret("s")
	if err := set(gateway.PluginChange{Secrets: map[string]*gateway.Secret{"x": &secret}}); gateway.KindOf(err) != gateway.InvalidParameter {
		t.Errorf("one value more: %v", err)
	}
}

// However many ask at the time, whoever asks after a change sees it, and who was answered
// before does not.
func TestPluginsRemembered(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	p := w.install("filter", "code 1", nil)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for was := -1; ; {
			select {
			case <-stop:
				return
			default:
			}
			all, err := w.Plugins(w.ctx(), sc)
			if err != nil || len(all) != 1 || all[0].Priority < was {
				t.Errorf("after %d: %+v, %v", was, all, err)
				return
			}
			was = all[0].Priority
		}
	}()
	var before []gateway.Plugin
	for order := range 200 {
		_, err := w.ChangePlugin(w.ctx(), sc, p.ID, gateway.PluginChange{Priority: &order})
		w.ok(err)
		if all, err := w.Plugins(w.ctx(), sc); err != nil || all[0].Priority != order || all[0].Name != "filter" {
			t.Fatalf("after %d: %+v, %v", order, all, err)
		} else if order > 0 && before[0].Priority != order-1 {
			t.Fatalf("what was answered at %d is %+v now", order-1, before)
		} else {
			before = all
		}
	}
	close(stop)
	<-done
	w.ok(w.DeletePlugin(w.ctx(), sc, p.ID))
	if all, err := w.Plugins(w.ctx(), sc); err != nil || len(all) != 0 {
		t.Errorf("after it is deleted: %+v, %v", all, err)
	}
	w.install("filter", "code 2", nil)
	w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID))
	if all, err := w.Plugins(w.ctx(), sc); err != nil || len(all) != 0 {
		t.Errorf("of a domain that is deleted: %+v, %v", all, err)
	}
}
