package plugins_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// Robustness 8: whatever it deletes, a plugin deletes what it remembers itself.
func TestRobustness8Deletes(t *testing.T) {
	c := start(t)
	mine := c.install("puppet", "", map[string]any{"config": map[string]string{"only": "put", "key": "secret"}})
	c.arrive("x kept")
	c.g.Do("PATCH", "/plugins/"+mine, c.key, map[string]any{"config": map[string]string{"only": "nothing"}})
	rival := c.rival()
	for i, key := range []string{"secret", "../secret", "../puppet/secret", mine + "/secret", strings.ReplaceAll(mine, "-", "") + "secret", "\x00secret", "demo.localhost/secret"} {
		c.put(fmt.Sprint("delete-", i), "?email="+gatewaytest.Account, hostile.Deleter(key), abi.PermitKV)
		rival.put(fmt.Sprint("delete-", i), "", hostile.Deleter(key), abi.PermitKV)
	}
	c.arrive("delete")
	c.arrive("delete", "spy@rival.example")
	for _, who := range []*tenant{c, rival} {
		_, a := who.g.Do("GET", "/plugins", who.key, nil)
		for _, one := range a["data"].([]any) {
			p := gatewaytest.Answer(one.(map[string]any))
			if strings.HasPrefix(p.Str("name"), "delete-") && (p.At("stats.calls") != 1.0 || p.At("stats.errors") != 0.0) {
				t.Errorf("it was not asked, or failed: %v", p)
			}
		}
	}
	c.g.Do("PATCH", "/plugins/"+mine, c.key, map[string]any{"config": map[string]string{"only": "get", "key": "secret"}})
	c.arrive("x")
	c.want("what it remembers", c.heard(mine), `got "kept" true ""`)
}
