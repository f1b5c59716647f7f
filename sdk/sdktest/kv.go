package sdktest

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/sdk/abi"
)

// value is what is remembered under a key.
type value struct {
	bytes []byte
	until time.Time // zero: for good
	gone  bool      // it is forgotten
}

type counter struct {
	n     int64
	until time.Time
}

// Bounds of what a gateway remembers, as its limits have them.
const (
	mostKey   = 512
	mostValue = 64 << 10
	mostCount = 1 << 53
	mostTTL   = 10 * 365 * 24 * 3600 // seconds
	pageKeys  = 100
)

func (h *Host) past(until time.Time) bool { return !until.IsZero() && !h.Clock.Before(until) }

func (h *Host) until(ttlSeconds int64) time.Time {
	if ttlSeconds == 0 {
		return time.Time{}
	}
	return h.Clock.Add(time.Duration(ttlSeconds) * time.Second)
}

// checked says why a key, or a time to live, is none.
func (g guest) checked(key string, ttlSeconds int64) error {
	if !g.may(abi.PermitKV) {
		return abi.Denied
	}
	if key == "" || len(key) > mostKey || ttlSeconds < 0 || ttlSeconds > mostTTL {
		return abi.BadArgument
	}
	return nil
}

// there is what is remembered now, with what the running hook wrote.
func (g guest) there() map[string]value {
	all := maps.Clone(g.values)
	maps.Copy(all, g.writes)
	maps.DeleteFunc(all, func(_ string, v value) bool { return v.gone || g.past(v.until) })
	return all
}

func (g guest) KVGet(key string) ([]byte, bool) {
	if g.checked(key, 0) != nil {
		return nil, false
	}
	v, ok := g.there()[key]
	return slices.Clone(v.bytes), ok
}

func (g guest) KVPut(key string, b []byte, ttlSeconds int64) error {
	if err := g.checked(key, ttlSeconds); err != nil {
		return err
	}
	if len(b) > mostValue {
		return abi.TooLarge
	}
	g.writes[key] = value{bytes: slices.Clone(b), until: g.until(ttlSeconds)}
	return nil
}

func (g guest) KVDelete(key string) error {
	if err := g.checked(key, 0); err != nil {
		return err
	}
	g.writes[key] = value{gone: true}
	return nil
}

// KVIncr counts at once: what becomes of the hook does not matter.
func (g guest) KVIncr(key string, delta, ttlSeconds int64) (int64, error) {
	if err := g.checked(key, ttlSeconds); err != nil {
		return 0, err
	}
	c, known := g.counters[key]
	if !known || g.past(c.until) {
		if delta == 0 {
			return 0, nil
		}
		c = counter{until: g.until(ttlSeconds)}
	}
	delta = min(max(delta, -mostCount), mostCount)
	c.n = min(max(c.n+delta, 0), mostCount)
	g.counters[key] = c
	return c.n, nil
}

func (g guest) KVList(prefix, cursor string) ([]byte, error) {
	if !g.may(abi.PermitKV) {
		return nil, abi.Denied
	}
	page := abi.KVPage{Keys: []string{}}
	for _, key := range slices.Sorted(maps.Keys(g.there())) {
		if !strings.HasPrefix(key, prefix) || key <= cursor {
			continue
		}
		if len(page.Keys) == pageKeys {
			page.Next = page.Keys[pageKeys-1]
			break
		}
		page.Keys = append(page.Keys, key)
	}
	return json.Marshal(page)
}
