package plugintest

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins"
)

// memory is the store of one plugin, which goes with its process. It satisfies
// plugins.Store and plugins.Activity; scopes mean nothing to it.
type memory struct {
	plugins.Store // nil: the rest of it, which nobody asks when a plugin is tried

	plugin gateway.Plugin
	code   []byte
	values map[string]gateway.PluginWrite
}

func (m *memory) Add(gateway.Activity) {}

func (m *memory) Plugins(context.Context, gateway.Scope) ([]gateway.Plugin, error) {
	return []gateway.Plugin{m.plugin}, nil
}

func (m *memory) Plugin(context.Context, gateway.Scope, gateway.ID) (*gateway.Plugin, error) {
	p := m.plugin
	return &p, nil
}

func (m *memory) InstallPlugin(_ context.Context, _ gateway.Scope, p *gateway.Plugin, _ bool) (gateway.Plugin, bool, error) {
	m.plugin = *p
	return m.plugin, true, nil
}

func (m *memory) PluginValue(_ context.Context, _ gateway.Scope, _ gateway.ID, key string) ([]byte, bool, error) {
	w, ok := m.values[key]
	return w.Value, ok && !gone(&w), nil
}

// gone reports whether a value's time is over.
func gone(w *gateway.PluginWrite) bool { return !w.Expires.IsZero() && !w.Expires.After(time.Now()) }

func (m *memory) PluginKeys(_ context.Context, _ gateway.Scope, _ gateway.ID, prefix, after string, most int) (keys []string, err error) {
	for _, key := range slices.Sorted(maps.Keys(m.values)) {
		if w := m.values[key]; strings.HasPrefix(key, prefix) && key > after && !gone(&w) && len(keys) < most {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (m *memory) PluginCounter(context.Context, gateway.Scope, gateway.ID, string) (c gateway.PluginCounter, ok bool, err error) {
	return c, false, nil
}

func (m *memory) PluginCounters(context.Context, gateway.Scope, gateway.ID, int) (int, error) {
	return 0, nil
}

func (m *memory) SetPluginCounters(context.Context, gateway.Scope, gateway.DomainID, []gateway.PluginCounter) error {
	return nil
}

func (m *memory) PluginBytes(context.Context, gateway.Scope, gateway.ID, bool) (sum int64, err error) {
	for key, w := range m.values {
		sum += int64(len(key) + len(w.Value))
	}
	return sum, nil
}

func (m *memory) CreateBlob(context.Context, gateway.Scope, gateway.DomainID, int64) (gateway.BlobWriter, error) {
	return &blob{memory: m}, nil
}

func (m *memory) OpenBlob(context.Context, gateway.Scope, gateway.Blob, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.code)), nil
}

// blob is a body that is written into memory.
type blob struct {
	*memory
	code []byte
}

func (b *blob) Write(p []byte) (int, error) {
	b.code = append(b.code, p...)
	return len(p), nil
}

func (b *blob) Seal() (gateway.Blob, error) {
	b.memory.code = b.code
	return gateway.Blob{Size: int64(len(b.code))}, nil
}

func (b *blob) Close() error { return nil }
