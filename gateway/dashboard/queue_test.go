package dashboard_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

const queueOf = "/ui/domains/" + gatewaytest.Domain + "/queue"

// chosen are the ids of the deliveries on a page of the queue.
func (a answer) chosen() (ids []string) {
	for _, m := range regexp.MustCompile(`name="id" value="([0-9a-f-]{36})"`).FindAllStringSubmatch(a.body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// choose is a form that does one thing about deliveries.
func choose(do string, ids ...string) (fields []string) {
	fields = []string{"do", do}
	for _, id := range ids {
		fields = append(fields, "id", id)
	}
	return fields
}

// Captured mail is shown, and leaves when an operator releases it; a domain's key may not.
func TestQueueOfCapturedMail(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	g := gatewaytest.Start(t, gatewaytest.Hosts(gatewaytest.ServeDNS(t), map[string]*gatewaytest.MX{"example.com": mx}), gatewaytest.Setting("delivery.mode", "capture"))
	ours, admin := signedIn(t, g, g.Keys.Domain), signedIn(t, g, g.Keys.Admin)
	ours.get(queueOf).wants(t, 200, "No delivery waits")
	send(t, g, g.Keys.Domain, "a@example.com")
	send(t, g, g.Keys.Domain, "b@example.com")
	page := ours.get(queueOf).wants(t, 200, "a@example.com", "b@example.com", "held</span> captured", "when released", "2 waiting for other hosts")
	ids := page.chosen()
	if len(ids) != 2 {
		t.Fatalf("ids %v", ids)
	}
	ours.post(queueOf, choose("release", ids...)...).wants(t, 403, `role="alert"`, "only an operator releases")
	ours.get(queueOf+"/"+ids[0]).wants(t, 200, "Only an operator releases it", "a@example.com")

	admin.get("/ui/queue").wants(t, 200, gatewaytest.Domain, `<td class="num">2</td>`)
	admin.post(queueOf, choose("release", append(ids, ids[0])...)...).wants(t, 303)
	admin.get(queueOf).wants(t, 200, "2 deliveries released. 1 could not be: ")
	gatewaytest.Eventually(t, "both arrive", func() bool { return len(mx.Mail()) == 2 })
	gatewaytest.Eventually(t, "the queue is empty", func() bool { return strings.Contains(ours.get(queueOf).body, "No delivery waits") })
	ours.get(queueOf+"/"+ids[0]).wants(t, 200, "delivered", "What became of it", "250")
}

// triedTimes reports whether the one delivery that waits was tried so often, and is not
// being tried at this moment.
func triedTimes(page answer, n int) bool {
	return strings.Contains(page.body, `<span class="mark wait">queued</span>`) && strings.Contains(page.body, fmt.Sprintf(`<td class="num">%d</td>`, n)) &&
		strings.Contains(page.body, "451 4.3.0 come back later")
}

// What waits because its host has no time is held, let go, tried at once, and ended.
func TestQueueOfLateMail(t *testing.T) {
	mx := gatewaytest.ServeMX(t)
	busy := "451 4.3.0 come back later"
	mx.Answer(func(command string) string {
		if strings.HasPrefix(command, "RCPT") {
			return busy
		}
		return ""
	})
	g := gatewaytest.Start(t, gatewaytest.Hosts(gatewaytest.ServeDNS(t), map[string]*gatewaytest.MX{"example.com": mx}))
	ours, admin := signedIn(t, g, g.Keys.Domain), signedIn(t, g, g.Keys.Admin)
	send(t, g, g.Keys.Domain, "late@example.com")
	var page answer
	gatewaytest.Eventually(t, "an attempt failed", func() bool {
		page = ours.get(queueOf)
		return triedTimes(page, 1)
	})
	id := page.chosen()[0]
	ours.get(queueOf+"/"+id).wants(t, 200, "in ", "Try now", "late@example.com", "What became of it")

	ours.post(queueOf, choose("hold", id)...).wants(t, 303)
	ours.get(queueOf).wants(t, 200, "1 delivery held.", "held by the domain")
	ours.post(queueOf, choose("hold", id)...).wants(t, 409, "held already")
	ours.post(queueOf, choose("retry", id)...).wants(t, 409, "the delivery is held")
	for query, shown := range map[string]bool{
		"?state=held": true, "?state=queued": false, "?reason=domain": true, "?reason=capture": false, "?site=example.com": true, "?site=example.org": false,
	} {
		if got := strings.Contains(ours.get(queueOf+query).wants(t, 200).body, "late@example.com"); got != shown {
			t.Errorf("%s shows it: %v", query, got)
		}
	}
	ours.post(queueOf, choose("release", id)...).wants(t, 303)
	gatewaytest.Eventually(t, "it was tried again", func() bool { return triedTimes(ours.get(queueOf), 2) })
	ours.post(queueOf, choose("retry", id)...).wants(t, 303)
	gatewaytest.Eventually(t, "and again", func() bool { return triedTimes(ours.get(queueOf), 3) })

	if a := ours.get(queueOf+"/"+id+"/end").wants(t, 200, "End this delivery?", "late@example.com", "Keep it"); strings.Contains(a.body, "Drop it") {
		t.Error("a domain's key is offered to drop it")
	}
	ours.post(queueOf+"/"+id+"/end", "do", "drop").wants(t, 403)
	ours.post(queueOf+"/"+id+"/end", "do", "cancel").wants(t, 303)
	ours.get(queueOf).wants(t, 200, "The delivery to late@example.com was canceled.", "No delivery waits")
	ours.post(queueOf+"/"+id+"/end", "do", "cancel").wants(t, 409, "has ended")

	send(t, g, g.Keys.Domain, "lost@example.com")
	gatewaytest.Eventually(t, "it waits", func() bool {
		page = ours.get(queueOf)
		return triedTimes(page, 1)
	})
	id = page.chosen()[0]
	admin.get(queueOf+"/"+id+"/end").wants(t, 200, "Drop it", "nobody hears of it")
	admin.post(queueOf+"/"+id+"/end", "do", "drop").wants(t, 303)
	admin.get(queueOf+"/"+id).wants(t, 404)
}

// Forms that say nothing, or too much, are told so.
func TestQueueMistakes(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	id := "01900000-0000-7000-8000-000000000000"
	many := make([]string, 51)
	for i := range many {
		many[i] = id
	}
	for name, c := range map[string]struct {
		fields []string
		status int
		says   string
	}{
		"nothing to do":     {choose("burn", id), 422, "Choose what to do"},
		"nothing chosen":    {choose("hold"), 422, "Choose at least one"},
		"too many":          {choose("hold", many...), 422, "at most 50"},
		"one that is gone":  {choose("hold", id), 404, "no such delivery"},
		"one without an id": {choose("hold", "x"), 404, "no such delivery"},
	} {
		t.Run(name, func(t *testing.T) { b.post(queueOf, c.fields...).wants(t, c.status, c.says, `role="alert"`) })
	}
	b.get(queueOf+"?state=nonsense").wants(t, 422)
	b.get(queueOf+"?after=nonsense").wants(t, 422)
}

// A queue goes on page by page.
func TestQueuePages(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Setting("delivery.mode", "capture"))
	b := signedIn(t, g, g.Keys.Domain)
	for range 51 {
		send(t, g, g.Keys.Domain, "somebody@elsewhere.example")
	}
	page := b.get(queueOf+"?state=held").wants(t, 200)
	next := regexp.MustCompile(`<a href="(\?[^"]+)" rel="next">`).FindStringSubmatch(page.body)
	if next == nil || len(page.chosen()) != 50 {
		t.Fatalf("%d deliveries, next %q", len(page.chosen()), next)
	}
	last := b.get(queueOf+strings.ReplaceAll(next[1], "&amp;", "&")).wants(t, 200)
	if n := len(last.chosen()); n != 1 || strings.Contains(last.body, `rel="next"`) {
		t.Errorf("the last page has %d deliveries", n)
	}
}

// Nobody sees, or does anything about, what another domain sends.
func TestQueueWalls(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Setting("delivery.mode", "capture"))
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	_, theirs := g.Do("POST", "/api-keys", g.Keys.Admin, `{"name":"theirs","domain":"other.localhost"}`)
	send(t, g, g.Keys.Domain, "secret@elsewhere.example")
	id := signedIn(t, g, g.Keys.Domain).get(queueOf).chosen()[0]
	other, account := signedIn(t, g, theirs.Str("token")), signedIn(t, g, g.Keys.Account)
	base := "/ui/domains/other.localhost/queue"
	for name, b := range map[string]*browser{"another domain": other, "an account": account} {
		for _, path := range []string{queueOf, queueOf + "/" + id, queueOf + "/" + id + "/end", base + "/" + id, base + "/" + id + "/end", "/ui/queue"} {
			if a := b.get(path); a.status != 404 || strings.Contains(a.body, "secret") {
				t.Errorf("%s: GET %s: %d", name, path, a.status)
			}
			if a := b.post(path, choose("cancel", id)...); a.status != 404 {
				t.Errorf("%s: POST %s: %d", name, path, a.status)
			}
		}
	}
	other.post(base, choose("hold", id)...).wants(t, 404)
	if a := other.get(base).wants(t, 200); strings.Contains(a.body, "secret") {
		t.Error("another domain's queue shows it")
	}
}
