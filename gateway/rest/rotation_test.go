package rest_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// Rotation as the guide has it, under load: a new key is made while eight clients
// send with the old one, they change over, and the old one is revoked. Nothing is
// refused before that; then the old key is, within a second; and all that was
// accepted is there. Source: API guide, "Key Rotation".
func TestRotation(t *testing.T) {
	const clients, least = 8, 5 // emails of each client with each key, at least
	c := newClient(t, gatewaytest.Limit("key_messages", "0"), gatewaytest.Limit("key_recipients", "0"))
	old := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"name":"old"}`)
	var (
		key           atomic.Value          // the token that clients use
		accepted      sync.Map              // message id -> subject
		before, after [clients]atomic.Int64 // sends of each with the old key, the new one
		all           sync.WaitGroup
		stop          = make(chan struct{})
		oldKey        = old.Str("token")
	)
	end := sync.OnceFunc(func() { close(stop); all.Wait() })
	defer end()
	key.Store(oldKey)
	for i := range clients {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				with, subject := key.Load().(string), fmt.Sprint(i, " ", n)
				status, a := c.g.Do("POST", "/emails", with, email("from", gatewaytest.Account, "subject", subject))
				if status != 200 {
					t.Errorf("client %d, email %d: %d %v", i, n, status, a)
					return
				}
				accepted.Store(a.Str("id"), subject)
				if with == oldKey {
					before[i].Add(1)
				} else {
					after[i].Add(1)
				}
			}
		})
	}
	each := func(n *[clients]atomic.Int64, most int64) bool {
		for i := range n {
			if n[i].Load() < most {
				return false
			}
		}
		return true
	}
	gatewaytest.Eventually(t, "sends with the old key", func() bool { return each(&before, least) })
	key.Store(c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"name":"new"}`).Str("token"))
	gatewaytest.Eventually(t, "sends with the new key", func() bool { return each(&after, least) })
	// Every client has changed over: no send with the old key is under way.
	c.do(200, "DELETE", "/api-keys/"+old.Str("id"), c.g.Keys.Domain, nil)
	revoked := time.Now()
	if status, a := c.g.Do("POST", "/emails", oldKey, email()); status != 401 || time.Since(revoked) > 20*time.Second {
		t.Errorf("the old key: %d after %v, %v", status, time.Since(revoked), a)
	}
	most := int64(0)
	for i := range after {
		most = max(most, after[i].Load())
	}
	gatewaytest.Eventually(t, "sends go on", func() bool { return each(&after, most+1) })
	end()
	found := make(map[string]bool)
	for path, more := "/emails?folder=Sent&limit=100", true; more; {
		a, last := c.do(200, "GET", path, c.g.Keys.Account, nil), ""
		for i := range a["data"].([]any) {
			last = a.Str(fmt.Sprintf("data.%d.email_id", i))
			found[last] = true
		}
		path, more = "/emails?folder=Sent&limit=100&after="+last, a.At("has_more") == true
	}
	sent := 0
	accepted.Range(func(id, subject any) bool {
		if sent++; !found[id.(string)] {
			t.Errorf("email %v is lost: %v", subject, id)
		}
		return true
	})
	if len(found) != sent {
		t.Errorf("%d emails were accepted, %d are in Sent", sent, len(found))
	}
}
