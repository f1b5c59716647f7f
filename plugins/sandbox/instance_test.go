package sandbox

import (
	"errors"
	"strings"
	"testing"
)

// An engine that fails to make an instance ends neither the process nor the module.
func TestEngineFails(t *testing.T) {
	m := compile(t, newEngine(t, ""), hook(konst(0)).bytes())
	keeper := m.engine.keeper
	m.engine.keeper = nil // which it asks for memory
	_, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{})
	if _, ours := errors.AsType[*HostError](err); !ours || !strings.Contains(err.Error(), "the engine failed") {
		t.Errorf("the call ended with %v", err)
	}
	m.engine.keeper = keeper
	if _, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
