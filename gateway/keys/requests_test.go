package keys

import (
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Each class has a limit in the table by its name, and counts against that.
func TestClasses(t *testing.T) {
	for _, c := range Classes() {
		lim := gateway.DefaultLimits()
		found := false
		for _, row := range gateway.LimitTable {
			if row.Name == c.String() {
				found = true
				*row.Field(&lim) = 2
			}
		}
		k, err := New(Config{Store: &memory{}, Limits: lim})
		if err != nil {
			t.Fatal(err)
		}
		var left []int64
		for range 2 {
			a, err := k.Count(gateway.ID{1}, c)
			if err != nil {
				t.Errorf("%s: %v", c, err)
			}
			left = append(left, a.Left)
		}
		a, err := k.Count(gateway.ID{1}, c)
		if e := gateway.AsError(err); !found || fmt.Sprint(left) != "[1 0]" || e.Kind != gateway.RateLimited || e.Limit != "requests" || e.Retry != a.Reset {
			t.Errorf("%s: in the table %v, left %v, then %v", c, found, left, err)
		}
	}
}

// A window opens with a key's first request and ends after its minute; other keys
// and classes have their own; 0 is no limit; idle windows go.
func TestRequests(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	lim := gateway.DefaultLimits()
	lim.RequestsRead, lim.RequestsSend, lim.RequestsChange = 2, 1, 0
	k, err := New(Config{Store: &memory{}, Limits: lim, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	ann, bob := gateway.ID{1}, gateway.ID{2}
	for _, tt := range []struct {
		after time.Duration
		key   gateway.ID
		class Class
		left  int64
		reset time.Duration
		ok    bool
	}{
		{0, ann, Reads, 1, time.Minute, true},
		{10 * time.Second, ann, Reads, 0, 50 * time.Second, true},
		{20 * time.Second, ann, Reads, 0, 30 * time.Second, false},
		{0, bob, Reads, 1, time.Minute, true},
		{0, ann, Sends, 0, time.Minute, true},
		{0, ann, Changes, 0, 0, true},
		{0, ann, Uncounted, 0, 0, true},
		{30*time.Second - 1, ann, Reads, 0, 1, false},
		{1, ann, Reads, 1, time.Minute, true},
		{-time.Hour, ann, Reads, 1, time.Minute, true}, // a clock that was put back
	} {
		now = now.Add(tt.after)
		a, err := k.Count(tt.key, tt.class)
		if a.Left != tt.left || a.Reset != tt.reset || (err == nil) != tt.ok {
			t.Errorf("%+v: %+v, %v", tt, a, err)
		}
	}
	now = now.Add(2 * time.Hour)
	k.flush(t.Context())
	if n := len(k.requests.windows); n != 0 {
		t.Errorf("%d windows of quiet keys are kept", n)
	}
}
