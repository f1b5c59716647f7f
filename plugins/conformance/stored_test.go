package conformance

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// labellers label mail that was received, and nothing else that happens.
var labellers = map[string]string{
	"Rust": `
#[macro_use]
mod postern;
use postern::*;
on_stored!(|m| { kv::incr(&m.mailbox(), 1, 0)?; Ok(accept().label("seen")) });
`,
	"C": `
#include "postern.h"
static postern_verdict *stored(void) {
	if (postern_kv_incr(postern_mailbox(), 1, 0) < 0) return 0;
	postern_verdict *v = postern_accept();
	postern_label(v, "seen");
	return v;
}
POSTERN_ON_STORED(stored)
`,
	"AssemblyScript": `
import { KV, accept, onStored } from "./postern";
export { postern_init } from "./postern";
export function postern_event(): i32 {
  return onStored((m) => KV.incr(m.mailbox(), 1, 0) < 0 ? null : accept().label("seen"));
}
`,
}

// A hook for mail that was received is asked of nothing else, and fails as its import did.
func TestOnStored(t *testing.T) {
	for i := range languages {
		l := &languages[i]
		if l.sdk == "" {
			continue // package sdk has such a test of its own
		}
		t.Run(l.name, func(t *testing.T) {
			l.need(t)
			wasm, err := l.compile([]byte(labellers[l.name]))
			if err != nil {
				t.Fatal(err)
			}
			m, err := engine.Compile(t.Context(), wasm)
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close(context.Background())
			for _, tt := range []struct {
				event  string
				errno  abi.Errno
				labels []string
				fails  string
			}{{event: "email.received", labels: []string{"seen"}}, {event: "email.bounced"}, {event: "email.received", errno: abi.OverQuota, fails: "status"}} {
				h := newHost()
				h.event.Type = tt.event
				if tt.errno != 0 {
					h.errnos["kv_incr"] = tt.errno
				}
				_, err := m.Call(t.Context(), nobody, abi.HookEvent, h)
				var v abi.Verdict
				if h.verdict != "" && json.Unmarshal([]byte(h.verdict), &v) != nil || !failedAs(err, tt.fails) || !slices.Equal(v.Labels, tt.labels) {
					t.Errorf("%s: %v, %s", tt.event, err, h.verdict)
				}
			}
		})
	}
}
