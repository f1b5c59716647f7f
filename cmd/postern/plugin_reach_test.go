package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
)

// asks installs a plugin that makes a request when mail has arrived, and may ask one host,
// in so much time.
func (t tenant) asks(name, url, host string, millis int) (id string) {
	t.Helper()
	status, a := t.uploadOf(http.DefaultClient, map[string]any{
		"v": 1, "name": name, "hooks": []string{"event"}, "permissions": []string{"http"}, "http_hosts": []string{host},
		"limits": map[string]int{"millis": millis},
	}, hostile.Asker(`{"url":"`+url+`"}`))
	if status != 201 {
		t.Fatalf("%s: %d %v", url, status, a)
	}
	t.change(a.Str("id"), map[string]any{"status": "enabled"})
	return a.Str("id")
}

// said is what a plugin said, and what was said of it.
func (t tenant) said(id string) (all string) {
	t.Helper()
	a := t.want(200, "GET", "/plugins/"+id+"/logs?limit=100", t.key, nil)
	list, _ := a["data"].([]any)
	for i := range list {
		all += a.Str(fmt.Sprintf("data.%d.text", i)) + "\n"
	}
	return all
}

// A tenant's plugin asks the host that its manifest names, and no other, however it writes
// or is led to it; a server that says too much or nothing costs the neighbour no time and
// the gateway no memory.
func TestHostileHTTP(t *testing.T) {
	var inside atomic.Int64
	secret := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		inside.Add(1)
		_, _ = io.WriteString(w, "secret")
	}))
	defer secret.Close()
	const patient, hasty = 30_000, 300 // milliseconds
	block, asked, goOn := make([]byte, 64<<10), make(chan struct{}, 100), make(chan struct{})
	open := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/bomb":
			for {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		case "/silent":
			asked <- struct{}{}
			select {
			case <-goOn:
			case <-r.Context().Done():
			}
		case "/away":
			http.Redirect(w, r, secret.URL, http.StatusFound)
		default:
			_, _ = io.WriteString(w, "an answer")
		}
	}))
	defer open.Close()
	host, other := strings.TrimPrefix(open.URL, "http://"), strings.TrimPrefix(secret.URL, "http://")
	_, port, _ := net.SplitHostPort(other)
	r := newRig(t)
	from := r.rival.peer()
	for _, tt := range []struct {
		name, url string
		millis    int
		says      string
	}{
		{"named", open.URL, patient, "an answer"},
		{"not-named", secret.URL, patient, "http_hosts do not name"},
		{"led-away", open.URL + "/away", patient, ">Found</a>"},
		{"as-user", "http://" + host + "@" + other, patient, "http"},
		{"decimal", "http://2130706433:" + port, patient, "http"},
		{"mapped", "http://[::ffff:127.0.0.1]:" + port, patient, "http"},
		{"link-local", "http://169.254.169.254/latest/meta-data", patient, "http_hosts do not name"},
		{"bomb", open.URL + "/bomb", patient, "the plugin failed"},
		{"silent", open.URL + "/silent", hasty, "the plugin failed"},
	} {
		id := r.rival.asks(tt.name, tt.url, host, tt.millis)
		r.rival.deliver(from, tt.name, "")
		gatewaytest.Eventually(t, tt.name, func() bool {
			return r.rival.plugin(id).At("stats.calls") == 1.0 && strings.Contains(r.rival.said(id), tt.says)
		})
		if said := r.rival.said(id); strings.Contains(said, "secret") || tt.name != "named" && strings.Contains(said, "an answer") {
			t.Errorf("%s: %s", tt.name, said)
		}
		r.want(200, "DELETE", "/plugins/"+id, r.rival.key, nil)
	}
	if n := inside.Load(); n != 0 {
		t.Errorf("%d requests came to a host that no manifest names", n)
	}
	<-asked
	silent := r.rival.asks("silent", open.URL+"/silent", host, patient)
	for range 20 {
		r.rival.deliver(from, "wait", "")
	}
	<-asked
	mail := r.victim.peer()
	for i := range 20 { // while they wait
		if reply := r.victim.deliver(mail, fmt.Sprint("meanwhile", i), ""); !strings.HasPrefix(reply, "250") {
			t.Fatalf("%q", reply)
		}
	}
	if n := r.rival.plugin(silent).At("stats.calls"); n != 0.0 {
		t.Errorf("%v calls ended before that", n)
	}
	close(goOn)
	gatewaytest.Eventually(t, "they end", func() bool { return r.rival.plugin(silent).At("stats.calls") == 20.0 })
	const most = 300 << 20
	if peak := r.peak(); peak > most {
		t.Errorf("%d MiB were resident", peak>>20)
	}
	r.stop()
}

// Two gateways whose plugins answer each other stop after one answer; two that send to each
// other whatever comes stop at what they may send in an hour.
func TestHostileLoops(t *testing.T) {
	const hourly = 5
	dns, toA, toB := gatewaytest.ServeDNS(t), gatewaytest.NewForward(t), gatewaytest.NewForward(t)
	env := func(next string) []string {
		return []string{"POSTERN_DELIVERY_MODE=relay", "POSTERN_DELIVERY_SMARTHOST=" + next, "POSTERN_DNS_SERVERS=" + dns.Addr, fmt.Sprint("POSTERN_LIMITS_PLUGIN_SENDS_HOUR=", hourly)}
	}
	a, b := loner(t, dns, "a.example", env(toB.Addr)...), loner(t, dns, "b.example", env(toA.Addr)...)
	toA.Leads(a.banner.MX)
	toB.Leads(b.banner.MX)
	writes := func() {
		a.want(200, "POST", "/emails", a.key, map[string]any{"from": a.account, "to": b.account, "subject": "hello", "text": "hello"})
	}
	quiet := func() bool {
		for _, s := range []tenant{a, b} {
			if list, _ := s.want(200, "GET", "/queue?limit=1", s.key, nil)["data"].([]any); len(list) > 0 {
				return false
			}
		}
		return true
	}
	count := func(s tenant, folder string) (n int) {
		for _, mails := range s.folder(folder) {
			n += len(mails)
		}
		return n
	}
	answers := hostile.Says(`{"reply":{"text":"thank you"}}`)
	ids := []string{a.install("bot", answers, nil), b.install("bot", answers, nil)}
	writes()
	gatewaytest.Eventually(t, "the letter is answered, the answer is not", func() bool {
		return count(a, "INBOX") == 1 && strings.Contains(a.said(ids[0]), "no reply") && quiet()
	})
	if out, back := count(a, "Sent"), count(b, "Sent"); out != 1 || back != 1 {
		t.Errorf("%d mails of a, %d of b", out, back)
	}
	a.change(ids[0], map[string]any{"status": "disabled"})
	b.change(ids[1], map[string]any{"status": "disabled"})

	letter := `{"from":"%s","to":["%s"],"subject":"again","text":"x"}`
	a.install("sender", hostile.Sends(fmt.Sprintf(letter, a.account, b.account)), nil)
	b.install("sender", hostile.Sends(fmt.Sprintf(letter, b.account, a.account)), nil)
	writes()
	again := func(s tenant) int { return len(s.folder("Sent")["again"]) }
	gatewaytest.Eventually(t, "both have sent what they may", func() bool { return again(a) == hourly && again(b) == hourly && quiet() })
	gatewaytest.Eventually(t, "the last one is there", func() bool { return len(b.folder("INBOX")["again"]) == hourly })
	if n, m := again(a), again(b); n != hourly || m != hourly {
		t.Errorf("%d mails of a, %d of b", n, m)
	}
	a.stop()
	b.stop()
}

// loner is a real binary with one more domain, whose signatures others can check, and the
// owner of that.
func loner(t *testing.T, dns *gatewaytest.DNS, domain string, env ...string) tenant {
	t.Helper()
	r := newRig(t, env...)
	a := r.want(201, "POST", "/domains", r.keys.Admin, map[string]any{"name": domain, "verified": true})
	for i := range a["records"].([]any) {
		if at := fmt.Sprintf("records.%d.", i); a.Str(at+"record") == "DKIM" {
			dns.TXT(a.Str(at+"name"), a.Str(at+"value"))
		}
	}
	r.want(201, "POST", "/accounts", r.keys.Admin, map[string]any{"email": "bot@" + domain})
	key := r.want(201, "POST", "/api-keys", r.keys.Admin, map[string]any{"domain": domain})
	return tenant{r, key.Str("token"), "bot@" + domain}
}
