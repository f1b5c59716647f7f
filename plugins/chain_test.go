package plugins

import (
	"context"
	"crypto/sha256"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// moving is a store whose installation has lost its code since it was listed, and what
// it is now.
type moving struct {
	Store
	now   *gateway.Plugin
	err   error
	asked int
}

func (m *moving) Plugins(context.Context, gateway.Scope) ([]gateway.Plugin, error) {
	return []gateway.Plugin{{Enabled: true, Failure: gateway.FailClosed, Hooks: []gateway.Hook{gateway.HookInbound}, SHA256: [32]byte{1}}}, nil
}

func (m *moving) Plugin(context.Context, gateway.Scope, gateway.ID) (*gateway.Plugin, error) {
	m.asked++
	return m.now, m.err
}

func (m *moving) OpenBlob(_ context.Context, _ gateway.Scope, b gateway.Blob, _, _ int64) (io.ReadCloser, error) {
	if b.ID == 0 {
		return nil, gateway.Errorf(gateway.NotFound, "no such message")
	}
	return io.NopCloser(strings.NewReader(noModule)), nil // a fault, which its policy answers
}

const noModule = "no module"

type noLog struct{}

func (noLog) Add(gateway.Activity) {}

// A plugin that is deleted, switched off or replaced while a message passes refuses
// nothing for good.
func TestPluginMoves(t *testing.T) {
	in := []gateway.Hook{gateway.HookInbound}
	missing := gateway.Errorf(gateway.NotFound, "no such plugin")
	for _, tt := range []struct {
		name string
		now  *gateway.Plugin
		err  error
		want gateway.Action
		code int // of an error
	}{
		{"deleted", nil, missing, gateway.ActionAccept, 0},
		{"switched off", &gateway.Plugin{SHA256: [32]byte{1}, Hooks: in}, nil, gateway.ActionAccept, 0},
		{"no longer for this hook", &gateway.Plugin{Enabled: true, SHA256: [32]byte{2}}, nil, gateway.ActionAccept, 0},
		{"new code", &gateway.Plugin{Enabled: true, Failure: gateway.FailClosed, SHA256: sha256.Sum256([]byte(noModule)), Hooks: in, Code: gateway.Blob{ID: 1}}, nil, gateway.ActionTempfail, 0},
		{"its code is another's", &gateway.Plugin{Enabled: true, SHA256: [32]byte{1}, Hooks: in, Code: gateway.Blob{ID: 1}}, nil, "", 451},
		{"its code is lost", &gateway.Plugin{Enabled: true, SHA256: [32]byte{1}, Hooks: in}, nil, "", 451},
		{"the store fails", nil, io.ErrUnexpectedEOF, "", 451},
	} {
		m := &moving{now: tt.now, err: tt.err}
		p, err := New(Config{
			Store: m, Activity: noLog{}, Internal: func(gateway.DomainID) gateway.Scope { return gateway.Scope{} }, CheckHeaders: func([]gateway.HeaderField) error { return nil }, ParseAddress: content.ParseAddress, CheckMail: func(*gateway.Compose) error { return nil }, CacheDir: t.TempDir(), Limits: gateway.DefaultLimits(),
		})
		if err != nil {
			t.Fatal(err)
		}
		v, err := p.Inbound(t.Context(), gateway.Scope{}, &gateway.Look{
			Message: &gateway.Message{}, Effects: &gateway.Effects{}, Until: time.Now().Add(time.Minute),
		})
		code := 0
		if err != nil {
			e := gateway.AsError(err)
			if code = e.Code; e.Kind.Reply().Permanent() {
				t.Errorf("%s: %v is for good", tt.name, err)
			}
		}
		if v.Action != tt.want || code != tt.code || m.asked != 1 {
			t.Errorf("%s: %q %v, asked %d times; want %q, code %d", tt.name, v.Action, err, m.asked, tt.want, tt.code)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
