package gateway

import (
	"context"
	"runtime"
	"testing"
)

// One domain gets half of the shares, and none that waits is left in the way.
func TestShares(t *testing.T) {
	var s Shares
	var taken []Share
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		g, err := s.Take(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, g)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Take(gone, 1); err == nil {
		t.Error("a domain takes more than its share")
	}
	other, err := s.Take(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	other.Give()
	got := make(chan error, 1)
	go func() {
		g, err := s.Take(t.Context(), 1)
		if err == nil {
			g.Give()
		}
		got <- err
	}()
	for _, g := range taken {
		g.Give()
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	for d := range DomainID(2 * restingShares) {
		g, err := s.Take(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if g.Give(); d == 0 && len(s.taken) != restingShares { // the last one to go
				t.Errorf("%d domains are remembered, want %d", len(s.taken), restingShares)
			}
		}()
	}
}
