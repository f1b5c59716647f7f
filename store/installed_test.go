package store

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// What is remembered stays within its bound, and its size is counted right.
func TestInstalledBound(t *testing.T) {
	var i installed
	for d := range gateway.DomainID(1000) {
		all := make([]gateway.Plugin, d%4)
		for n := range all {
			all[n].Config = map[string]string{fmt.Sprint(n): strings.Repeat("x", 10_000)}
		}
		_, _, changes := i.get(d)
		i.keep(d, all, changes)
		if d%7 == 0 {
			i.forget(d)
		}
		if _, known, _ := i.get(d); known != (d%7 != 0) {
			t.Fatalf("domain %d: %v", d, known)
		}
		if i.bytes > installedBytes {
			t.Fatalf("%d bytes", i.bytes)
		}
	}
	if len(i.by) < 100 {
		t.Errorf("only %d domains are kept", len(i.by))
	}
	for d := range i.by {
		i.forget(d)
	}
	if i.bytes != 0 {
		t.Errorf("%d bytes of nothing", i.bytes)
	}
	_, _, changes := i.get(1)
	i.forget(2)
	if i.keep(1, nil, changes); len(i.by) != 0 {
		t.Error("what was read before a change is kept")
	}
}
