package plugins

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// maxTTL bounds how long a value with a time to live lives, in seconds: ten years.
const maxTTL = 10 * 365 * 24 * 3600

// KVGet returns what the plugin remembers under a name: what it wrote in this
// call, or for this message before, or what is durable.
func (g *guest) KVGet(key string) ([]byte, error) {
	if err := g.checkKey(key); err != nil {
		return nil, err
	}
	for _, writes := range [][]gateway.PluginWrite{g.writes, g.look.Effects.KV} {
		for _, w := range slices.Backward(writes) {
			if w.Plugin == g.inst.ID && w.Key == key {
				return w.Value, forgotten(&w)
			}
		}
	}
	v, known, err := g.plugins.cfg.Store.PluginValue(g.ctx, g.scope, g.inst.ID, key)
	if err == nil && !known {
		err = abi.Absent
	}
	return v, err
}

func (g *guest) checkKey(key string) error {
	if !g.may(abi.PermitKV) {
		return abi.Denied
	}
	if key == "" || int64(len(key)) > g.plugins.cfg.Limits.PluginKey {
		return abi.BadArgument
	}
	return nil
}

// KVPut remembers a value, for good or for some seconds. It is durable with the
// message, if the call ends well.
func (g *guest) KVPut(key string, value []byte, ttl int64) error {
	if err := g.checkKey(key); err != nil {
		return err
	}
	lim := &g.plugins.cfg.Limits
	if int64(len(value)) > lim.PluginValue {
		return abi.TooLarge
	}
	if ttl < 0 || ttl > maxTTL {
		return abi.BadArgument
	}
	w := gateway.PluginWrite{Plugin: g.inst.ID, Key: key, Value: bytes.Clone(value)} // value is the module's memory
	if ttl > 0 {
		w.Expires = g.now.Add(time.Duration(ttl) * time.Second)
	}
	return g.write(&w)
}

// KVDelete forgets a value, or nothing if there is none. It does so with the message, if
// the call ends well.
func (g *guest) KVDelete(key string) error {
	if err := g.checkKey(key); err != nil {
		return err
	}
	return g.write(&gateway.PluginWrite{Plugin: g.inst.ID, Key: key, Delete: true})
}

// write takes a write into those of this call, in place of one before of the same key.
func (g *guest) write(w *gateway.PluginWrite) error {
	lim := &g.plugins.cfg.Limits
	rest := slices.DeleteFunc(slices.Clone(g.writes), func(o gateway.PluginWrite) bool { return o.Key == w.Key })
	count, all, mine := int64(0), int64(0), int64(0)
	add := func(o *gateway.PluginWrite) {
		size := int64(len(o.Key) + len(o.Value))
		if count, all = count+1, all+size; o.Plugin == g.inst.ID && !o.Delete {
			mine += size
		}
	}
	add(w)
	for i := range rest {
		add(&rest[i])
	}
	for i := range g.look.Effects.KV {
		add(&g.look.Effects.KV[i])
	}
	if count > lim.PluginWrites || all > lim.PluginWriteBytes {
		return abi.OverQuota
	}
	if !w.Delete { // which makes room
		if full, err := g.over(mine); err != nil {
			return err
		} else if full {
			return abi.OverQuota
		}
	}
	g.writes = slices.Concat(rest, []gateway.PluginWrite{*w})
	return nil
}

// forgotten is what reading a value is answered that was written, or deleted.
func forgotten(w *gateway.PluginWrite) error {
	if w.Delete {
		return abi.Absent
	}
	return nil
}

// over reports whether the plugin's quota has no room for more bytes. What has
// expired still counts there, so a full one is counted anew, once for a call.
func (g *guest) over(more int64) (_ bool, err error) {
	for anew := range 2 {
		if g.look.DryRun && anew == 1 { // counting anew would write it down
			return true, nil
		}
		if g.counted <= anew {
			if g.used, err = g.plugins.cfg.Store.PluginBytes(g.ctx, g.scope, g.inst.ID, anew == 1); err != nil {
				return false, err
			}
			g.counted = anew + 1
		}
		if g.used+more <= g.plugins.cfg.Limits.PluginStore {
			return false, nil
		}
	}
	return true, nil
}

// KVIncr adds to a counter, whatever becomes of the call, and answers its value. A dry
// run changes none, but sees what it would have counted.
func (g *guest) KVIncr(key string, delta, ttl int64) (int64, error) {
	if err := g.checkKey(key); err != nil {
		return 0, err
	}
	if ttl < 0 || ttl > maxTTL {
		return 0, abi.BadArgument
	}
	k := cellKey{g.inst.Domain, g.inst.ID, key}
	if !g.look.DryRun {
		return g.plugins.count(g.ctx, g.scope, k, delta, ttl, g.now)
	}
	c := g.tried[key]
	if c == nil {
		var err error
		if c, err = g.plugins.peek(g.ctx, g.scope, k); err != nil {
			return 0, err
		}
		if g.tried == nil {
			g.tried = make(map[string]*cell)
		}
		g.tried[key] = c
	}
	if delta != 0 {
		c.add(delta, ttl, g.now)
	}
	value, _ := c.at(g.now)
	return value, nil
}

// pageKeys is how many keys a page of a list has. Source: package abi.
const pageKeys = 100

// KVList is a page of the names that values are remembered under: those that begin with
// prefix and stand behind the cursor, which is the last one of the page before.
func (g *guest) KVList(prefix, cursor string) ([]byte, error) {
	lim := g.plugins.cfg.Limits.PluginKey
	switch {
	case !g.may(abi.PermitKV):
		return nil, abi.Denied
	case int64(len(prefix)) > lim || int64(len(cursor)) > lim:
		return nil, abi.BadArgument
	}
	written := make(map[string]bool) // in this call, or for this message before: false is deleted
	for _, writes := range [][]gateway.PluginWrite{g.look.Effects.KV, g.writes} {
		for i := range writes {
			if w := &writes[i]; w.Plugin == g.inst.ID && strings.HasPrefix(w.Key, prefix) && w.Key > cursor {
				written[w.Key] = !w.Delete
			}
		}
	}
	// One more than a page, and what may have been deleted of it.
	keys, err := g.plugins.cfg.Store.PluginKeys(g.ctx, g.scope, g.inst.ID, prefix, cursor, pageKeys+1+len(written))
	if err != nil {
		return nil, err
	}
	keys = slices.DeleteFunc(keys, func(k string) bool { _, again := written[k]; return again })
	for k, there := range written {
		if there {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	page := abi.KVPage{Keys: keys[:min(len(keys), pageKeys)]}
	if len(keys) > pageKeys {
		page.Next = keys[pageKeys-1]
	}
	if page.Keys == nil {
		page.Keys = []string{}
	}
	return json.Marshal(&page)
}
