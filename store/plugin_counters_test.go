package store_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Counters are durable by themselves, expire, are apart from other values, and go with
// their plugin.
func TestPluginCounters(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	p, other := w.install("p", "code", nil), w.install("other", "code", nil)
	set := func(d gateway.DomainID, all ...gateway.PluginCounter) {
		t.Helper()
		w.ok(w.SetPluginCounters(w.ctx(), inside(d), d, all))
	}
	shown := func(p *gateway.Plugin) (out string) {
		t.Helper()
		for _, key := range []string{"a", "b", "soon"} {
			c, known, err := w.PluginCounter(w.ctx(), sc, p.ID, key)
			w.ok(err)
			if known != (c.Value != 0) || known && (c.Plugin != p.ID || c.Key != key) {
				t.Errorf("%s: %+v %v", key, c, known)
			}
			out += fmt.Sprint(c.Value, " ")
		}
		n, err := w.PluginCounters(w.ctx(), sc, p.ID, 3)
		w.ok(err)
		return out + "of " + fmt.Sprint(n)
	}
	want := func(when, mine, others string) {
		t.Helper()
		if m, o := shown(&p), shown(&other); m != mine || o != others {
			t.Errorf("%s: %q and %q, want %q and %q", when, m, o, mine, others)
		}
	}
	w.ok(w.RemindPlugins(w.ctx(), sc, gateway.Effects{KV: []gateway.PluginWrite{write(&p, "b", "a value")}}))
	set(
		w.ours.ID, gateway.PluginCounter{Plugin: p.ID, Key: "a", Value: gateway.MaxPluginCounter}, gateway.PluginCounter{Plugin: other.ID, Key: "a", Value: 7},
		gateway.PluginCounter{Plugin: p.ID, Key: "soon", Value: 3, Expires: w.clock.Add(time.Minute)}, gateway.PluginCounter{Plugin: newID(), Key: "a", Value: 1},
	)
	w.reopen()
	want("stored", "9007199254740992 0 3 of 2", "7 0 0 of 1")
	if c, _, err := w.PluginCounter(w.ctx(), sc, p.ID, "soon"); err != nil || !c.Expires.Equal(w.clock.Add(time.Minute)) {
		t.Errorf("%+v %v", c, err)
	}
	set(w.them.ID, gateway.PluginCounter{Plugin: p.ID, Key: "a", Value: 5})
	w.clock = w.clock.Add(time.Minute)
	want("later", "9007199254740992 0 0 of 1", "7 0 0 of 1")
	if v, n := w.value(&p, "a"), w.bytes(&p, true); v != "-" || n != int64(len("ba value")) {
		t.Errorf("as a value: %q, %d bytes", v, n)
	}
	var many []gateway.PluginCounter
	for i := range 1500 {
		many = append(many, gateway.PluginCounter{Plugin: p.ID, Key: fmt.Sprint("n", i), Value: 1})
	}
	set(w.ours.ID, many...)
	for who, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "an account": of(w.ann), "nobody": {}} {
		_, known, _ := w.PluginCounter(w.ctx(), sc, p.ID, "a")
		n, _ := w.PluginCounters(w.ctx(), sc, p.ID, 10)
		if err := w.SetPluginCounters(w.ctx(), sc, w.ours.ID, many); known || n != 0 || gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s: %v, %d, %v", who, known, n, err)
		}
	}
	w.ok(w.DeletePlugin(w.ctx(), sc, p.ID))
	set(w.ours.ID, many[:1]...)
	want("deleted", "0 0 0 of 0", "7 0 0 of 1")
}

// Names of values are listed page by page; what is deleted or expired is not among them.
func TestPluginKeys(t *testing.T) {
	w := newWorld(t)
	sc := inside(w.ours.ID)
	p, other := w.install("p", "code", nil), w.install("other", "code", nil)
	w.ok(w.RemindPlugins(w.ctx(), sc, gateway.Effects{KV: []gateway.PluginWrite{
		write(&p, "a", "1"), write(&p, "b", "1"), write(&p, "ba", "1"), write(&p, "b\xffx", "1"), write(&p, "c", "1"), write(&p, "\x00", "1"), write(&other, "bb", "1"),
		{Plugin: p.ID, Key: "bsoon", Value: []byte("1"), Expires: w.clock.Add(time.Minute)},
		write(&p, "bz", "1"),
		{Plugin: p.ID, Key: "bz", Delete: true},
		{Plugin: p.ID, Key: "never", Delete: true},
	}}))
	if n := w.bytes(&p, false); n != w.bytes(&p, true) || n != int64(len("\x001a1b1ba1b\xffx1c1bsoon1")) {
		t.Errorf("%d bytes", n)
	}
	list := func(prefix, after string, most int) string {
		t.Helper()
		names, err := w.PluginKeys(w.ctx(), sc, p.ID, prefix, after, most)
		w.ok(err)
		return strings.Join(names, " ")
	}
	for _, tt := range []struct {
		prefix, after string
		most          int
		want          string
	}{
		{"", "", 10, "\x00 a b ba bsoon b\xffx c"},
		{"", "", 2, "\x00 a"},
		{"", "a", 2, "b ba"},
		{"b", "", 10, "b ba bsoon b\xffx"},
		{"b", "ba", 10, "bsoon b\xffx"},
		{"b", "a", 1, "b"},
		{"b", "c", 10, ""},
		{"b", "b\xff\xff", 10, ""},
		{"x", "", 10, ""},
		{"", "c", 10, ""},
	} {
		if got := list(tt.prefix, tt.after, tt.most); got != tt.want {
			t.Errorf("%q after %q, at most %d: %q, want %q", tt.prefix, tt.after, tt.most, got, tt.want)
		}
	}
	w.clock = w.clock.Add(time.Minute)
	if got := list("b", "", 10); got != "b ba b\xffx" {
		t.Errorf("later: %q", got)
	}
	if names, err := w.PluginKeys(w.ctx(), inside(w.them.ID), p.ID, "", "", 10); len(names) > 0 || err != nil {
		t.Errorf("their domain: %q %v", names, err)
	}
	if _, err := w.PluginKeys(w.ctx(), of(w.ann), p.ID, "", "", 10); gateway.KindOf(err) != gateway.NotFound || err == nil {
		t.Errorf("an account: %v", err)
	}
}
