package rest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/keys"
)

// What a domain's keys and the operator's may change of it.
func TestUpdateDomain(t *testing.T) {
	c := newClient(t)
	path := "/domains/" + gatewaytest.Domain
	for _, tt := range []struct {
		name, key, body string
		status          int
		field           string
		want            map[string]any
	}{
		{"as it is made", c.g.Keys.Domain, `{}`, 200, "", map[string]any{"catch_all": false, "tls": "opportunistic", "rate_limit": 0.0, "recipient_limit": 0.0}},
		{"by its key", c.g.Keys.Domain, `{"catch_all":true,"tls":"enforced"}`, 200, "", map[string]any{"catch_all": true, "tls": "enforced"}},
		{"limits by its key", c.g.Keys.Domain, `{"rate_limit":5}`, 403, "rate_limit", nil},
		{"limits of recipients by its key", c.g.Keys.Domain, `{"recipient_limit":0,"catch_all":false}`, 403, "recipient_limit", nil},
		{"limits by the operator", c.g.Keys.Admin, `{"rate_limit":2,"recipient_limit":100}`, 200, "", map[string]any{"catch_all": true, "rate_limit": 2.0, "recipient_limit": 100.0}},
		{"below none", c.g.Keys.Admin, `{"rate_limit":-1}`, 422, "rate_limit", nil},
		{"another policy", c.g.Keys.Domain, `{"tls":"never"}`, 422, "tls", nil},
		{"an account's key", c.g.Keys.Account, `{"catch_all":false}`, 403, "", nil},
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
	for range 2 {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email("to", "anybody@demo.localhost"))
	}
	if a := c.do(429, "POST", "/emails", c.g.Keys.Domain, email()); a.Str("limit") != "domain_emails" {
		t.Errorf("the limit: %v", a)
	}
	c.do(200, "PATCH", path, c.g.Keys.Admin, `{"rate_limit":3}`)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	c.do(429, "POST", "/emails", c.g.Keys.Domain, email())
	c.do(200, "PATCH", path, c.g.Keys.Admin, `{"rate_limit":0}`)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	c.total(2, "?email=anybody@demo.localhost", c.g.Keys.Domain)
}

// A domain shows what to publish; of its signing keys the public half, which fits
// the private one that the store keeps.
func TestDomainRecords(t *testing.T) {
	c := newClient(t)
	made := c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"mail.example"}`)
	again := c.do(200, "GET", "/domains/mail.example", c.g.Keys.Admin, nil)
	if fmt.Sprint(made["records"]) != fmt.Sprint(again["records"]) {
		t.Errorf("made with %v, then shown with %v", made["records"], again["records"])
	}
	ctx := context.Background()
	d, err := c.g.Domains.Get(ctx, keys.System(), "mail.example")
	if err != nil {
		t.Fatal(err)
	}
	private, err := c.g.Store.SigningKeys(ctx, keys.System(), d.ID)
	if err != nil || len(private) != 2 {
		t.Fatal(private, err)
	}
	var kinds []string
	for i := range made["records"].([]any) {
		at := fmt.Sprintf("records.%d.", i)
		kinds = append(kinds, made.Str(at+"record"))
		if made.Str(at+"status") != "unchecked" {
			t.Errorf("%s is %q", made.Str(at+"name"), made.Str(at+"status"))
		}
		if made.Str(at+"record") == "DKIM" {
			fitsPrivate(t, made.Str(at+"name"), made.Str(at+"value"), private)
		}
	}
	if got := strings.Join(kinds, " "); got != "ownership SPF DKIM DKIM DMARC MX" {
		t.Errorf("records: %s", got)
	}
	old := &gateway.Domain{UUID: gateway.ID{1}, Name: "old.example", Status: gateway.DomainVerified} // made before there were keys
	if err := c.g.Store.CreateDomain(ctx, keys.System(), old); err != nil {
		t.Fatal(err)
	}
	first := c.do(200, "GET", "/domains/old.example", c.g.Keys.Admin, nil)
	if second := c.do(200, "GET", "/domains/old.example", c.g.Keys.Admin, nil); first.Str("records.2.record") != "DKIM" || second.Str("records.2.value") != first.Str("records.2.value") {
		t.Errorf("at first look %v, then %v", first["records"], second["records"])
	}
}

func fitsPrivate(t *testing.T, name, value string, all []gateway.SigningKey) {
	t.Helper()
	for _, k := range all {
		if name != k.Selector+"._domainkey.mail.example" {
			continue
		}
		p, ok := strings.CutPrefix(value, "v=DKIM1; k="+k.Algorithm+"; p=")
		public, err := base64.StdEncoding.DecodeString(p)
		if !ok || err != nil {
			t.Fatalf("%s: %v", value, err)
		}
		private, err := x509.ParsePKCS8PrivateKey([]byte(k.Private.Reveal()))
		if err != nil {
			t.Fatal(err)
		}
		switch private := private.(type) {
		case ed25519.PrivateKey:
			ok = private.Public().(ed25519.PublicKey).Equal(ed25519.PublicKey(public))
		case *rsa.PrivateKey:
			shown, err := x509.ParsePKIXPublicKey(public)
			ok = err == nil && private.PublicKey.Equal(shown) && private.N.BitLen() == 2048
		}
		if !ok {
			t.Errorf("%s is not the public half of the key of %s", value, k.Selector)
		}
		return
	}
	t.Errorf("no key is kept for %s", name)
}

// A domain is verified by what it publishes, record by record; who is not of the domain
// learns and changes nothing.
func TestVerifyDomain(t *testing.T) {
	clock, dns := &clock{at: time.Now()}, gatewaytest.ServeDNS(t)
	c := newClient(t, gatewaytest.Setting("dns.servers", dns.Addr), gatewaytest.Setting("server.hostname", "mail.example"), gatewaytest.Clock(clock.now))
	dns.Publish("mail.example. A 192.0.2.1\nmail.example. AAAA 2001:db8::1\n")
	d := c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"shop.example"}`)
	key := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"domain":"shop.example"}`).Str("token")
	path := "/domains/" + d.Str("id")
	is := func(a gatewaytest.Answer, status, records string) {
		t.Helper()
		var got []string
		for i := range a["records"].([]any) {
			got = append(got, a.Str(fmt.Sprintf("records.%d.status", i)))
		}
		if a.Str("status") != status || strings.Join(got, " ") != records {
			t.Errorf("%s, %s; want %s, %s: %v", a.Str("status"), got, status, records, a)
		}
	}
	look := func() gatewaytest.Answer {
		t.Helper()
		clock.add(11 * time.Second) // answers of DNS that old are not believed
		return c.do(200, "POST", path+"/verify", key, nil)
	}
	is(d, "not_started", "unchecked unchecked unchecked unchecked unchecked unchecked")
	is(look(), "pending", "pending pending pending pending pending pending")
	c.do(403, "POST", "/emails", key, email("from", "a@shop.example"))
	c.do(404, "POST", path+"/verify", c.g.Keys.Domain, nil)
	c.do(403, "POST", path+"/verify", c.g.Keys.Account, nil)

	for i := range 4 { // ownership, SPF and both keys
		at := fmt.Sprintf("records.%d.", i)
		dns.TXT(d.Str(at+"name"), d.Str(at+"value"))
	}
	dns.Publish("shop.example. MX 5 mx.elsewhere.example.\nshop.example. TXT \"something else\"\n_dmarc.shop.example. TXT \"v=DMARC1; p=maybe\"")
	a := look()
	is(a, "partially_verified", "verified failed verified verified failed failed")
	if a.Str("records.5.seen.0") != "5 mx.elsewhere.example" || a.Str("records.5.reason") == "" || a.At("capabilities.sending") != true || a.At("capabilities.receiving") != false {
		t.Errorf("%v", a)
	}
	c.do(200, "POST", "/emails", key, email("from", "a@shop.example"))

	dns.Publish("shop.example. MX 10 MAIL.example.")
	dns.Withdraw("_dmarc.shop.example")
	dns.Publish(`_dmarc.shop.example. TXT "v=DMARC1; " "p=reject; rua=mailto:x@shop.example"`)
	is(look(), "verified", "verified verified verified verified verified verified")
	is(c.do(200, "GET", path, key, nil), "verified", "verified verified verified verified verified verified")

	dns.Fail(true)
	is(look(), "verified", "pending pending pending pending pending pending")
	dns.Fail(false)
	dns.Withdraw("_postern.shop.example")
	is(look(), "verified", "pending verified verified verified verified verified")
	ctx := context.Background()
	for day := range 4 { // by itself
		clock.add(24*time.Hour + time.Minute)
		if err := c.g.Domains.CheckDue(ctx); err != nil {
			t.Fatalf("day %d: %v", day, err)
		}
	}
	is(c.do(200, "GET", path, key, nil), "failed", "pending verified verified verified verified verified")
	c.do(403, "POST", "/emails", key, email("from", "a@shop.example"))
	rows := c.do(200, "GET", "/logs?protocol=system", key, nil)
	var reasons []string
	for i := range rows["data"].([]any) {
		reasons = append(reasons, strings.Split(rows.Str(fmt.Sprintf("data.%d.reason", i)), ",")[0])
	}
	if got := strings.Join(reasons, " "); got != "failed verified partially_verified pending" {
		t.Errorf("rows: %s", got)
	}
}

// Without a DNS resolver that is what the answer says, and nothing changes.
func TestVerifyWithoutResolver(t *testing.T) {
	c := newClient(t)
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"shop.example"}`)
	if a := c.do(409, "POST", "/domains/shop.example/verify", c.g.Keys.Admin, nil); a.Str("name") != "invalid_state" || !strings.Contains(a.Str("message"), "dns.servers") {
		t.Errorf("%v", a)
	}
	if a := c.do(200, "GET", "/domains/shop.example", c.g.Keys.Admin, nil); a.Str("status") != "not_started" {
		t.Errorf("%v", a)
	}
}
