package plugins_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/sdk/abi"
)

// model is a server of a language model that is busy for the first questions, and then
// answers them by their number.
type model struct {
	mu    sync.Mutex
	busy  int
	asked [][]string // "role: text"
	keys  []string
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var q struct {
		Model    string
		Messages []struct{ Role, Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Model != "small" || r.URL.Path != "/v1/chat/completions" {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var asked []string
	for _, one := range q.Messages[1:] { // after the prompt
		asked = append(asked, one.Role+": "+strings.TrimSpace(one.Content))
	}
	m.asked, m.keys = append(m.asked, asked), append(m.keys, r.Header.Get("Authorization"))
	if len(m.asked) <= m.busy {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, `{"choices":[{"index":0,"message":{"role":"assistant","content":"Answer %d."}}]}`, len(m.asked))
}

// questions are what it was asked, and the key of the last one who asked.
func (m *model) questions() (asked [][]string, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked, m.keys[len(m.keys)-1]
}

// neighbour is somebody of another domain, who writes over SMTP as clients do.
func (c *tenant) neighbour(email string) *tenant {
	c.Helper()
	_, domain, _ := strings.Cut(email, "@")
	key := ""
	for _, step := range []struct {
		path string
		body map[string]any
	}{{"/domains", map[string]any{"name": domain, "verified": true}}, {"/accounts", map[string]any{"email": email}}, {"/api-keys", map[string]any{"domain": domain}}} {
		status, a := c.g.Do("POST", step.path, c.g.Keys.Admin, step.body)
		if status != 201 {
			c.Fatalf("%s: %d %v", step.path, status, a)
		}
		key = a.Str("token")
	}
	return &tenant{c.T, c.g, key}
}

func (c *tenant) submit(from, message string) {
	c.Helper()
	login := base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00" + c.key))
	chat := c.g.Dial(c.T, "submissions")
	chat.Script("S: 220 \nC: EHLO client.example\nS~ 250 \nC: AUTH PLAIN " + login + "\nS: 235 \nC: MAIL FROM:<" + from + ">\nS: 250 \nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(strings.ReplaceAll("From: "+from+"\nTo: "+gatewaytest.Account+"\n"+message+"\n.\n", "\n", "\r\n"))
	chat.Script("S: 250 \nC: QUIT\nS: 221 ")
}

// A question arrives over SMTP; the model is asked, again after it was busy, and its answer
// comes to who asked, in the conversation. The next question is asked with what was said.
func TestExampleAgent(t *testing.T) {
	m := &model{busy: 1}
	server := httptest.NewServer(m)
	defer server.Close()
	clock := &movedClock{}
	c := start(t, gatewaytest.Clock(clock.now), gatewaytest.Limit("reply_hours", "0"))
	config := map[string]any{
		"config":  map[string]string{"llm_url": server.URL + "/v1/chat/completions", "model": "small"},
		"secrets": map[string]string{"llm_key": "hush"},
	}
	id := c.enable("agent", "?email="+gatewaytest.Account, config, func(m *abi.Manifest) {
		m.HTTPHosts = []string{strings.TrimPrefix(server.URL, "http://")}
	})
	const ann = "ann@neighbour.example"
	neighbour := c.neighbour(ann)
	neighbour.submit(ann, "Subject: Opening hours\nMessage-ID: <1@neighbour.example>\n\nWhen are you open?")
	gatewaytest.Eventually(t, "the model is busy", func() bool {
		_, a := c.g.Do("GET", "/plugins/"+id, c.key, nil)
		return a.At("stats.errors") == 1.0
	})
	clock.add(2 * time.Minute)
	c.g.Events.Wake()
	answers := func(n int) []gatewaytest.Answer {
		t.Helper()
		gatewaytest.Eventually(t, "the answer arrives", func() bool { return len(neighbour.inbox(ann)) == n })
		return neighbour.whole(ann, "INBOX")
	}
	first := answers(1)[0]
	c.want("the answer", strings.TrimSpace(first.Str("text")), "Answer 2.")
	c.want("who wrote it", fields(first, "Auto-Submitted"), []string{"auto-replied"})
	c.want("subject", first.Str("subject"), "Re: Opening hours")
	c.want("what it answers", fields(first, "In-Reply-To"), []string{"<1@neighbour.example>"})
	c.want("conversation", first.Str("thread_id"), neighbour.whole(ann, "Sent")[0].Str("thread_id"))

	neighbour.submit(ann, "Subject: Re: Opening hours\nMessage-ID: <2@neighbour.example>\nIn-Reply-To: "+fields(first, "Message-ID")[0]+"\n\nOn Sundays?")
	second := answers(2)[0]
	c.want("the second answer", strings.TrimSpace(second.Str("text")), "Answer 3.")
	c.want("its conversation", second.Str("thread_id"), first.Str("thread_id"))
	opening := []string{"user: Subject: Opening hours\n\nWhen are you open?"}
	asked, key := m.questions()
	c.want("what was asked", fmt.Sprintf("%q", asked), fmt.Sprintf("%q", [][]string{
		opening, opening, {"user: When are you open?", "assistant: Answer 2.", "user: Subject: Re: Opening hours\n\nOn Sundays?"},
	}))
	c.want("its key", key, "Bearer hush")
	gatewaytest.Eventually(t, "both are marked", func() bool {
		return strings.Join(c.folder(gatewaytest.Account, "INBOX"), ", ") == "Re: Opening hours [auto-answered], Opening hours [auto-answered]"
	})
}

// inbox lists a mailbox of the tenant's own.
func (c *tenant) inbox(email string) []any {
	c.Helper()
	_, a := c.g.Do("GET", "/emails?folder=INBOX&email="+email, c.key, nil)
	list, _ := a["data"].([]any)
	return list
}
