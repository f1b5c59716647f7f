package rest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/rest"
)

// asked are the routes that only /resend has, and those whose ids are of another kind.
var asked = map[string]target{
	"listSent":     {path: "/emails?email={bot}", ok: 200},
	"listReceived": {path: "/emails/receiving?email={bot}", ok: 200},
	"getReceived":  {path: "/emails/receiving/{email}?email={bot}", ok: 200},
}

// The walls stand under /resend, too: who may not, gets the refusal that Resend's clients
// know, and learns nothing.
func TestResendWalls(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, failAtOnce(gatewaytest.Clock(clock.now))...)
	callers, w := c.callers(clock), c.world()
	n := 0
	for _, r := range rest.ResendRoutes() {
		to, ok := asked[r.Operation]
		if !ok {
			if to, ok = targets[r.Operation]; !ok {
				t.Fatalf("%s %s has no target", r.Method, r.Path)
			}
		}
		fresh := ""
		if to.fresh != nil {
			fresh = to.fresh(c, callers[0], n+5000)
		}
		for _, who := range callers {
			status := 0
			switch {
			case who.refused == "missing_api_key":
				status = 401
			case who.refused != "":
				status = 403
			case !r.Allows(&who.key):
				status = 401
			case !who.stranger || to.own:
				continue // what they get is the test of the clients
			}
			n++
			path := strings.NewReplacer("{fresh}", fresh).Replace(to.path)
			body := strings.NewReplacer("{fresh}", fresh, "{change}", `{"is_read":true}`).Replace(to.body)
			for name, v := range w {
				path, body = strings.ReplaceAll(path, name, v), strings.ReplaceAll(body, name, v)
			}
			got, a := c.g.Do(r.Method, "/resend"+path, who.token, body)
			want := []int{status}
			if status == 0 {
				want = []int{401, 403, 404}
			}
			if !slices.Contains(want, got) || strings.Contains(fmt.Sprint(a), "Secret subject") {
				t.Errorf("%s asks %s %s: %d %.200s, want %v", who.name, r.Method, path, got, fmt.Sprint(a), want)
			}
		}
	}
	if n < 300 {
		t.Errorf("only %d questions were asked", n)
	}
}

// Pages of what was sent and of what arrived go on by id, over accounts, and name nobody
// else's.
func TestResendPages(t *testing.T) {
	c := newClient(t)
	c.do(201, "POST", "/accounts", c.g.Keys.Admin, `{"email":"eve@demo.localhost"}`)
	for range 3 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email("from", gatewaytest.Account, "to", "eve@demo.localhost"))
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email("from", "eve@demo.localhost", "to", gatewaytest.Account))
	}
	c.eventually("/emails?email="+gatewaytest.Account, "total", 3.0)
	c.eventually("/emails?email=eve@demo.localhost", "total", 3.0)
	walk := func(path, key string) (ids []string) {
		after := ""
		for {
			status, a := c.g.Do("GET", "/resend"+path+"?limit=2"+after, key, nil)
			if status != 200 {
				t.Fatalf("%d %v", status, a)
			}
			data, _ := a["data"].([]any)
			for i := range data {
				ids = append(ids, data[i].(map[string]any)["id"].(string))
			}
			if a["has_more"] != true {
				return ids
			}
			after = "&after=" + ids[len(ids)-1]
		}
	}
	for path, want := range map[string]int{"/emails": 6, "/emails/receiving": 6} {
		ids := walk(path, c.g.Keys.Domain)
		if slices.Sort(ids); len(slices.Compact(ids)) != want {
			t.Errorf("%s: %d of the domain, want %d", path, len(ids), want)
		}
		if ids := walk(path, c.g.Keys.Account); len(ids) != want/2 {
			t.Errorf("%s: %d of the account", path, len(ids))
		}
	}
	for query, want := range map[string]int{"?after=x": 422, "?before=" + gateway.ID{1}.String(): 404, "?before=x": 422, "?after=" + gateway.ID{1}.String(): 404} {
		if status, a := c.g.Do("GET", "/resend/emails"+query, c.g.Keys.Account, nil); status != want {
			t.Errorf("%s: %d %v", query, status, a)
		}
	}
	theirs := walk("/emails", c.g.Keys.Domain)
	mine := walk("/emails", c.g.Keys.Account)
	for _, id := range theirs {
		if !slices.Contains(mine, id) {
			if status, _ := c.g.Do("GET", "/resend/emails?after="+id, c.g.Keys.Account, nil); status != 404 {
				t.Errorf("a page behind another account's email: %d", status)
			}
		}
	}
}
