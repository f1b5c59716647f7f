package store

import (
	"reflect"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

func TestPluginRecord(t *testing.T) {
	at := func(n int64) time.Time { return time.UnixMilli(n).UTC() }
	kept := gateway.PluginVersion{
		Version: "1", SHA256: [32]byte{1}, Code: gateway.Blob{Domain: 2, ID: 7, Size: 9, SHA256: [32]byte{1}}, Hooks: []gateway.Hook{gateway.HookThread},
		Asks: []string{"kv", "raw"}, Grants: []string{"kv"}, CreatedAt: at(1000), PluginReach: gateway.PluginReach{TickSeconds: 60}, SignedBy: "a2V5",
	}
	want := gateway.Plugin{
		ID: gateway.ID{3}, Domain: 2, Account: 4, Name: "filter", Enabled: true, Priority: -5, Failure: gateway.FailClosed, Grants: []string{"raw"},
		Config: map[string]string{"a": "1"}, Secrets: map[string]gateway.Secret{"b": "hush"}, Version: "2", SHA256: [32]byte{2},
		Code: gateway.Blob{Domain: 2, ID: 8, Size: 9, SHA256: [32]byte{2}}, Hooks: []gateway.Hook{gateway.HookInbound}, Asks: []string{"raw"},
		PluginReach: gateway.PluginReach{
			HTTPHosts: []string{"a.example", "*.b.example"}, Events: []gateway.EventType{gateway.EventSent}, TickSeconds: 90,
			Limits: gateway.PluginLimits{Millis: 1, Fuel: 2, Memory: 3},
		},
		SignedBy: "a2V5Mg==", CodeAt: at(2000), Kept: []gateway.PluginVersion{kept}, CreatedAt: at(500), UpdatedAt: at(3000),
	}
	got, err := decodePlugin(want.Domain, want.ID, encodePlugin(&want))
	if err != nil || !reflect.DeepEqual(*got, want) {
		t.Errorf("%v: %+v\nwant %+v", err, got, want)
	}
}

// What was stored before versions were kept has one, from when it was installed.
func TestPluginRecordFromBefore(t *testing.T) {
	e := newRecord(64)
	e.text(2, "filter")
	e.text(8, "1")
	e.bytes(9, make([]byte, 32))
	e.text(11, string(gateway.HookInbound))
	e.texts(12, []string{"kv"})
	e.time(13, time.UnixMilli(500))
	e.time(14, time.UnixMilli(900))
	p, err := decodePlugin(2, gateway.ID{3}, e.b)
	if err != nil {
		t.Fatal(err)
	}
	all := p.Versions()
	if len(all) != 1 || all[0].Version != "1" || all[0].CreatedAt.UnixMilli() != 500 || len(p.Secrets) != 0 || p.Secrets == nil {
		t.Errorf("%+v", p)
	}
}
