package plugins

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/plugins/sandbox"
)

// Whoever has many plugins makes room for them: nobody else's are loaded again for it.
func TestModulesMakeRoom(t *testing.T) {
	lim := gateway.DefaultLimits()
	e, err := sandbox.New(sandbox.Config{Limits: sandboxLimits(&lim)})
	if err != nil {
		t.Fatal(err)
	}
	loads := map[gateway.DomainID]int{}
	m := &modules{most: 4, loaded: make(map[[32]byte]*loaded), load: func(ctx context.Context, _ gateway.Scope, p *gateway.Plugin) (*sandbox.Module, error) {
		loads[p.Domain]++
		return e.Compile(ctx, hostile.Labeller("seen", 0, 0))
	}}
	defer func() { _ = errors.Join(m.close(t.Context()), e.Close(t.Context())) }()
	ask := func(d gateway.DomainID, code byte) {
		l, err := m.get(t.Context(), gateway.Scope{}, &gateway.Plugin{Domain: d, SHA256: [32]byte{byte(d), code}})
		if err != nil {
			t.Fatal(err)
		}
		m.release(l)
	}
	for range 3 { // alone, a domain has them all
		for code := range byte(4) {
			ask(1, code)
		}
	}
	if loads[1] != 4 {
		t.Errorf("four modules were loaded %d times", loads[1])
	}
	for range 5 {
		ask(2, 0)
		for code := range byte(10) {
			ask(1, code)
		}
	}
	if m.mu.Lock(); loads[2] != 1 || len(m.loaded) > 4+1 { // one may still be counted by who loaded it
		t.Errorf("one module was loaded %d times, and there are %d", loads[2], len(m.loaded))
	}
	m.mu.Unlock()
}

// What can't be loaded for one tenant, whose code is gone, is loaded for the other one who
// has the same; what is wrong with the code itself is for both.
func TestModulesOfOthers(t *testing.T) {
	gone := gateway.Errorf(gateway.NotFound, "the code is gone")
	unfit := &sandbox.FaultError{What: "the module takes too long to compile", Offset: -1}
	ready := &sandbox.Module{}
	tests := []struct {
		name        string
		first, then error
		loads       int
	}{{"its code is gone", gone, nil, 2}, {"the code does not fit", unfit, unfit, 1}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				read := make(chan struct{})
				loads := 0
				m := &modules{most: 1, loaded: make(map[[32]byte]*loaded), load: func(_ context.Context, _ gateway.Scope, p *gateway.Plugin) (*sandbox.Module, error) {
					loads++
					if p.Domain == 1 {
						<-read
						return nil, tt.first
					}
					return ready, nil
				}}
				ask := func(d gateway.DomainID) chan error {
					said := make(chan error, 1)
					go func() {
						l, err := m.get(t.Context(), gateway.Scope{}, &gateway.Plugin{Domain: d})
						if err == nil && l.module != ready {
							err = errors.New("it is another module")
						}
						if err == nil {
							m.release(l)
						}
						said <- err
					}()
					synctest.Wait()
					return said
				}
				one, other := ask(1), ask(2)
				close(read)
				if err := <-one; !errors.Is(err, tt.first) {
					t.Errorf("the first is told %v, want %v", err, tt.first)
				}
				if err := <-other; !errors.Is(err, tt.then) {
					t.Errorf("the other is told %v, want %v", err, tt.then)
				}
				synctest.Wait()
				if loads != tt.loads {
					t.Errorf("%d loads, want %d", loads, tt.loads)
				}
			})
		})
	}
}
