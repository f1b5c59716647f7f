package rest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// token asks for a stream's token and returns it as a query.
func (c *client) token(key string, body any) string {
	c.Helper()
	return "?token=" + c.do(200, "POST", "/emails/stream/token", key, body).Str("token")
}

// knock opens a stream with a query alone and returns the answer's status and the
// field that it blames.
func (c *client) knock(query string) string {
	c.Helper()
	if status, _ := c.g.Do("HEAD", "/emails/stream"+query, "", nil); status == 200 { // it would not end
		return "200 "
	}
	status, a := c.g.Do("GET", "/emails/stream"+query, "", nil)
	return fmt.Sprint(status, " ", a.Str("errors.0.path"))
}

// A token opens the stream of its account and its folders, as often as it is shown,
// and nothing else; all it opens counts as its key's.
func TestStreamToken(t *testing.T) {
	c := newClient(t, gatewaytest.Limit("streams_per_key", "3"))
	made := c.do(200, "POST", "/emails/stream/token", c.g.Keys.Domain, map[string]any{"email": gatewaytest.Account, "folders": []string{"inbox", "Junk", "INBOX"}})
	if fmt.Sprint(made.At("folders")) != "[INBOX Junk]" || made.Str("email") != gatewaytest.Account {
		t.Errorf("%v", made)
	}
	query := "?token=" + made.Str("token")
	l, connected := listen(t, c.g, "", query, "")
	sendTo(t, c.g, gatewaytest.Account, "one")
	if e := l.want("new_email"); e.data["mailbox"] != "INBOX" || connected.data["email"] != gatewaytest.Account {
		t.Errorf("%v, %v", connected, e)
	}
	again, _ := listen(t, c.g, "", query+"&folders=Junk,INBOX&email=BOT@demo.localhost", connected.id)
	if e := again.want("new_email"); e.data["uid"] != 1.0 {
		t.Errorf("%v", e)
	}
	for query, want := range map[string]string{
		query + "&folders=INBOX":            "422 folders",
		query + "&email=eve@demo.localhost": "403 email",
		query + "&events=x":                 "422 events",
		query + "x":                         "401 ",
		"?token=":                           "401 ",
		"?token=x":                          "401 ",
	} {
		if got := c.knock(query); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, path := range []string{"/emails", "/emails/1", "/folders", "/files/" + made.Str("token"), "/api-keys", "/emails/stream/token"} {
		if status, a := c.g.Do("GET", path+query, "", nil); status == 200 {
			t.Errorf("%s: %v", path, a)
		}
	}
	c.do(401, "POST", "/emails/stream/token"+query, "", `{}`)
	if a := c.do(422, "GET", "/emails/stream"+query+"&email="+gatewaytest.Account, c.g.Keys.Account, nil); a.Str("errors.0.path") != "token" {
		t.Errorf("a key and a token: %v", a)
	}
	_, _ = listen(t, c.g, c.g.Keys.Domain, "?email="+gatewaytest.Account, "")
	if got := c.knock(query); got != "429 " {
		t.Errorf("a fourth stream of the key: %s", got)
	}
}

// What a token is asked for is held to the key's scope.
func TestStreamTokenRefusals(t *testing.T) {
	c := newClient(t)
	for _, tt := range []struct {
		key, body, field string
		status           int
	}{
		{c.g.Keys.Account, `{}`, "", 200},
		{c.g.Keys.Account, ``, "", 200},
		{c.g.Keys.Admin, `{"email":"bot@demo.localhost"}`, "", 200},
		{c.g.Keys.Domain, `{}`, "email", 422},
		{c.g.Keys.Admin, `{}`, "email", 422},
		{c.g.Keys.Domain, `{"email":"bot@elsewhere.example"}`, "email", 403},
		{c.g.Keys.Domain, `{"email":"nobody@demo.localhost"}`, "", 404},
		{c.g.Keys.Account, `{"email":"hello@demo.localhost"}`, "email", 403},
		{c.g.Keys.Account, `{"folders":["Nowhere"]}`, "folders", 404},
		{c.g.Keys.Account, `{"folders":"INBOX"}`, "folders", 400},
		{c.g.Keys.SendOnly, `{}`, "", 403},
	} {
		if a := c.do(tt.status, "POST", "/emails/stream/token", tt.key, tt.body); a.Str("errors.0.path") != tt.field {
			t.Errorf("%s: %v", tt.body, a)
		}
	}
	var long []string
	for i := range 3 {
		name := strings.Repeat("x", 700) + fmt.Sprint(i)
		c.do(201, "POST", "/folders", c.g.Keys.Account, map[string]any{"name": name})
		long = append(long, name)
	}
	c.do(200, "POST", "/emails/stream/token", c.g.Keys.Account, map[string]any{"folders": long[:1]})
	if a := c.do(422, "POST", "/emails/stream/token", c.g.Keys.Account, map[string]any{"folders": long}); a.Str("errors.0.path") != "folders" {
		t.Errorf("%v", a)
	}
}

// A token ends after its hour, as does the stream that it opened, and with its key,
// whose streams end within a second; one that has ended locks nobody out.
func TestStreamTokenEnds(t *testing.T) {
	clock := &clock{at: time.Now()}
	c := newClient(t, gatewaytest.Clock(clock.now))
	key := c.do(201, "POST", "/api-keys", c.g.Keys.Domain, `{"email":"bot@demo.localhost"}`)
	query := c.token(key.Str("token"), nil)
	l, _ := listen(t, c.g, "", query, "")
	began := time.Now()
	c.do(200, "DELETE", "/api-keys/"+key.Str("id"), c.g.Keys.Domain, nil)
	l.wantEnd()
	if took := time.Since(began); took > 20*time.Second { // its token is good for an hour
		t.Errorf("the stream ended %v after its key", took)
	}
	for range 30 {
		if got := c.knock(query); got != "401 " {
			t.Fatalf("after its key: %s", got)
		}
	}
	query = c.token(c.g.Keys.Account, nil)
	clock.add(time.Hour - 1500*time.Millisecond) // a token's second is cut
	last, _ := listen(t, c.g, "", query, "")
	last.wantEnd()
	clock.add(1500 * time.Millisecond)
	if got := c.knock(query); got != "401 " {
		t.Errorf("after its hour: %s", got)
	}
	c.g.Restart()
	fresh, _ := listen(t, c.g, "", c.token(c.g.Keys.Account, nil), "")
	fresh.close()
}

// A link is no token, a token no link; neither stands in any log.
func TestTokensAreFor(t *testing.T) {
	c := newClient(t)
	_, _, files := c.linked(c.g.Keys.Account)
	_, link, _ := strings.Cut(files.Str("data.0.download_url"), "/files/")
	query := c.token(c.g.Keys.Account, nil)
	token := strings.TrimPrefix(query, "?token=")
	if got := c.knock("?token=" + link); got != "401 " {
		t.Errorf("a link opens the stream: %s", got)
	}
	c.do(404, "GET", "/files/"+token, "", nil)
	l, _ := listen(t, c.g, "", query, "")
	l.close()
	c.knock(query + "&folders=Sent")
	req, err := http.NewRequest("GET", c.g.URL+"/emails/stream?"+url.Values{"token": {token + strings.Repeat("x", 20<<10)}}.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := transport.RoundTrip(req); err == nil { // too long for any route
		resp.Body.Close()
	}
	rows := ""
	gatewaytest.Eventually(t, "the log has the streams", func() bool {
		_, a := c.g.Do("GET", "/logs?limit=100", c.g.Keys.Domain, nil)
		rows = fmt.Sprint(a["data"])
		return strings.Count(rows, "endpoint:/emails/stream ") >= 2
	})
	if strings.Contains(rows+c.g.Log.String(), token[:40]) {
		t.Error("the token is in a log")
	}
}
