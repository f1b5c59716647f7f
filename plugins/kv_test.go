package plugins

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// bytesKept is a store in which a plugin remembers so much, and so much when it is
// counted anew.
type bytesKept struct {
	Store
	noted, anew int64
	recounts    int
}

func (b *bytesKept) PluginBytes(_ context.Context, _ gateway.Scope, _ gateway.ID, recount bool) (int64, error) {
	if recount {
		b.recounts++
		return b.anew, nil
	}
	return b.noted, nil
}

// A plugin remembers as much as it may: what it wrote for the same message before
// counts, what others wrote counts for the message alone, what has expired does not.
func TestKVQuota(t *testing.T) {
	lim := gateway.DefaultLimits()
	lim.PluginStore, lim.PluginWrites, lim.PluginWriteBytes, lim.PluginKey, lim.PluginValue = 1000, 5, 2000, 10, 600
	mine, others := gateway.ID{1}, gateway.ID{2}
	written := func(p gateway.ID, n int) []gateway.PluginWrite {
		return []gateway.PluginWrite{{Plugin: p, Key: "k", Value: make([]byte, n-1)}}
	}
	for _, tt := range []struct {
		name        string
		noted, anew int64
		before      []gateway.PluginWrite
		key         string
		size        int
		ttl         int64
		want        error
		recounts    int
	}{
		{"room", 0, 0, nil, "key", 100, 0, nil, 0},
		{"to the byte", 897, 897, nil, "key", 100, 0, nil, 0},
		{"a byte more", 898, 898, nil, "key", 100, 0, abi.OverQuota, 1},
		{"full of what has expired", 1000, 10, nil, "key", 100, 60, nil, 1},
		{"its own for this message", 500, 500, written(mine, 400), "key", 100, 0, abi.OverQuota, 1},
		{"another's for this message", 500, 500, written(others, 400), "key", 100, 0, nil, 0},
		{"the message's quota", 0, 0, written(others, 1950), "key", 100, 0, abi.OverQuota, 0},
		{"a value too large", 0, 0, nil, "key", 601, 0, abi.TooLarge, 0},
		{"no key", 0, 0, nil, "", 1, 0, abi.BadArgument, 0},
		{"a long key", 0, 0, nil, "12345678901", 1, 0, abi.BadArgument, 0},
		{"time that runs backwards", 0, 0, nil, "key", 1, -1, abi.BadArgument, 0},
	} {
		store := &bytesKept{noted: tt.noted, anew: tt.anew}
		g := &guest{
			ctx: t.Context(), plugins: &Plugins{cfg: Config{Store: store, Limits: lim}}, inst: &gateway.Plugin{ID: mine, Grants: []string{abi.PermitKV}},
			view: &view{look: &gateway.Look{Effects: &gateway.Effects{KV: tt.before}}}, now: time.Unix(1000, 0),
		}
		err := g.KVPut(tt.key, make([]byte, tt.size), tt.ttl)
		if !errors.Is(err, tt.want) || (err == nil) != (len(g.writes) == 1) || store.recounts != tt.recounts {
			t.Errorf("%s: %v, %d writes, %d recounts; want %v, %d", tt.name, err, len(g.writes), store.recounts, tt.want, tt.recounts)
		}
		if g.inst.Grants = nil; !errors.Is(g.KVPut("key", nil, 0), abi.Denied) {
			t.Errorf("%s: it writes without the permission", tt.name)
		}
	}
}
