package outbound_test

import (
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/outbound"
)

// Recipients of one message travel together; two reports to one site never do, although
// neither is of an email: each has bytes of its own.
func TestTrips(t *testing.T) {
	mail, other := gateway.ID{1}, gateway.ID{2}
	d := func(id byte, email gateway.ID, path string) gateway.Delivery {
		return gateway.Delivery{ID: gateway.ID{0xd, id}, Email: email, ReturnPath: path}
	}
	for _, tt := range []struct {
		name   string
		leased []gateway.Delivery
		want   int
	}{
		{"one message", []gateway.Delivery{d(1, mail, "a@x"), d(2, mail, "a@x")}, 1},
		{"two return paths", []gateway.Delivery{d(1, mail, "a@x"), d(2, mail, "")}, 2},
		{"two messages", []gateway.Delivery{d(1, mail, "a@x"), d(2, other, "a@x")}, 2},
		{"two reports", []gateway.Delivery{d(1, gateway.ID{}, ""), d(2, gateway.ID{}, "")}, 2},
	} {
		if got := outbound.Trips(tt.leased); len(got) != tt.want {
			t.Errorf("%s: %d trips, want %d", tt.name, len(got), tt.want)
		}
	}
}
