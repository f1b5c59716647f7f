package gatewaytest_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
)

// What is kept for a time goes after it: the stream of an account that was away
// too long says so, the log is empty, and Trash empties itself at the start.
func TestRetention(t *testing.T) {
	began := time.Now()
	clock := &movingClock{at: began}
	g := gatewaytest.Start(t, gatewaytest.Clock(clock.now), gatewaytest.Setting("retention.feed_days", "2"),
		gatewaytest.Setting("retention.activity_days", "3"), gatewaytest.Setting("retention.trash_days", "4"))
	send(t, g, g.Keys.Domain, mail("ann@demo.localhost", gatewaytest.Account, "To be read"))
	send(t, g, g.Keys.Domain, mail("ann@demo.localhost", gatewaytest.Account, "To be deleted"))
	inbox(t, g, gatewaytest.Account, 2)
	if status, a := g.Do("DELETE", "/emails/2?folder=INBOX", g.Keys.Account, nil); status != 200 || a.At("folder") != "Trash" {
		t.Fatalf("DELETE: %d %v", status, a)
	}
	day := 24 * time.Hour
	for _, tt := range []struct {
		after   time.Duration
		trimmed bool
		rows    bool
		trash   float64
	}{
		{2*day - time.Minute, false, true, 1},
		{2*day + time.Minute, true, true, 1},
		{3*day + time.Minute, true, false, 1},
		{4*day + time.Minute, true, false, 0},
	} {
		clock.set(began.Add(tt.after))
		g.Restart() // empties Trash at the start
		d, err := g.Store.DomainByName(t.Context(), keys.System(), gatewaytest.Domain)
		if err != nil {
			t.Fatal(err)
		}
		feed, err := g.Store.Events(keys.System(), d.ID, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = feed.Next(t.Context(), 1000)
		feed.Close()
		if errors.Is(err, gateway.ErrTrimmed) != tt.trimmed {
			t.Errorf("after %v the feed says %v", tt.after, err)
		}
		rows, _, err := g.Store.Activity(t.Context(), keys.System(), gateway.ActivityFilter{Domain: d.ID, Until: began.Add(day), Limit: 100})
		if err != nil || (len(rows) > 0) != tt.rows {
			t.Errorf("after %v the log has %d rows, %v", tt.after, len(rows), err)
		}
		if tt.trash == 0 {
			gatewaytest.Eventually(t, "Trash empties itself", func() bool { return strings.Contains(g.Log.String(), `"trash emptied","messages":1`) })
		}
		status, a := g.Do("GET", "/emails?folder=Trash", g.Keys.Account, nil)
		if status != 200 || a.At("total") != tt.trash {
			t.Errorf("after %v: %d %v, want %v in Trash", tt.after, status, a, tt.trash)
		}
	}
	inbox(t, g, gatewaytest.Account, 1)
}
