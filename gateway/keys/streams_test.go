package keys

import (
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A key has so many streams and no more; one that is released makes room, and others
// have their own.
func TestEnterStream(t *testing.T) {
	k := &Keys{cfg: Config{Limits: gateway.Limits{StreamsPerKey: 2}}}
	one, other := gateway.ID{1}, gateway.ID{2}
	release, err := k.EnterStream(one)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.EnterStream(one); err != nil {
		t.Fatal(err)
	}
	if _, err := k.EnterStream(one); gateway.KindOf(err) != gateway.RateLimited || gateway.AsError(err).Limit != "streams" || gateway.AsError(err).Retry == 0 {
		t.Errorf("a third: %v", err)
	}
	if _, err := k.EnterStream(other); err != nil {
		t.Errorf("another key: %v", err)
	}
	release()
	if _, err := k.EnterStream(one); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}
