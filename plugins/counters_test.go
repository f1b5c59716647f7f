package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// countersKept is a store of counters and of names of values.
type countersKept struct {
	Store
	mu    sync.Mutex
	kept  map[string]gateway.PluginCounter
	keys  []string
	reads int
	down  error
}

func (s *countersKept) PluginCounter(_ context.Context, _ gateway.Scope, id gateway.ID, key string) (gateway.PluginCounter, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	c, known := s.kept[id.String()+key]
	return c, known, s.down
}

func (s *countersKept) PluginCounters(_ context.Context, _ gateway.Scope, id gateway.ID, most int) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k := range s.kept {
		if strings.HasPrefix(k, id.String()) && n < most {
			n++
		}
	}
	return n, s.down
}

func (s *countersKept) SetPluginCounters(_ context.Context, _ gateway.Scope, _ gateway.DomainID, all []gateway.PluginCounter) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down != nil {
		return s.down
	}
	if s.kept == nil {
		s.kept = make(map[string]gateway.PluginCounter)
	}
	for _, c := range all {
		s.kept[c.Plugin.String()+c.Key] = c
	}
	return nil
}

func (s *countersKept) PluginKeys(_ context.Context, _ gateway.Scope, _ gateway.ID, prefix, after string, most int) (out []string, err error) {
	for _, k := range s.keys {
		if strings.HasPrefix(k, prefix) && k > after && len(out) < most {
			out = append(out, k)
		}
	}
	return out, s.down
}

// counting is a plugin that counts, in a process with a store.
type counting struct {
	*Plugins
	now time.Time
}

func newCounting(s Store, lim gateway.Limits) *counting {
	c := &counting{now: time.Unix(1000, 0)}
	c.Plugins = &Plugins{cfg: Config{
		Store: s, Limits: lim, Internal: func(gateway.DomainID) gateway.Scope { return gateway.Scope{} }, Now: func() time.Time { return c.now },
		Log: slog.New(slog.DiscardHandler),
	}}
	return c
}

// guest is a call of a plugin of a domain.
func (c *counting) guest(ctx context.Context, d gateway.DomainID, plugin byte, dry bool) *guest {
	return &guest{
		ctx: ctx, plugins: c.Plugins, inst: &gateway.Plugin{ID: gateway.ID{plugin}, Domain: d, Grants: []string{abi.PermitKV}}, now: c.now,
		view: &view{look: &gateway.Look{Effects: &gateway.Effects{}, DryRun: dry}},
	}
}

// What counters do, one step after the other.
func TestCounters(t *testing.T) {
	lim := gateway.DefaultLimits()
	store := &countersKept{}
	c := newCounting(store, lim)
	const most = gateway.MaxPluginCounter
	for _, step := range []struct {
		what       string
		plugin     byte
		dry        bool
		key        string
		delta, ttl int64
		want       int64
		err        error
	}{
		{"reading makes none", 1, false, "n", 0, 0, 0, nil},
		{"the first", 1, false, "n", 2, 0, 2, nil},
		{"more", 1, false, "n", 3, 60, 5, nil},
		{"reading", 1, false, "n", 0, 0, 5, nil},
		{"another plugin's", 2, false, "n", 1, 0, 1, nil},
		{"below nothing", 1, false, "n", -7, 0, 0, nil},
		{"far below", 1, false, "n", -1 << 63, 0, 0, nil},
		{"beyond the most", 1, false, "n", 1<<63 - 1, 0, most, nil},
		{"once more", 1, false, "n", 1, 0, most, nil},
		{"from there down", 1, false, "n", -1, 0, most - 1, nil},
		{"one that is at nothing from the start", 1, false, "zero", -1, 0, 0, nil},
		{"with a time to live", 1, false, "soon", 1, 10, 1, nil},
		{"a dry run", 1, true, "n", 5, 0, most, nil},
		{"after it", 1, false, "n", 0, 0, most - 1, nil},
		{"no key", 1, false, "", 1, 0, 0, abi.BadArgument},
		{"a long key", 1, false, strings.Repeat("x", 513), 1, 0, 0, abi.BadArgument},
		{"time that runs backwards", 1, false, "n", 1, -1, 0, abi.BadArgument},
		{"time without end", 1, false, "n", 1, maxTTL + 1, 0, abi.BadArgument},
	} {
		if got, err := c.guest(t.Context(), 1, step.plugin, step.dry).KVIncr(step.key, step.delta, step.ttl); got != step.want || !errors.Is(err, step.err) {
			t.Errorf("%s: %d %v, want %d %v", step.what, got, err, step.want, step.err)
		}
	}
	g := c.guest(t.Context(), 1, 1, true)
	for want := int64(1); want <= 3; want++ { // one dry run sees what it counted
		if got, err := g.KVIncr("tried", 1, 0); got != want || err != nil {
			t.Errorf("a dry run counts to %d %v, want %d", got, err, want)
		}
	}
	g.inst.Grants = nil
	if _, err := g.KVIncr("n", 1, 0); !errors.Is(err, abi.Denied) {
		t.Errorf("without the permission: %v", err)
	}
	c.settle(t.Context())
	if len(store.kept) != 4 {
		t.Errorf("stored: %v", store.kept)
	}
}

// A counter lives on over batches and in another process, and as long as it was to live
// from its first use.
func TestCountersLive(t *testing.T) {
	store := &countersKept{}
	c := newCounting(store, gateway.DefaultLimits())
	incr := func(want int64, ttl int64) {
		t.Helper()
		if got, err := c.guest(t.Context(), 1, 1, false).KVIncr("n", 1, ttl); got != want || err != nil {
			t.Errorf("%d %v, want %d", got, err, want)
		}
	}
	incr(1, 60)
	c.now = c.now.Add(30 * time.Second)
	incr(2, 60)
	store.down = errors.New("the disk is full")
	c.settle(t.Context())
	incr(3, 60)
	store.down = nil
	for range idleBatches + 2 {
		c.settle(t.Context())
	}
	if len(c.counters.cells)+len(c.counters.owned) != 0 {
		t.Errorf("%d cells and %d numbers stay in memory", len(c.counters.cells), len(c.counters.owned))
	}
	incr(4, 60)
	if err := c.counters.changed[1]; err != 1 {
		t.Errorf("%d changed", err)
	}
	c.settle(t.Context())
	was := c.now
	c = newCounting(store, gateway.DefaultLimits())
	c.now = was.Add(29 * time.Second)
	incr(5, 60)
	c.now = was.Add(30 * time.Second)
	incr(1, 60)
	c.settle(t.Context())
	if k := store.kept[gateway.ID{1}.String()+"n"]; k.Value != 1 || !k.Expires.Equal(c.now.Add(time.Minute)) {
		t.Errorf("stored: %+v", k)
	}
}

// A plugin has so many counters, a domain so many that change in a second; those that
// expire make room.
func TestCountersQuota(t *testing.T) {
	lim := gateway.DefaultLimits()
	lim.PluginCounters, lim.PluginCounterChanges = 3, 4
	store := &countersKept{}
	c := newCounting(store, lim)
	incr := func(d gateway.DomainID, plugin byte, key string, ttl int64, want error) {
		t.Helper()
		if _, err := c.guest(t.Context(), d, plugin, false).KVIncr(key, 1, ttl); !errors.Is(err, want) {
			t.Errorf("%d %s: %v, want %v", plugin, key, err, want)
		}
	}
	incr(1, 1, "a", 0, nil)
	incr(1, 1, "b", 0, nil)
	incr(1, 1, "c", 10, nil)
	incr(1, 1, "d", 0, abi.OverQuota)
	incr(1, 1, "a", 0, nil)
	incr(1, 2, "a", 0, nil)
	incr(1, 2, "b", 0, abi.OverQuota) // the fifth that changes
	incr(1, 2, "a", 0, nil)
	incr(2, 3, "a", 0, nil) // of another domain
	if n := len(c.counters.cells); n != 5 {
		t.Errorf("%d cells", n) // none for what was refused
	}
	c.settle(t.Context())
	incr(1, 2, "b", 0, nil)
	c.now = c.now.Add(10 * time.Second)
	delete(store.kept, gateway.ID{1}.String()+"c") // as a store does
	incr(1, 1, "d", 0, nil)
	incr(1, 1, "e", 0, abi.OverQuota)
	store.down = io.ErrUnexpectedEOF
	incr(1, 9, "a", 0, io.ErrUnexpectedEOF)
}

// Nothing is lost when many count at once, while batches are written and cells dropped.
func TestCountersTogether(t *testing.T) {
	store := &countersKept{}
	c := newCounting(store, gateway.DefaultLimits())
	const each, workers = 500, 4
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := range each {
				if _, err := c.guest(t.Context(), 1, 1, false).KVIncr(fmt.Sprint(i%3), 1, 0); err != nil {
					t.Error(err)
				}
				if i%5 == 0 {
					c.settle(t.Context())
				}
			}
		})
	}
	all.Wait()
	c.settle(t.Context())
	sum := int64(0)
	for _, k := range store.kept {
		sum += k.Value
	}
	if sum != each*workers {
		t.Errorf("%d were counted, want %d", sum, each*workers)
	}
}

// A list is what a plugin remembers, as it sees it: with what it wrote and deleted just now.
func TestKVList(t *testing.T) {
	store := &countersKept{}
	for i := range 250 {
		store.keys = append(store.keys, fmt.Sprintf("k%03d", i))
	}
	c := newCounting(store, gateway.DefaultLimits())
	g := c.guest(t.Context(), 1, 1, false)
	store.Store = &bytesKept{}
	wrote := func(key string, gone bool) gateway.PluginWrite {
		return gateway.PluginWrite{Plugin: g.inst.ID, Key: key, Delete: gone}
	}
	g.look.Effects.KV = []gateway.PluginWrite{wrote("k000", true), wrote("k001", true), wrote("k0005", false), wrote("k249x", false), {Plugin: gateway.ID{9}, Key: "k5"}}
	g.writes = []gateway.PluginWrite{wrote("k001", false), wrote("k100", true), wrote("k0005", true), wrote("k1005", false), wrote("other", false)}
	var want []string
	for i := range 250 {
		if i != 0 && i != 100 {
			want = append(want, fmt.Sprintf("k%03d", i))
		}
	}
	want = append(want, "k1005", "k249x")
	slices.Sort(want)
	var got []string
	pages := 0
	for cursor := ""; pages == 0 || cursor != ""; pages++ {
		doc, err := g.KVList("k", cursor)
		var page abi.KVPage
		if err != nil || json.Unmarshal(doc, &page) != nil || len(page.Keys) > pageKeys {
			t.Fatalf("after %q: %s %v", cursor, doc, err)
		}
		got, cursor = append(got, page.Keys...), page.Next
	}
	if !slices.Equal(got, want) || pages != 3 {
		t.Errorf("%d pages: %q", pages, got)
	}
	for _, tt := range []struct {
		prefix, cursor, want string
		err                  error
	}{
		{"nothing", "", `{"keys":[]}`, nil},
		{"oth", "", `{"keys":["other"]}`, nil},
		{"oth", "other", `{"keys":[]}`, nil},
		{"k24", "k248", `{"keys":["k249","k249x"]}`, nil},
		{strings.Repeat("x", 513), "", "", abi.BadArgument},
		{"", strings.Repeat("x", 513), "", abi.BadArgument},
	} {
		if doc, err := g.KVList(tt.prefix, tt.cursor); string(doc) != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%.10q after %.10q: %s %v, want %s", tt.prefix, tt.cursor, doc, err, tt.want)
		}
	}
	if g.inst.Grants = nil; !errors.Is(second(g.KVList("", "")), abi.Denied) || !errors.Is(g.KVDelete("k"), abi.Denied) {
		t.Error("without the permission")
	}
}

func second[A any](_ A, err error) error { return err }

// What a plugin deletes it does not find any more, and can write again.
func TestKVDelete(t *testing.T) {
	lim := gateway.DefaultLimits()
	lim.PluginStore, lim.PluginWrites = 100, 3
	g := newCounting(&bytesKept{noted: 100, anew: 100}, lim).guest(t.Context(), 1, 1, false)
	mine := g.inst.ID
	g.look.Effects.KV = []gateway.PluginWrite{{Plugin: mine, Key: "a", Value: []byte("1")}}
	if v, err := g.KVGet("a"); string(v) != "1" || err != nil {
		t.Errorf("before: %q %v", v, err)
	}
	if err := g.KVDelete("a"); err != nil { // also of one whose KV is full
		t.Error(err)
	}
	if v, err := g.KVGet("a"); !errors.Is(err, abi.Absent) {
		t.Errorf("deleted: %q %v", v, err)
	}
	if err := g.KVDelete("not there"); err != nil {
		t.Error(err)
	}
	if err := g.KVDelete("a fourth"); !errors.Is(err, abi.OverQuota) {
		t.Errorf("one more than there may be: %v", err)
	}
	g.plugins.cfg.Limits.PluginStore = 1000
	if err := g.KVPut("a", []byte("2"), 0); err != nil {
		t.Error(err)
	}
	if v, err := g.KVGet("a"); string(v) != "2" || err != nil || len(g.writes) != 2 {
		t.Errorf("again: %q %v, %d writes", v, err, len(g.writes))
	}
}
