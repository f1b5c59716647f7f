package rest_test

import (
	"fmt"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// An operator sees how far the search index has come, of an account and of all, and has
// it made again.
func TestSearchIndex(t *testing.T) {
	c := newClient(t)
	for i := range 5 {
		c.do(200, "POST", "/emails", c.g.Keys.Account, email("from", gatewaytest.Account, "to", gatewaytest.Account, "text", fmt.Sprint("letter ", i)))
	}
	admin, path := c.g.Keys.Admin, "/search?email="+gatewaytest.Account
	whole := func() bool {
		a := c.do(200, "GET", path, admin, nil)
		return a.At("behind") == 0.0 && a.At("messages") == 10.0 // sent and received
	}
	gatewaytest.Eventually(t, "the index knows all", whole)
	all := c.do(200, "GET", "/search", admin, nil)
	if all.At("messages") != 10.0 || all.At("email") != nil || all.Str("object") != "search_index" {
		t.Errorf("of all: %v", all)
	}
	for _, again := range []string{"/search/rebuild?email=" + gatewaytest.Account, "/search/rebuild"} {
		before := c.do(202, "POST", again, admin, nil)
		if before.At("messages").(float64)+before.At("behind").(float64) < 10 {
			t.Errorf("after %s: %v", again, before)
		}
		gatewaytest.Eventually(t, "it is made again", whole)
	}
	for _, unknown := range []string{"nobody@demo.localhost", "nonsense"} {
		c.do(404, "GET", "/search?email="+unknown, admin, nil)
		c.do(404, "POST", "/search/rebuild?email="+unknown, admin, nil)
	}
}
