package rest_test

import (
	"encoding/base64"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// subjects are those of a list, in its order.
func subjects(a gatewaytest.Answer) string {
	var out []string
	data, _ := a["data"].([]any)
	for i := range data {
		out = append(out, a.Str(fmt.Sprintf("data.%d.subject", i)))
	}
	return strings.Join(out, " ")
}

// arrive sends emails to the account, one after the other, each a second after the
// one before it.
func (c *client) arrive(at *clock, emails ...map[string]any) (ids []string) {
	c.Helper()
	for i, e := range emails {
		at.add(time.Second)
		ids = append(ids, c.do(200, "POST", "/emails", c.g.Keys.Domain, e).Str("message_id"))
		gatewaytest.Eventually(c.T, "the email arrives", func() bool {
			_, a := c.g.Do("GET", "/emails?limit=1", c.g.Keys.Account, nil)
			return a.At("total") == float64(i+1)
		})
	}
	return ids
}

// Every filter alone, all together, and with pages and cursors.
func TestFilters(t *testing.T) {
	clock := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := newClient(t, gatewaytest.Clock(clock.now))
	tag := func(name, value string) []map[string]string {
		return []map[string]string{{"name": name, "value": value}}
	}
	ids := c.arrive(clock,
		email("subject", "one", "from", "Ann Ångström <ann@demo.localhost>", "text", "alpha beta"),
		email("subject", "two", "from", "bob@demo.localhost", "cc", "carol@demo.localhost", "text", "Beta gamma"),
		email("subject", "three", "from", "ann@demo.localhost", "text", "delta", "attachments", files(1)),
		email("subject", "four", "from", "bob@demo.localhost", "text", "ΣΊΣΥΦΟΣ alpha"),
		email("subject", "Re: five", "from", "ann@demo.localhost", "to", []string{"bot@demo.localhost", "Dave <dave@demo.localhost>"}, "text", "epsilon"),
	)
	key := c.g.Keys.Account
	c.do(200, "PATCH", "/emails/1", key, `{"is_read":true,"add_labels":["Work"]}`)
	c.do(200, "PATCH", "/emails/2", key, `{"is_read":true,"is_starred":true}`)
	thread := c.do(200, "GET", "/emails/3", key, nil).Str("thread_id")
	c.do(200, "POST", "/emails", key, email("subject", "tagged", "from", gatewaytest.Account, "to", "ann@demo.localhost", "tags", tag("kind", "welcome")))
	c.do(200, "POST", "/emails", key, email("subject", "other", "from", gatewaytest.Account, "to", "ann@demo.localhost", "tags", tag("kind", "bye")))
	for _, tt := range []struct {
		query, want string
		total       int
		more        bool
	}{
		{"from=ANN@", "Re: five three one", 3, false},
		{"from=ÅNGSTRÖM", "one", 1, false},
		{"from=demo&limit=2", "Re: five four", 5, true},
		{"to=dave", "Re: five", 1, false},
		{"to=carol", "", 0, false},
		{"subject=FIV", "Re: five", 1, false},
		{"subject=%25", "", 0, false},
		{"q=beta", "two one", 2, false},
		{"q=BETA+alpha", "one", 1, false},
		{"q=alpha+bob", "four", 1, false},
		{"q=carol", "two", 1, false},
		{"q=σίσυφος", "four", 1, false},
		{"q=alpha+nothing", "", 0, false},
		{"since=2026-05-01T12:00:04Z", "Re: five four", 2, false},
		{"until=2026-05-01T12:00:03Z", "two one", 2, false},
		{"since=2026-05-01T14:00:02%2B02:00&until=2026-05-01T12:00:04Z", "three two", 2, false},
		{"is_read=true", "two one", 2, false},
		{"is_read=false", "Re: five four three", 3, false},
		{"is_starred=true", "two", 1, false},
		{"is_starred=false&is_read=true", "one", 1, false},
		{"has_attachments=true", "three", 1, false},
		{"has_attachments=false", "Re: five four two one", 4, false},
		{"label=work", "one", 1, false},
		{"label=wor", "", 0, false},
		{"thread_id=" + thread, "three", 1, false},
		{"thread_id=00000000-0000-7000-8000-000000000000", "", 0, false},
		{"tag=kind&folder=Sent", "other tagged", 2, false},
		{"tag=kind:welcome&folder=Sent", "tagged", 1, false},
		{"tag=welcome&folder=Sent", "", 0, false},
		{"from=ann&is_read=false&q=delta&has_attachments=true", "three", 1, false},
		{"from=ann&limit=1&page=2", "three", 3, true},
		{"from=ann&limit=1&page=3", "one", 3, false},
		{"from=ann&limit=1&page=4", "", 3, false},
		{"from=ann&limit=1&after=5", "three", 3, true},
		{"from=ann&after=" + url.QueryEscape(ids[3]), "three one", 3, false},
		{"from=ann&before=2", "Re: five three", 3, false},
		{"from=ann&before=2&limit=1", "three", 3, true},
	} {
		a := c.do(200, "GET", "/emails?"+tt.query, key, nil)
		if got := subjects(a); got != tt.want || a.At("total") != float64(tt.total) || a.At("has_more") != tt.more || a.At("total_capped") != false {
			t.Errorf("%s: %q of %v, more %v, capped %v, want %q of %d, %v", tt.query, got, a.At("total"), a.At("has_more"), a.At("total_capped"), tt.want, tt.total, tt.more)
		}
	}
	if a := c.do(200, "GET", "/emails", key, nil); a.At("total") != 5.0 || a.At("total_capped") != nil {
		t.Errorf("unfiltered: %v, capped %v", a.At("total"), a.At("total_capped"))
	}
}

// What can't be a filter is refused, and the answer says which it was.
func TestBadFilters(t *testing.T) {
	c := newClient(t)
	for _, tt := range []struct{ path, field string }{
		{"/emails?since=yesterday", "since"},
		{"/emails?until=2026-05-01", "until"},
		{"/emails?is_read=maybe", "is_read"},
		{"/emails?is_starred=2", "is_starred"},
		{"/emails?has_attachments=x", "has_attachments"},
		{"/emails?label=a+b", "label"},
		{"/emails?tag=a+b", "tag"},
		{"/emails?tag=a:", "tag"},
		{"/emails?tag=a:b:c", "tag"},
		{"/emails?tag=" + strings.Repeat("a", 257), "tag"},
		{"/emails?thread_id=1", "thread_id"},
		{"/emails?q=+", "q"},
		{"/emails?q=" + strings.Repeat("a+", 21), "q"},
		{"/emails?subject=" + strings.Repeat("a", 1025), "subject"},
		{"/emails?q=" + strings.Repeat("a", 1025), "q"},
		{"/emails?page=1&after=1", "after"},
		{"/emails?page=2&before=1", "before"},
		{"/emails?after=1&before=2", "before"},
		{"/emails?from=a&limit=0", "limit"},
		{"/emails?from=a&page=501", "page"},
		{"/emails/threads?q=+", "q"},
		{"/emails/threads?page=x", "page"},
		{"/emails/threads?page=501", "page"},
		{"/emails/1?html_format=pdf", "html_format"},
		{"/logs?format=xml", "format"},
		{"/logs?status=1000", "status"},
		{"/logs?protocol=pop3", "protocol"},
		{"/logs?tag=a:", "tag"},
		{"/logs?since=x", "since"},
		{"/logs?until=x", "until"},
		{"/logs?key_id=x", "key_id"},
		{"/logs?after=x", "after"},
		{"/logs?format=csv&limit=x", "limit"},
	} {
		if a := c.do(422, "GET", tt.path, c.g.Keys.Account, nil); a.Str("name") != "invalid_parameter" || a.Str("errors.0.path") != tt.field {
			t.Errorf("%s: %s at %s, want it at %s", tt.path, a.Str("name"), a.Str("errors.0.path"), tt.field)
		}
	}
	c.do(404, "GET", "/emails?after=99", c.g.Keys.Account, nil)
	c.do(404, "GET", "/emails?before=nothing@here", c.g.Keys.Account, nil)
	c.do(404, "GET", "/emails?q=x&folder=Nowhere", c.g.Keys.Account, nil)
	c.do(422, "GET", "/emails?q=x", c.g.Keys.Domain, nil)
}

// A filter looks so far and no further, counts so far and no further, and says so.
func TestFilterReach(t *testing.T) {
	clock := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := newClient(t, gatewaytest.Clock(clock.now), gatewaytest.Limit("filter_reach", "4"), gatewaytest.Limit("page_reach", "3"))
	var all []map[string]any
	for i := range 8 {
		all = append(all, email("subject", fmt.Sprint(i), "from", []string{"even@demo.localhost", "odd@demo.localhost"}[i%2]))
	}
	c.arrive(clock, all...)
	for _, tt := range []struct {
		query, want  string
		total        int
		capped, more bool
	}{
		{"from=even&limit=3", "6 4", 2, true, true},
		{"from=even&limit=1&page=3", "", 2, true, false},
		{"from=even&limit=3&after=5", "2 0", 2, true, false},
		{"from=even&limit=3&before=1", "4 2", 2, true, true},
		{"from=localhost&limit=2", "7 6", 3, true, true},
		{"from=localhost&limit=2&after=2", "0", 3, true, false},
		{"from=localhost&limit=3&until=2026-05-01T12:00:04Z", "2 1 0", 3, false, false},
		{"from=even&limit=3&since=2026-05-01T12:00:05Z", "6 4", 2, false, false},
	} {
		a := c.do(200, "GET", "/emails?"+tt.query, c.g.Keys.Account, nil)
		if got := subjects(a); got != tt.want || a.At("total") != float64(tt.total) || a.At("total_capped") != tt.capped || a.At("has_more") != tt.more {
			t.Errorf("%s: %q of %v, capped %v, more %v, want %q of %d, %v, %v", tt.query, got, a.At("total"), a.At("total_capped"), a.At("has_more"), tt.want, tt.total, tt.capped, tt.more)
		}
	}
	if a := c.do(200, "GET", "/emails?limit=3", c.g.Keys.Account, nil); a.At("total") != 8.0 {
		t.Errorf("the unfiltered total: %v", a.At("total"))
	}
}

// before walks back over the pages that after went forward over.
func TestBefore(t *testing.T) {
	clock := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := newClient(t, gatewaytest.Clock(clock.now))
	var all []map[string]any
	for i := range 7 {
		all = append(all, email("subject", fmt.Sprint(i)))
	}
	ids := c.arrive(clock, all...)
	first := c.do(200, "GET", "/emails/1", c.g.Keys.Account, nil).Str("email_id")
	for _, tt := range []struct {
		cursor, want string
		more         bool
	}{
		{first, "3 2 1", true}, {url.QueryEscape(ids[3]), "6 5 4", false}, {"6", "6", false}, {"7", "", false},
	} {
		a := c.do(200, "GET", "/emails?limit=3&before="+tt.cursor, c.g.Keys.Account, nil)
		if got := subjects(a); got != tt.want || a.At("has_more") != tt.more || a.At("total") != 7.0 {
			t.Errorf("before %s: %q, more %v, want %q, %v", tt.cursor, got, a.At("has_more"), tt.want, tt.more)
		}
	}
}

// The conversations of a folder: what is told of each, their order, and pages.
func TestThreads(t *testing.T) {
	clock := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := newClient(t, gatewaytest.Clock(clock.now), gatewaytest.Limit("participants", "3"))
	ids := c.arrive(clock,
		email("subject", "Plans", "from", "ann@demo.localhost", "text", "the first"),
		email("subject", "Lunch", "from", "bob@demo.localhost", "text", "noodles"),
	)
	reply := email("subject", "Re: Plans", "from", gatewaytest.Account, "to", "Ann <ANN@demo.localhost>", "text", "an answer", "in_reply_to", ids[0])
	clock.add(time.Second)
	answer := c.do(200, "POST", "/emails", c.g.Keys.Account, reply)
	key := c.g.Keys.Account
	a := c.do(200, "GET", "/emails/threads", key, nil)
	for path, want := range map[string]any{
		"object": "list", "page": 1.0, "page_size": 20.0, "has_more": false,
		"data.0.subject": "Lunch", "data.0.message_count": 1.0, "data.0.unread": 1.0, "data.0.preview": "noodles",
		"data.1.subject": "Plans", "data.1.message_count": 2.0, "data.1.unread": 1.0, "data.1.preview": "the first",
		"data.1.thread_id": answer.Str("thread_id"), "data.1.last_date": "2026-05-01T12:00:01Z",
		"data.1.participants.0": "ann@demo.localhost", "data.1.participants.1": gatewaytest.Account, "data.1.participants.2": nil, "data.2": nil,
	} {
		if got := a.At(path); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	more := email("subject", "Re: Plans", "from", "ann@demo.localhost", "text", "the third", "in_reply_to", answer.Str("message_id"),
		"to", []string{gatewaytest.Account, "c@demo.localhost", "d@demo.localhost"})
	clock.add(time.Second)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, more)
	gatewaytest.Eventually(t, "Plans is first", func() bool {
		_, a = c.g.Do("GET", "/emails/threads", key, nil)
		return subjects(a) == "Plans Lunch"
	})
	if a.At("data.0.message_count") != 3.0 || a.At("data.0.unread") != 2.0 || a.Str("data.0.preview") != "the third" || len(a.At("data.0.participants").([]any)) != 3 {
		t.Errorf("%v", a.At("data.0"))
	}
	c.do(200, "PATCH", "/emails/1", key, `{"is_read":true}`)
	for _, tt := range []struct {
		query, want string
		more        bool
	}{
		{"limit=1", "Plans", true},
		{"limit=1&page=2", "Lunch", false},
		{"limit=1&page=3", "", false},
		{"q=FIRST", "Plans", false},
		{"q=noodles+bob", "Lunch", false},
		{"q=answer", "", false},
		{"folder=Sent&q=answer", "Plans", false},
		{"folder=Drafts", "", false},
	} {
		a := c.do(200, "GET", "/emails/threads?"+tt.query, key, nil)
		if got := subjects(a); got != tt.want || a.At("has_more") != tt.more {
			t.Errorf("%s: %q, more %v, want %q, %v", tt.query, got, a.At("has_more"), tt.want, tt.more)
		}
	}
	if a := c.do(200, "GET", "/emails/threads?email="+gatewaytest.Account, c.g.Keys.Domain, nil); a.At("data.0.unread") != 1.0 {
		t.Errorf("one was read, unread %v", a.At("data.0.unread"))
	}
	c.do(422, "GET", "/emails/threads", c.g.Keys.Domain, nil)
	c.do(404, "GET", "/emails/threads?folder=Nowhere", key, nil)
	c.do(403, "GET", "/emails/threads?email=ann@demo.localhost", key, nil)
}

// Conversations too are looked for so far and no further.
func TestThreadsReach(t *testing.T) {
	clock := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := newClient(t, gatewaytest.Clock(clock.now), gatewaytest.Limit("filter_reach", "2"))
	c.arrive(clock, email("subject", "apple"), email("subject", "berry"), email("subject", "cherry"))
	for _, tt := range []struct {
		query, want string
		more        bool
	}{{"", "cherry berry", true}, {"?q=berry", "berry", true}, {"?q=apple", "", false}} {
		if a := c.do(200, "GET", "/emails/threads"+tt.query, c.g.Keys.Account, nil); subjects(a) != tt.want || a.At("has_more") != tt.more {
			t.Errorf("%s: %q, more %v", tt.query, subjects(a), a.At("has_more"))
		}
	}
}

// Rows of sending carry the email's tags, are found by them, and come as a table.
func TestLogTagsAndCSV(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("log_export", "3"))
	tag := func(value string) []map[string]string { return []map[string]string{{"name": "kind", "value": value}} }
	c.do(200, "POST", "/emails/batch", c.g.Keys.Domain, []any{email("tags", tag("welcome")), email("tags", tag("bye")), email()})
	held := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("tags", tag("later"), "scheduled_at", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	c.do(200, "POST", "/emails/"+held.Str("id")+"/cancel", c.g.Keys.Domain, nil)
	for query, want := range map[string]int{"tag=kind": 4, "tag=kind:bye": 1, "tag=kind:later": 2, "tag=bye": 0, "tag=kind&status=404": 0, "tag=kind&protocol=smtp": 0, "tag=kind&limit=2": 2} {
		a := c.do(200, "GET", "/logs?"+query, c.g.Keys.Domain, nil)
		if data := a["data"].([]any); len(data) != want {
			t.Errorf("%s: %d rows, want %d", query, len(data), want)
		}
	}
	a := c.do(200, "GET", "/logs?tag=kind:welcome", c.g.Keys.Domain, nil)
	if a.Str("data.0.tags.0.name") != "kind" || a.Str("data.0.tags.0.value") != "welcome" {
		t.Errorf("%v", a.At("data.0"))
	}
	if row := c.do(200, "GET", "/logs/"+a.Str("data.0.id"), c.g.Keys.Domain, nil); row.Str("tags.0.value") != "welcome" {
		t.Errorf("%v", row)
	}
	for _, tt := range []struct {
		query, accept string
		table         bool
		rows          int
		more          string
	}{
		{"format=csv", "", true, 3, "true"},
		{"format=csv&tag=kind:bye", "", true, 1, "false"},
		{"", "text/csv", true, 3, "true"},
		{"format=csv&limit=2", "", true, 2, "true"},
		{"format=csv&limit=1000", "", true, 3, "true"},
		{"format=csv&tag=none", "", true, 0, "false"},
		{"format=json", "text/csv", false, 0, ""},
		{"", "application/json, text/csv;q=0.5", false, 0, ""},
		{"", "*/*", false, 0, ""},
		{"", "", false, 0, ""},
	} {
		resp, rows := c.table("/logs?"+tt.query, tt.accept, "curl")
		if table := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv"); table != tt.table || table && (len(rows) != tt.rows+1 || resp.Header.Get("X-Has-More") != tt.more) {
			t.Errorf("%s, Accept %q: %v, %d rows, more %q", tt.query, tt.accept, resp.Header, len(rows), resp.Header.Get("X-Has-More"))
		}
	}
}

// table asks for the log and reads the answer, if it is one, as CSV.
func (c *client) table(path, accept, agent string) (*http.Response, [][]string) {
	c.Helper()
	req, err := http.NewRequest("GET", c.g.URL+path, nil)
	if err != nil {
		c.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.g.Keys.Domain)
	req.Header.Set("User-Agent", agent)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		c.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, raw)
	}
	c.validate(resp, raw)
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/csv") {
		return resp, nil
	}
	if strings.Count(string(raw), "\r\n") != strings.Count(string(raw), "\n") {
		c.Errorf("%s: a line doesn't end as RFC 4180 has it", path)
	}
	rows, err := csv.NewReader(strings.NewReader(string(raw))).ReadAll()
	if err != nil {
		c.Fatal(err)
	}
	return resp, rows
}

// No cell of the table runs as a formula, whatever a client calls itself.
func TestCSVFormulas(t *testing.T) {
	c := newClient(t)
	for agent, want := range map[string]string{
		`=1+1`: `'=1+1`, `+1`: `'+1`, `-1`: `'-1`, `@SUM(A1)`: `'@SUM(A1)`, `a "quoted", agent`: `a "quoted", agent`, `'x`: `'x`,
	} {
		c.table("/logs?limit=1", "", agent)
		_, rows := c.table("/logs?format=csv&limit=1", "", "reader")
		if got := rows[1][9]; rows[0][9] != "user_agent" || got != want {
			t.Errorf("%s became %s, want %s", agent, got, want)
		}
	}
}

// Images that the HTML shows come inside it when that is asked for, up to a limit.
func TestInlineImages(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("inline_image", "10"), gatewaytest.Limit("inline_images", "25"))
	file := func(id, typ, text string) map[string]string {
		return map[string]string{"filename": id, "content_id": id, "content_type": typ, "content": base64.StdEncoding.EncodeToString([]byte(text))}
	}
	doc := `<p>Hi</p><img src="cid:a@x"><img src="cid:big"><img src="cid:svg"><img src="cid:b"><img src="cid:none"><img src="cid:a@x">`
	sent := c.do(200, "POST", "/emails", c.g.Keys.Domain, email("html", doc, "attachments", []map[string]string{
		file("a@x", "image/png", "0123456789"), file("big", "image/png", "0123456789+"), file("svg", "image/svg+xml", "<svg/>"), file("b", "image/gif", "GIF"),
	}))
	path := "/emails/" + sent.Str("id")
	for query, want := range map[string]string{
		"": doc, "?html_format=cid": doc,
		"?html_format=data_uri": `<p>Hi</p><img src="data:image/png;base64,MDEyMzQ1Njc4OQ=="><img src="cid:big"><img src="cid:svg"><img src="data:image/gif;base64,R0lG"><img src="cid:none"><img src="data:image/png;base64,MDEyMzQ1Njc4OQ==">`,
	} {
		if got := c.do(200, "GET", path+query, c.g.Keys.Domain, nil).Str("html"); got != want {
			t.Errorf("%q: %s, want %s", query, got, want)
		}
	}
	twice := strings.Repeat(`<img src="cid:a">`, 3)
	sent = c.do(200, "POST", "/emails", c.g.Keys.Domain, email("html", twice, "attachments", []map[string]string{file("a", "image/png", "0123456789")}))
	if got := c.do(200, "GET", "/emails/"+sent.Str("id")+"?html_format=data_uri", c.g.Keys.Domain, nil).Str("html"); strings.Count(got, "data:") != 2 || strings.Count(got, `"cid:a"`) != 1 {
		t.Errorf("over the sum of the limit: %s", got)
	}
}

// Every route with an email's id takes its UUID, its Message-ID and its UID; a
// Message-ID of two emails reads the one in the inbox and changes neither.
func TestEveryKindOfID(t *testing.T) {
	c := newClient(t)
	key := c.g.Keys.Account
	self := c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "attachments", files(1)))
	gatewaytest.Eventually(t, "the copy", func() bool {
		_, a := c.g.Do("GET", "/emails", key, nil)
		return a.At("total") == 1.0
	})
	copied := c.do(200, "GET", "/emails", key, nil)
	msgid := url.PathEscape(self.Str("message_id"))
	scheduled := c.do(200, "POST", "/emails", key, email("from", gatewaytest.Account, "scheduled_at", time.Now().Add(time.Hour).UTC().Format(time.RFC3339)))
	file := c.do(200, "GET", "/emails/"+copied.Str("data.0.email_id")+"/attachments", key, nil).Str("data.0.id")
	later := fmt.Sprintf(`{"scheduled_at":%q}`, time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339))
	for _, r := range []struct {
		method, path, body string
		write              bool
		status             int // for the email in the inbox, named clearly
	}{
		{"GET", "", "", false, 200},
		{"GET", "/raw", "", false, 200},
		{"GET", "/attachments", "", false, 200},
		{"GET", "/attachments/" + file, "", false, 200},
		{"PATCH", "", `{"is_read":true}`, true, 200},
		{"PATCH", "", later, true, 409},
		{"POST", "/cancel", "", true, 409},
		{"POST", "/send", "", true, 409},
	} {
		var body any
		if r.body != "" {
			body = r.body
		}
		for _, id := range []string{copied.Str("data.0.email_id"), msgid + "#INBOX", "1", "1#INBOX"} {
			id, folder, _ := strings.Cut(id, "#")
			a := c.do(r.status, r.method, "/emails/"+id+r.path+"?folder="+folder, key, body)
			if r.status == 409 && a.Str("name") != "invalid_state" {
				t.Errorf("%s %s by %s: %v", r.method, r.path, id, a)
			}
		}
		if !r.write {
			c.do(200, r.method, "/emails/"+msgid+r.path, key, body)
			continue
		}
		for _, id := range []string{msgid, strings.Trim(self.Str("message_id"), "<>")} {
			a := c.do(409, r.method, "/emails/"+id+r.path, key, body)
			ids := fmt.Sprint(a["email_ids"])
			if a.Str("name") != "ambiguous_id" || !strings.Contains(ids, self.Str("id")) || !strings.Contains(ids, copied.Str("data.0.email_id")) || len(a["email_ids"].([]any)) != 2 {
				t.Errorf("%s %s by a Message-ID of two: %v", r.method, r.path, a)
			}
		}
		for _, id := range []string{"99", "nothing@here", "00000000-0000-7000-8000-000000000000"} {
			c.do(404, r.method, "/emails/"+id+r.path, key, body)
		}
	}
	// What only a sender does, by each kind of id; and after and before.
	uid := fmt.Sprint(c.do(200, "GET", "/emails/"+scheduled.Str("id"), key, nil).At("uid"))
	sentFolder := "?folder=Sent&email=" + gatewaytest.Account
	for _, id := range []string{scheduled.Str("id"), url.PathEscape(scheduled.Str("message_id")), uid} {
		c.do(200, "PATCH", "/emails/"+id+sentFolder, key, later)
	}
	c.do(200, "POST", "/emails/"+url.PathEscape(scheduled.Str("message_id"))+"/cancel", key, nil)
	for _, id := range []string{copied.Str("data.0.email_id"), url.QueryEscape(self.Str("message_id")), "1"} {
		for _, cursor := range []string{"after", "before"} {
			if a := c.do(200, "GET", "/emails?"+cursor+"="+id, key, nil); subjects(a) != "" {
				t.Errorf("%s=%s: %v", cursor, id, a)
			}
		}
	}
	c.do(409, "DELETE", "/emails/"+msgid, key, nil)
	for i, id := range []string{copied.Str("data.0.email_id"), "1?folder=Trash", msgid + "?folder=Sent"} {
		if a := c.do(200, "DELETE", "/emails/"+id, key, nil); a.At("deleted") != true {
			t.Errorf("%d: %v", i, a)
		}
	}
}

// The id of a conversation that was merged into another one still names it.
func TestFilterMergedThread(t *testing.T) {
	clock := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	c := newClient(t, gatewaytest.Clock(clock.now))
	header := func(name, value string) map[string]string { return map[string]string{name: value} }
	c.arrive(clock,
		email("subject", "a", "headers", header("Message-ID", "<a@demo.localhost>")), email("subject", "b", "headers", header("Message-ID", "<b@demo.localhost>")))
	first, second := c.do(200, "GET", "/emails/1", c.g.Keys.Account, nil).Str("thread_id"), c.do(200, "GET", "/emails/2", c.g.Keys.Account, nil).Str("thread_id")
	clock.add(time.Second)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("subject", "c", "headers", header("References", "<a@demo.localhost> <b@demo.localhost>")))
	gatewaytest.Eventually(t, "the third", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 3.0
	})
	if first == second {
		t.Fatalf("one conversation from the beginning: %s", first)
	}
	for _, id := range []string{first, second} {
		if a := c.do(200, "GET", "/emails?thread_id="+id, c.g.Keys.Account, nil); subjects(a) != "c b a" {
			t.Errorf("%s: %q", id, subjects(a))
		}
	}
	if a := c.do(200, "GET", "/emails/threads", c.g.Keys.Account, nil); subjects(a) != "a" || a.At("data.0.message_count") != 3.0 {
		t.Errorf("%v", a)
	}
}

// A send-only key means only what it sent itself, and hears of nothing else.
func TestSendOnlyIDs(t *testing.T) {
	c := newClient(t)
	at := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	same := map[string]string{"Message-ID": "<same@demo.localhost>"}
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email("from", "ann@demo.localhost", "headers", same))
	gatewaytest.Eventually(t, "the email", func() bool {
		_, a := c.g.Do("GET", "/emails", c.g.Keys.Account, nil)
		return a.At("total") == 1.0
	})
	own := c.do(200, "POST", "/emails", c.g.Keys.SendOnly, email("from", gatewaytest.Account, "scheduled_at", at))
	if a := c.do(404, "POST", "/emails/same@demo.localhost/cancel", c.g.Keys.SendOnly, nil); a["email_ids"] != nil {
		t.Errorf("%v", a)
	}
	c.do(409, "POST", "/emails/same@demo.localhost/cancel", c.g.Keys.Domain, nil)
	c.do(200, "POST", "/emails/"+url.PathEscape(own.Str("message_id"))+"/cancel", c.g.Keys.SendOnly, nil)
}
