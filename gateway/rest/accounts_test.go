package rest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
)

// total waits until a list of emails counts n.
func (c *client) total(n int, query, key string) {
	c.Helper()
	gatewaytest.Eventually(c.T, fmt.Sprint(query, " lists ", n), func() bool {
		status, a := c.g.Do("GET", "/emails"+query, key, nil)
		return status == 200 && a.At("total") == float64(n)
	})
}

// An account's name, aliases and quota change; what is not said stays.
func TestUpdateAccount(t *testing.T) {
	c := newClient(t)
	key, path := c.g.Keys.Domain, "/accounts/ann@demo.localhost"
	c.do(201, "POST", "/accounts", key, `{"email":"ann@demo.localhost","name":"Ann","aliases":["a1@demo.localhost"],"quota_bytes":1000}`)
	for _, tt := range []struct {
		name, key, body string
		status          int
		field           string
		want            map[string]any
	}{
		{"name", key, `{"name":"Anna"}`, 200, "", map[string]any{"name": "Anna", "aliases.0": "a1@demo.localhost", "quota_bytes": 1000.0, "used_bytes": 0.0}},
		{"aliases", key, `{"aliases":["a2@demo.localhost","A3@demo.localhost"]}`, 200, "", map[string]any{"name": "Anna", "aliases.0": "a2@demo.localhost", "aliases.1": "a3@demo.localhost"}},
		{"no quota", c.g.Keys.Admin, `{"quota_bytes":0}`, 200, "", map[string]any{"quota_bytes": 0.0}},
		{"nothing", key, `{}`, 200, "", map[string]any{"name": "Anna"}},
		{"negative", key, `{"quota_bytes":-1}`, 422, "quota_bytes", nil},
		{"name of two lines", key, `{"name":"a\nb"}`, 422, "name", nil},
		{"another domain's alias", key, `{"aliases":["x@example.com"]}`, 403, "aliases", nil},
		{"another account's alias", key, `{"aliases":["bot@demo.localhost"]}`, 409, "", nil},
		{"twice", key, `{"aliases":["x@demo.localhost","x@demo.localhost"]}`, 422, "aliases", nil},
		{"an account's key", c.g.Keys.Account, `{"name":"x"}`, 403, "", nil},
		{"no more aliases", key, `{"aliases":[]}`, 200, "", map[string]any{"aliases.0": nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := c.in(t)
			a := c.do(tt.status, "PATCH", path, tt.key, tt.body)
			if got := a.Str("errors.0.path"); got != tt.field {
				t.Errorf("field %q, want %q", got, tt.field)
			}
			for at, want := range tt.want {
				if got := a.At(at); got != want {
					t.Errorf("%s: %v, want %v", at, got, want)
				}
			}
		})
	}
	c.do(404, "PATCH", "/accounts/a2@demo.localhost", key, `{"name":"x"}`)
	c.do(404, "PATCH", "/accounts/nobody@demo.localhost", key, `{"name":"x"}`)
	c.do(422, "POST", "/accounts", key, `{"email":"bob@demo.localhost","quota_bytes":-1}`)
	c.do(201, "POST", "/accounts", key, `{"email":"a1@demo.localhost"}`) // it is nobody's any more
}

// The accounts of a domain come in pages.
func TestAccountPages(t *testing.T) {
	c := newClient(t)
	want := []string{gatewaytest.Account}
	for i := range 4 {
		want = append(want, fmt.Sprintf("u%d@demo.localhost", i))
		c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"`+want[i+1]+`"}`)
	}
	var got []string
	after, more := "", true
	for pages := 0; more; pages++ {
		a := c.do(200, "GET", "/accounts?limit=2"+after, c.g.Keys.Domain, nil)
		for i := range a["data"].([]any) {
			got = append(got, a.Str(fmt.Sprintf("data.%d.email", i)))
		}
		after, more = "&after="+got[len(got)-1], a.At("has_more").(bool)
		if pages > 5 {
			t.Fatal("the pages don't end")
		}
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%v, want %v", got, want)
	}
	c.do(422, "GET", "/accounts?after=nobody@demo.localhost", c.g.Keys.Domain, nil)
	c.do(422, "GET", "/accounts?limit=x", c.g.Keys.Domain, nil)
	if a := c.do(200, "GET", "/accounts", c.g.Keys.Account, nil); len(a["data"].([]any)) != 1 || a.At("has_more") != false {
		t.Errorf("an account's key sees %v", a)
	}
}

// A deleted account is gone at every door, and whoever was inside is put out.
func TestDeleteAccount(t *testing.T) {
	c := newClient(t)
	g := c.g
	c.do(201, "POST", "/accounts", g.Keys.Domain, `{"email":"ann@demo.localhost","aliases":["sales@demo.localhost"]}`)
	made := c.do(201, "POST", "/api-keys", g.Keys.Domain, `{"email":"ann@demo.localhost"}`)
	key := made.Str("token")
	c.do(200, "POST", "/emails", key, email("from", "ann@demo.localhost", "to", []string{gatewaytest.Account, "ann@demo.localhost", "x@example.com"}))
	c.total(1, "", key)
	c.total(1, "", g.Keys.Account)
	id := c.do(200, "GET", "/emails", key, nil).Str("data.0.email_id")
	own, _ := listen(t, g, key, "", "")
	byDomain, _ := listen(t, g, g.Keys.Domain, "?email=ann@demo.localhost", "")
	other, _ := listen(t, g, g.Keys.Domain, "?email="+gatewaytest.Account, "")
	imap := g.Dial(t, "imaps")
	imap.Script("S: \\* OK\nC: a LOGIN ann@demo.localhost " + g.Keys.Domain + "\nS~ a OK\nC: b SELECT INBOX\nS~ b OK")

	c.do(403, "DELETE", "/accounts/ann@demo.localhost", g.Keys.Account, nil)
	if a := c.do(200, "DELETE", "/accounts/sales@demo.localhost", g.Keys.Domain, nil); a.Str("email") != "ann@demo.localhost" {
		t.Errorf("%v", a)
	}
	for _, l := range []*listener{own, byDomain} {
		for range l.events { // until it ends
		}
	}
	for line, ok := imap.Line(); ok; line, ok = imap.Line() {
		if !strings.HasPrefix(line, "* ") {
			t.Errorf("IMAP goes on with %q", line)
		}
	}
	c.do(401, "GET", "/emails", key, nil)
	c.do(404, "GET", "/accounts/ann@demo.localhost", g.Keys.Domain, nil)
	c.do(404, "DELETE", "/accounts/ann@demo.localhost", g.Keys.Domain, nil)
	c.do(404, "GET", "/emails/"+id, g.Keys.Domain, nil)
	mx := g.Dial(t, "mx")
	mx.Script("S: 220\nC: EHLO x\nS~ 250 \\w\nC: MAIL FROM:<x@client.example>\nS: 250\nC: RCPT TO:<sales@demo.localhost>\nS: 550 5.1.1\nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250\nC: QUIT\nS: 221")
	all := c.do(200, "GET", "/api-keys", g.Keys.Domain, nil) // the key stays in the list, for the log
	revoked := false
	for i := range all["data"].([]any) {
		at := fmt.Sprintf("data.%d.", i)
		revoked = revoked || all.Str(at+"id") == made.Str("id") && all.At(at+"revoked_at") != nil && all.At(at+"email") == nil
	}
	if !revoked {
		t.Errorf("its key: %v", all)
	}
	other.close()
	c.total(1, "", g.Keys.Account) // what it sent stays where it arrived
	c.do(201, "POST", "/accounts", g.Keys.Domain, `{"email":"ann@demo.localhost"}`)
	c.total(0, "?email=ann@demo.localhost", g.Keys.Domain)
}

// While an account is being erased, which may take long, its domain sees its other plugins.
func TestPluginsOfClosedAccount(t *testing.T) {
	c := newClient(t, withPlugins()...)
	made := c.do(201, "POST", "/accounts", c.g.Keys.Domain, `{"email":"ann@demo.localhost"}`)
	form, contentType := module(t, "hers")
	hers := c.push(201, "/plugins?email=ann@demo.localhost", c.g.Keys.Domain, form, contentType).Str("id")
	mine := c.install(c.g.Keys.Domain, "wide")
	d, err := c.g.Store.DomainByName(t.Context(), keys.System(), gatewaytest.Domain)
	if err != nil {
		t.Fatal(err)
	}
	a, err := c.g.Store.Account(t.Context(), keys.System(), d.ID, made.Str("email"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.g.Store.CloseAccount(t.Context(), keys.System(), d.ID, a.ID); err != nil {
		t.Fatal(err)
	}
	if a := c.do(200, "GET", "/plugins", c.g.Keys.Domain, nil); len(a["data"].([]any)) != 1 || a.Str("data.0.id") != mine {
		t.Errorf("%v", a)
	}
	c.do(404, "GET", "/plugins/"+hers, c.g.Keys.Domain, nil)
}
