package outbound_test

import (
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/outbound"
)

// held is what holds the only delivery of a message, or how far it is.
func (l *lab) held(m *gateway.Message) string {
	l.Helper()
	all, err := l.store.Deliveries(l.Context(), keys.Internal(l.domain.ID), m.Domain, m.Account, m.Number)
	l.ok(err)
	if len(all) != 1 {
		l.Fatalf("%d deliveries", len(all))
	}
	if all[0].State != gateway.DeliveryHeld {
		return string(all[0].State)
	}
	return string(all[0].Held)
}

// settle lets the queue's index do what is due, but for attempts.
func (l *lab) settle() (leased int) {
	l.Helper()
	for range 3 { // what held it lets go, then it is taken
		found, err := l.store.LeaseDue(l.Context(), keys.System(), 10, gateway.LeaseTime)
		l.ok(err)
		leased += len(found)
	}
	_, err := l.store.Check(l.Context(), keys.System(), func(what string) { l.Errorf("the store: %s", what) })
	l.ok(err)
	return leased
}

// What a plugin holds until a time leaves then by itself, and not before: unless it is
// scheduled for later, or foreign mail that is captured.
func TestHoldUntil(t *testing.T) {
	const hour = time.Hour
	for _, tt := range []struct {
		name      string
		until, at time.Duration // from now; 0: none
		foreign   bool
		want      []string // at once, and after each of the next hours
	}{
		{"for good", 0, 0, false, []string{"plugin", "plugin", "plugin", "plugin"}},
		{"an hour", hour, 0, false, []string{"plugin", "leased", "leased", "leased"}},
		{"past", -hour, 0, false, []string{"leased", "leased", "leased", "leased"}},
		{"scheduled for later", hour, 2 * hour, false, []string{"plugin", "scheduled", "leased", "leased"}},
		{"scheduled before", 2 * hour, hour, false, []string{"plugin", "plugin", "leased", "leased"}},
		{"scheduled then, too", hour, hour, false, []string{"plugin", "leased", "leased", "leased"}},
		{"captured", hour, 0, true, []string{"plugin", "capture", "capture", "capture"}},
		{"captured, scheduled for later", hour, 2 * hour, true, []string{"plugin", "scheduled", "capture", "capture"}},
		{"captured, for good", 0, hour, true, []string{"plugin", "plugin", "plugin", "plugin"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLab(t)
			l.verdict.Action = gateway.ActionHold
			if tt.until != 0 {
				l.verdict.Until = l.now().Add(tt.until)
			}
			m := l.submitTo(outbound.Submission{At: atOrNever(l.now(), tt.at)}, tt.foreign)
			for i, want := range tt.want {
				if i > 0 {
					l.later(hour)
				}
				if l.settle(); l.held(m) != want {
					t.Fatalf("after %d hours: %s, want %s", i, l.held(m), want)
				}
			}
		})
	}
}

func atOrNever(now time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return now.Add(d)
}

func (l *lab) submitTo(sub outbound.Submission, foreign bool) *gateway.Message {
	l.Helper()
	to := gateway.Address{Addr: "bob@a.test"}
	if foreign {
		to.Addr = "eve@b.test"
	}
	sub.Compose = &gateway.Compose{From: gateway.Address{Addr: "ann@a.test"}, To: []gateway.Address{to}, Subject: "Hello", Text: "hi"}
	got, err := l.Submit(l.Context(), keys.Internal(l.domain.ID), sub)
	l.ok(err)
	m, err := l.store.Message(l.Context(), keys.Internal(l.domain.ID), got.ID)
	l.ok(err)
	return m
}

// Who releases it by hand has it leave, or wait for its own time and for nothing else. An
// operator may hold it for longer than the plugin would; and a hold has its limit.
func TestHoldUntilByHand(t *testing.T) {
	l := newLab(t)
	inside := keys.Internal(l.domain.ID)
	l.verdict = gateway.Verdict{Action: gateway.ActionHold, Until: l.now().Add(3 * time.Hour)}
	now, later := l.submitTo(outbound.Submission{}, false), l.submitTo(outbound.Submission{At: l.now().Add(time.Hour)}, false)
	kept, gone := l.submitTo(outbound.Submission{}, false), l.submitTo(outbound.Submission{}, false)
	l.ok(l.Release(t.Context(), inside, now))
	l.ok(l.Release(t.Context(), inside, later))
	l.ok(l.Cancel(t.Context(), inside, gone))
	all, err := l.store.Deliveries(t.Context(), inside, kept.Domain, kept.Account, kept.Number)
	l.ok(err)
	if d, err := l.HoldDelivery(t.Context(), keys.System(), inside, all[0].ID); err != nil || d.Held != gateway.HeldOperator || !d.Until.IsZero() {
		t.Errorf("an operator holds it: %+v %v", d, err)
	}
	for i, want := range []string{"leased scheduled operator canceled", "leased leased operator canceled", "", "", "leased leased operator canceled"} {
		if i > 0 {
			l.later(time.Hour)
		}
		if l.settle(); want == "" {
			continue
		}
		if got := l.held(now) + " " + l.held(later) + " " + l.held(kept) + " " + l.held(gone); got != want {
			t.Errorf("after %d hours: %s, want %s", i, got, want)
		}
	}
	l.verdict.Until = l.now().AddDate(9, 0, 0)
	far := l.submitTo(outbound.Submission{}, false)
	l.later(time.Duration(gateway.DefaultLimits().PluginHoldDays)*24*time.Hour - time.Second)
	l.settle()
	before := l.held(far)
	l.later(time.Second)
	if l.settle(); before != "plugin" || l.held(far) != "leased" {
		t.Errorf("held for years: %s, then %s", before, l.held(far))
	}
}
