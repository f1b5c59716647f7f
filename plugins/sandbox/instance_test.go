package sandbox

import (
	"errors"
	"strings"
	"testing"
)

// An engine that fails to make an instance, for a call or for an image, ends neither the
// process nor the module.
func TestEngineFails(t *testing.T) {
	m := compile(t, newEngine(t, ""), hook(konst(0)).bytes())
	keeper := m.engine.keeper
	m.engine.keeper = nil // which it asks for memory
	_, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{})
	if _, ours := errors.AsType[*HostError](err); !ours || !strings.Contains(err.Error(), "the engine failed") {
		t.Errorf("the call ended with %v", err)
	}
	if _, err := m.takeImage(t.Context(), sampleSizes[0]); err == nil || !strings.Contains(err.Error(), "the engine failed") {
		t.Errorf("the image ended with %v", err)
	}
	m.engine.keeper = keeper
	if _, err := m.Call(t.Context(), nobody, "inbound", &fakeHost{}); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
