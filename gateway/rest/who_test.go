package rest_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/rest"
)

// target is how one route is asked about what the account bot@demo.localhost has. In
// path and body, {name} stands for an object of the world; {fresh} is made anew for
// each caller who may use it up.
type target struct {
	path, body string
	ok         int                                       // who may, gets
	own        bool                                      // everybody else who may gets that too: it is about their own
	named      bool                                      // it names the domain: so it is for everybody of that
	fresh      func(c *client, who caller, n int) string // its id, or a name
}

const anEmail = `{"from":"bot@demo.localhost","to":"x@demo.localhost","subject":"x","text":"x"}`

// targets has a line for each route.
var targets = map[string]target{
	"sendEmail":           {path: "/emails", body: anEmail, ok: 200},
	"sendBatch":           {path: "/emails/batch", body: "[" + anEmail + "]", ok: 200},
	"listEmails":          {path: "/emails?email={bot}", ok: 200},
	"streamEmails":        {path: "/emails/stream?email={bot}", ok: 200},
	"createStreamToken":   {path: "/emails/stream/token", body: `{"email":"{bot}"}`, ok: 200},
	"listThreads":         {path: "/emails/threads?email={bot}", ok: 200},
	"getThread":           {path: "/emails/threads/{thread}?email={bot}", ok: 200},
	"getEmail":            {path: "/emails/{email}?email={bot}", ok: 200},
	"updateEmail":         {path: "/emails/{fresh}?email={bot}", body: `{change}`, ok: 200, fresh: scheduledMail},
	"deleteEmail":         {path: "/emails/{fresh}?email={bot}", ok: 200, fresh: scheduledMail},
	"cancelEmail":         {path: "/emails/{fresh}/cancel?email={bot}", ok: 200, fresh: scheduledMail},
	"sendStoredEmail":     {path: "/emails/{fresh}/send?email={bot}", ok: 200, fresh: draftMail},
	"getRawEmail":         {path: "/emails/{email}/raw?email={bot}", ok: 200},
	"getTrace":            {path: "/emails/{email}/trace?email={bot}", ok: 200},
	"listAttachments":     {path: "/emails/{email}/attachments?email={bot}", ok: 200},
	"getAttachment":       {path: "/emails/{email}/attachments/{file}?email={bot}", ok: 200},
	"getFile":             {path: "{link}", ok: 200},
	"listFolders":         {path: "/folders?email={bot}", ok: 200},
	"createFolder":        {path: "/folders", body: `{"email":"{bot}","name":"{fresh}"}`, ok: 201, fresh: aName},
	"deleteFolder":        {path: "/folders/{fresh}?email={bot}", ok: 200, fresh: spareFolder},
	"listDomains":         {path: "/domains", ok: 200, own: true},
	"createDomain":        {path: "/domains", body: `{"name":"{fresh}.example"}`, ok: 201, fresh: aName},
	"getDomain":           {path: "/domains/{domain}", ok: 200},
	"updateDomain":        {path: "/domains/{domain}", body: `{"catch_all":false}`, ok: 200},
	"deleteDomain":        {path: "/domains/{fresh}", ok: 200, fresh: spareDomain},
	"verifyDomain":        {path: "/domains/{domain}/verify", ok: 409}, // nobody has DNS to ask there
	"listAccounts":        {path: "/accounts?domain=demo.localhost", ok: 200, own: true, named: true},
	"createAccount":       {path: "/accounts", body: `{"email":"{fresh}@demo.localhost"}`, ok: 201, fresh: aName},
	"getAccount":          {path: "/accounts/{bot}", ok: 200},
	"updateAccount":       {path: "/accounts/{bot}", body: `{"name":"Bot"}`, ok: 200},
	"deleteAccount":       {path: "/accounts/{fresh}", ok: 200, fresh: spareAccount},
	"listKeys":            {path: "/api-keys", ok: 200, own: true},
	"createKey":           {path: "/api-keys", body: `{"email":"{bot}"}`, ok: 201},
	"updateKey":           {path: "/api-keys/{fresh}", body: `{"name":"mine"}`, ok: 200, fresh: spareKey},
	"revokeKey":           {path: "/api-keys/{fresh}", ok: 200, fresh: spareKey},
	"listSuppressions":    {path: "/suppressions?domain=demo.localhost", ok: 200, own: true, named: true},
	"addSuppression":      {path: "/suppressions?domain=demo.localhost", body: `{"email":"{fresh}@example.com"}`, ok: 201, own: true, named: true, fresh: aName},
	"getSuppression":      {path: "/suppressions/{suppressed}?domain=demo.localhost", ok: 200},
	"removeSuppression":   {path: "/suppressions/{fresh}?domain=demo.localhost", ok: 200, fresh: spareSuppression},
	"listQueue":           {path: "/queue?domain=demo.localhost", ok: 200, own: true, named: true},
	"getDelivery":         {path: "/queue/{waiting}?domain=demo.localhost", ok: 200},
	"dropDelivery":        {path: "/queue/{fresh}?domain=demo.localhost", ok: 200, fresh: waitingDelivery},
	"holdDelivery":        {path: "/queue/{fresh}/hold?domain=demo.localhost", ok: 200, fresh: waitingDelivery},
	"releaseDelivery":     {path: "/queue/{fresh}/release?domain=demo.localhost", ok: 200, fresh: heldDelivery},
	"retryDelivery":       {path: "/queue/{waiting}/retry?domain=demo.localhost", ok: 409}, // it is held
	"cancelDelivery":      {path: "/queue/{fresh}/cancel?domain=demo.localhost", ok: 200, fresh: waitingDelivery},
	"listPlugins":         {path: "/plugins?email={bot}", ok: 200},
	"installPlugin":       {path: "/plugins?email={bot}", body: `{form}`, ok: 201, fresh: aName},
	"getPlugin":           {path: "/plugins/{plugin}?email={bot}", ok: 200},
	"updatePlugin":        {path: "/plugins/{plugin}?email={bot}", body: `{"priority":7}`, ok: 200},
	"replacePluginCode":   {path: "/plugins/{plugin}/code?email={bot}", body: `{form}`, ok: 200},
	"testPlugin":          {path: "/plugins/{plugin}/test?email={bot}", body: `{"hook":"outbound","sample":"personal"}`, ok: 200},
	"replayPlugin":        {path: "/plugins/{plugin}/replay?email={bot}", body: `{"hook":"outbound","last":10}`, ok: 200},
	"listPluginLogs":      {path: "/plugins/{plugin}/logs?email={bot}", ok: 200},
	"listPluginFailures":  {path: "/plugins/{failing}/failures?email={bot}", ok: 200},
	"retryPluginFailure":  {path: "/plugins/{failing}/failures/{fresh}/retry?email={bot}", ok: 200, fresh: aFailure},
	"dropPluginFailure":   {path: "/plugins/{failing}/failures/{fresh}?email={bot}", ok: 200, fresh: aFailure},
	"listWebhooks":        {path: "/webhooks?email={bot}", ok: 200},
	"createWebhook":       {path: "/webhooks?email={bot}", body: `{"endpoint":"{hook}?{fresh}"}`, ok: 201, fresh: aName},
	"getWebhook":          {path: "/webhooks/{webhook}?email={bot}", ok: 200},
	"updateWebhook":       {path: "/webhooks/{webhook}?email={bot}", body: `{"status":"enabled"}`, ok: 200},
	"deleteWebhook":       {path: "/webhooks/{fresh}?email={bot}", ok: 200, fresh: spareWebhook},
	"rotateWebhookSecret": {path: "/webhooks/{webhook}/signing-secret/rotate?email={bot}", ok: 200},
	"testWebhook":         {path: "/webhooks/{webhook}/test?email={bot}", ok: 200},
	"listWebhookEvents":   {path: "/webhooks/{webhook}/events?email={bot}", ok: 200},
	"getWebhookEvent":     {path: "/webhooks/{webhook}/events/{told}?email={bot}", ok: 200},
	"listWebhookAttempts": {path: "/webhooks/{webhook}/events/{told}/attempts?email={bot}", ok: 200},
	"replayWebhookEvent":  {path: "/webhooks/{webhook}/events/{told}/replay?email={bot}", ok: 200},
	"deletePlugin":        {path: "/plugins/{fresh}?email={bot}", ok: 200, fresh: sparePlugin},
	"listLogs":            {path: "/logs?email={bot}", ok: 200},
	"getLog":              {path: "/logs/{row}?domain=demo.localhost", ok: 200},
	"updateInstance":      {path: "/instance", body: `{"delivery_mode":"capture"}`, ok: 200},
	"getSearchIndex":      {path: "/search?email={bot}", ok: 200},
	"rebuildSearchIndex":  {path: "/search/rebuild?email={bot}", ok: 202},
	"getBackup":           {path: "/backup", ok: 200},
	"health":              {path: "/healthz", ok: 200},
	"ready":               {path: "/readyz", ok: 200},
	"openapi":             {path: "/openapi.json", ok: 200},
}

func aName(_ *client, _ caller, n int) string { return fmt.Sprint("made", n) }

// scheduledMail is by the caller: who may send only, reaches only that.
func scheduledMail(c *client, who caller, _ int) string {
	return c.do(200, "POST", "/emails", who.token, email("from", gatewaytest.Account, "scheduled_at", soon())).Str("id")
}

// waitingDelivery waits for its time.
func waitingDelivery(c *client, _ caller, _ int) string {
	id := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("from", gatewaytest.Account, "to", "x@example.com", "scheduled_at", soon())).Str("id")
	return c.do(200, "GET", "/queue?email_id="+id, c.g.Keys.Domain, nil).Str("data.0.id")
}

func heldDelivery(c *client, who caller, n int) string {
	id := waitingDelivery(c, who, n)
	c.do(200, "POST", "/queue/"+id+"/hold", c.g.Keys.Domain, nil)
	return id
}

func draftMail(c *client, _ caller, _ int) string {
	return c.do(200, "POST", "/emails", c.g.Keys.Domain, email("from", gatewaytest.Account, "draft", true)).Str("id")
}

func spareDomain(c *client, _ caller, n int) string {
	return c.do(201, "POST", "/domains", c.g.Keys.Admin, fmt.Sprintf(`{"name":"spare%d.example"}`, n)).Str("id")
}

func spareFolder(c *client, _ caller, n int) string {
	return c.do(201, "POST", "/folders", c.g.Keys.Admin, fmt.Sprintf(`{"email":"bot@demo.localhost","name":"spare%d"}`, n)).Str("name")
}

func spareAccount(c *client, _ caller, n int) string {
	return c.do(201, "POST", "/accounts", c.g.Keys.Admin, fmt.Sprintf(`{"email":"spare%d@demo.localhost"}`, n)).Str("email")
}

func spareSuppression(c *client, _ caller, n int) string {
	return c.do(201, "POST", "/suppressions", c.g.Keys.Domain, fmt.Sprintf(`{"email":"spare%d@example.com"}`, n)).Str("id")
}

func spareKey(c *client, _ caller, _ int) string {
	return c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"email":"bot@demo.localhost"}`).Str("id")
}

func sparePlugin(c *client, _ caller, n int) string {
	return c.install(c.g.Keys.Account, fmt.Sprint("spare", n))
}

func spareWebhook(c *client, _ caller, _ int) string {
	return c.do(201, "POST", "/webhooks", c.g.Keys.Account, map[string]string{"endpoint": receiver(c).URL}).Str("id")
}

func soon() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }

// caller is somebody with a key, or without.
type caller struct {
	name, token string
	key         gateway.Key // its level and permission
	stranger    bool        // it has nothing to do with the account
	refused     string      // 401 with this name, whatever it asks
}

// callers makes one key of each sort.
func (c *client) callers(clock *clock) []caller {
	c.Helper()
	key := func(body string) gatewaytest.Answer { return c.do(201, "POST", "/api-keys", c.g.Keys.Admin, body) }
	c.do(201, "POST", "/domains", c.g.Keys.Admin, `{"name":"rival.example","verified":true}`)
	c.do(201, "POST", "/accounts", c.g.Keys.Admin, `{"email":"spy@rival.example"}`)
	c.do(201, "POST", "/accounts", c.g.Keys.Admin, `{"email":"eve@demo.localhost"}`)
	ended := key(`{"domain":"demo.localhost","expires_at":"` + clock.now().Add(time.Second).UTC().Format(time.RFC3339Nano) + `"}`)
	clock.add(2 * time.Second)
	gone := key(`{"domain":"demo.localhost"}`)
	c.do(200, "DELETE", "/api-keys/"+gone.Str("id"), c.g.Keys.Admin, nil)
	make := func(name, owner string, l gateway.Level, p gateway.Permission, stranger bool) caller {
		return caller{name, key(fmt.Sprintf(`{%s,"permission":%q}`, owner, p)).Str("token"), gateway.Key{Level: l, Permission: p}, stranger, ""}
	}
	const inDomain, inAccount, all, send = gateway.LevelDomain, gateway.LevelAccount, gateway.FullAccess, gateway.SendOnly
	return []caller{
		make("instance", `"instance":true`, gateway.LevelInstance, all, false),
		make("domain", `"domain":"demo.localhost"`, inDomain, all, false),
		make("account", `"email":"bot@demo.localhost"`, inAccount, all, false),
		make("send-only domain", `"domain":"demo.localhost"`, inDomain, send, false),
		make("send-only account", `"email":"bot@demo.localhost"`, inAccount, send, false),
		make("another domain", `"domain":"rival.example"`, inDomain, all, true),
		make("send-only of another domain", `"domain":"rival.example"`, inDomain, send, true),
		make("account of another domain", `"email":"spy@rival.example"`, inAccount, all, true),
		make("another account", `"email":"eve@demo.localhost"`, inAccount, all, true),
		{name: "revoked", token: gone.Str("token"), refused: "invalid_api_key"},
		{name: "expired", token: ended.Str("token"), refused: "invalid_api_key"},
		{name: "unknown", token: "bm_live_" + strings.Repeat("0", 40), refused: "invalid_api_key"},
		{name: "nobody", refused: "missing_api_key"},
	}
}

// world makes what the targets are about, and gives it names.
func (c *client) world() map[string]string {
	c.Helper()
	h := gatewaytest.NewHook(c.T)
	webhook := c.hook(h, c.g.Keys.Account, "email.received").Str("id")
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "Secret subject", "attachments", files(1)))
	gatewaytest.Eventually(c.T, "the email", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 1.0
	})
	c.eventually("/webhooks/"+webhook+"/events", "data.0.status", "delivered")
	item := c.do(200, "GET", "/emails", c.g.Keys.Account, nil)
	id := item.Str("data.0.email_id")
	return map[string]string{
		"{bot}": gatewaytest.Account, "{email}": id, "{thread}": item.Str("data.0.thread_id"),
		"{file}":       c.do(200, "GET", "/emails/"+id+"/attachments", c.g.Keys.Account, nil).Str("data.0.id"),
		"{row}":        c.do(200, "GET", "/logs", c.g.Keys.Account, nil).Str("data.0.id"),
		"{domain}":     c.do(200, "GET", "/domains", c.g.Keys.Domain, nil).Str("data.0.id"),
		"{hook}":       h.URL,
		"{webhook}":    webhook,
		"{told}":       h.Got()[0].ID,
		"{plugin}":     c.install(c.g.Keys.Account, "secret-plugin"),
		"{link}":       strings.TrimPrefix(c.do(200, "GET", "/emails/"+id+"/attachments", c.g.Keys.Account, nil).Str("data.0.download_url"), c.g.URL),
		"{waiting}":    waitingDelivery(c, caller{}, 0),
		"{suppressed}": c.do(201, "POST", "/suppressions", c.g.Keys.Domain, `{"email":"secret@example.com"}`).Str("id"),
	}
}

// state is what no stranger may change.
func (c *client) state(w map[string]string) (out string) {
	c.Helper()
	for _, path := range []string{
		"/emails/" + w["{email}"], "/emails?email={bot}", "/emails?folder=Sent&email={bot}", "/emails?folder=Drafts&email={bot}",
		"/accounts", "/domains/demo.localhost", "/plugins", "/webhooks/{webhook}",
	} {
		out += fmt.Sprintln(c.do(200, "GET", strings.NewReplacer("{bot}", gatewaytest.Account, "{webhook}", w["{webhook}"]).Replace(path), c.g.Keys.Domain, nil))
	}
	for _, k := range c.do(200, "GET", "/api-keys", c.g.Keys.Admin, nil)["data"].([]any) {
		a := gatewaytest.Answer(k.(map[string]any))
		out += fmt.Sprintln(a.Str("id"), a.Str("name"), a.At("revoked_at"), a.At("expires_at"), a.At("rate_limit"))
	}
	return out
}

// Every route, asked by everybody: who may, gets it; who may not, hears the right
// refusal, learns nothing and changes nothing.
func TestWhoMayCall(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, failAtOnce(gatewaytest.Clock(clock.now))...)
	callers, w := c.callers(clock), c.world()
	w["{failing}"] = c.failing()
	shared := map[string]func(*client, caller, int) string{}
	for _, r := range rest.Routes() {
		if to, ok := targets[r.Operation]; !ok {
			t.Fatalf("%s has no line in the table of targets", r.Operation)
		} else if to.fresh != nil { // what a stranger aims at
			id := to.fresh(c, callers[0], len(shared)+1000)
			shared[r.Operation] = func(*client, caller, int) string { return id }
		}
	}
	before, n := c.state(w), 0
	for _, strangers := range []bool{true, false} { // first those who may not
		for _, r := range rest.Routes() {
			to := targets[r.Operation]
			for _, who := range callers {
				want := expected(r, to, who)
				may := slices.Contains(want, to.ok)
				if strangers && may && (!to.own || !who.stranger) || !strangers && !may {
					continue
				}
				n++
				if strangers && to.fresh != nil {
					to.fresh = shared[r.Operation]
				}
				c.askAs(who, r, to, w, want, n)
			}
		}
		if strangers {
			if after := c.state(w); after != before {
				t.Errorf("strangers changed\n%s\nto\n%s", before, after)
			}
		}
	}
	if n < len(rest.Routes())*len(callers) {
		t.Errorf("only %d questions were asked", n)
	}
}

// expected are the statuses a caller may get of a route, by the table of routes.
func expected(r rest.Route, to target, who caller) []int {
	switch {
	case r.Open:
		return []int{to.ok}
	case who.refused != "":
		return []int{401}
	case !r.Allows(&who.key):
		return []int{403}
	case who.stranger && !to.own, who.stranger && to.named && strings.Contains(who.name, "another domain"):
		return []int{403, 404}
	}
	return []int{to.ok}
}

// askAs asks one route as one caller.
func (c *client) askAs(who caller, r rest.Route, to target, w map[string]string, want []int, n int) {
	c.Helper()
	fresh := ""
	if to.fresh != nil {
		fresh = to.fresh(c, who, n)
	}
	change := `{"is_read":true}`
	if who.key.Permission == gateway.SendOnly {
		change = `{"scheduled_at":"` + soon() + `"}`
	}
	fill := strings.NewReplacer("{fresh}", fresh, "{change}", change)
	body, contentType := fill.Replace(to.body), "application/json"
	if body == "{form}" {
		body, contentType = formOf(map[string]string{"wasm": "x"})
		if want[0] == to.ok && !strings.Contains(to.path, "{plugin}") {
			body, contentType = module(c.T, fresh)
		} else if want[0] == to.ok {
			body, contentType = module(c.T, "secret-plugin")
		}
	}
	path := fill.Replace(to.path)
	for name, v := range w {
		path, body = strings.ReplaceAll(path, name, v), strings.ReplaceAll(body, name, v)
	}
	req, err := http.NewRequest(r.Method, c.g.URL+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	if who.token != "" {
		req.Header.Set("Authorization", "Bearer "+who.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	var raw []byte
	if resp.Header.Get("Content-Type") != "text/event-stream" { // which would not end
		if raw, err = io.ReadAll(resp.Body); err != nil {
			c.Fatal(err)
		}
		c.validate(resp, raw)
	}
	c.judge(who, r, to, want, resp.StatusCode, raw)
}

// judge holds an answer to what the caller may hear.
func (c *client) judge(who caller, r rest.Route, to target, want []int, status int, raw []byte) {
	c.Helper()
	ok := slices.Contains(want, status)
	switch {
	case ok && who.refused != "" && !r.Open:
		ok = decode(c.T, raw).Str("name") == who.refused
	case ok && status == 403 && !r.Allows(&who.key):
		ok = decode(c.T, raw).Str("name") == "restricted_api_key"
	}
	if who.stranger && r.Operation != "listLogs" { // its log holds what it asked for
		for _, secret := range []string{"Secret subject", "hello@demo.localhost", "secret-plugin"} {
			ok = ok && !strings.Contains(string(raw), secret)
		}
		if strings.Contains(who.name, "another domain") && status == 200 && !r.Open {
			ok = ok && !strings.Contains(string(raw), "demo.localhost")
		}
	}
	if !ok {
		c.Errorf("%s asks %s %s: %d %.300s, want %v", who.name, r.Method, to.path, status, raw, want)
	}
}
