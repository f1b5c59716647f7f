package notify

import (
	"errors"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// sequences waits for n events of whatever account.
func sequences(t *testing.T, f gateway.Follower, n int) (seqs []uint64) {
	t.Helper()
	for {
		events, err := f.Next(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			seqs = append(seqs, e.Sequence)
		}
		if len(seqs) >= n {
			return seqs
		}
		if len(events) == 0 {
			select {
			case <-f.Wake():
			case <-t.Context().Done():
				t.Fatal("nothing came")
			}
		}
	}
}

// Who follows a domain hears of every account, and of what is of none.
func TestFollowDomain(t *testing.T) {
	s := &fakeStore{}
	s.add(1)
	h := newHub(t, s)
	domain := gateway.NewScope(gateway.LevelDomain, 1, 0, gateway.ID{})
	f, err := h.FollowDomain(t.Context(), domain, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	s.add(1)
	s.add(2)
	s.add(0)
	if got := sequences(t, f, 3); len(got) != 3 || got[0] != 2 || got[2] != 4 {
		t.Errorf("got %v", got)
	}
	f.Close()
	after := uint64(1)
	if f, err = h.FollowDomain(t.Context(), domain, 1, &after); err != nil {
		t.Fatal(err)
	}
	if got := sequences(t, f, 3); got[0] != 2 {
		t.Errorf("resumed: %v", got)
	}
	f.Close()
	after = 99
	if _, err = h.FollowDomain(t.Context(), domain, 1, &after); !errors.Is(err, gateway.ErrTrimmed) {
		t.Errorf("from the future: %v", err)
	}
	for name, scope := range map[string]gateway.Scope{"an account": of(1), "another domain": gateway.NewScope(gateway.LevelDomain, 2, 0, gateway.ID{}), "nobody": {}} {
		if _, err := h.FollowDomain(t.Context(), scope, 1, nil); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The newest events come first, an account's own for an account, and the feed may have
// been cut.
func TestRecentEvents(t *testing.T) {
	s := &fakeStore{}
	for i := range 2 * recentEvents {
		s.add(gateway.AccountID(i%2 + 1))
	}
	h := newHub(t, s)
	domain := gateway.NewScope(gateway.LevelDomain, 1, 0, gateway.ID{})
	for _, tt := range []struct {
		name        string
		scope       gateway.Scope
		account     gateway.AccountID
		most, want  int
		first, last uint64
	}{
		{"a domain", domain, 0, 3, 3, 2 * recentEvents, 2*recentEvents - 2},
		{"an account", of(1), 1, 3, 3, 2*recentEvents - 1, 2*recentEvents - 5},
		{"all that is in reach", of(1), 1, recentEvents, recentEvents / 2, 2*recentEvents - 1, recentEvents + 1},
	} {
		got, err := h.Recent(t.Context(), tt.scope, 1, tt.account, tt.most)
		if err != nil || len(got) != tt.want || got[0].Sequence != tt.first || got[len(got)-1].Sequence != tt.last {
			t.Errorf("%s: %d events, %v", tt.name, len(got), err)
		}
	}
	s.trim(2*recentEvents - 2)
	if got, err := h.Recent(t.Context(), domain, 1, 0, 10); err != nil || len(got) != 2 || got[0].Sequence != 2*recentEvents {
		t.Errorf("of a feed that was cut: %v, %v", got, err)
	}
	for name, scope := range map[string]gateway.Scope{"an account": of(1), "another domain": gateway.NewScope(gateway.LevelDomain, 2, 0, gateway.ID{}), "nobody": {}} {
		if _, err := h.Recent(t.Context(), scope, 1, 0, 10); gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	if s.open != 0 {
		t.Errorf("%d feeds are open", s.open)
	}
}
