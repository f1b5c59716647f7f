package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/sdktest"
)

// model is a server that answers with a status and a text, and has what it was asked.
type model struct {
	status int
	text   string
	asked  []string // "role: text"
	times  int
	key    string
}

func (m *model) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var q struct {
		Model    string
		Messages []struct{ Role, Content string }
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || q.Model != "small" || r.URL.Path != "/v1/chat/completions" {
		w.WriteHeader(http.StatusTeapot)
		return
	}
	m.times++
	m.asked, m.key = nil, r.Header.Get("Authorization")
	for _, one := range q.Messages {
		m.asked = append(m.asked, one.Role+": "+one.Content)
	}
	if m.status != 0 {
		w.WriteHeader(m.status)
		_, _ = io.WriteString(w, `{"error":{"message":"no such model"}}`)
		return
	}
	text, _ := json.Marshal(m.text)
	fmt.Fprintf(w, `{"choices":[{"message":{"role":"assistant","content":%s}}]}`, text)
}

func newHost(m *model) *sdktest.Host {
	h := sdktest.NewHost(sdktest.Manifest("manifest.json"))
	h.Config = map[string]string{"llm_url": "http://127.0.0.1:11434/v1/chat/completions", "model": "small", "llm_key": "hush"}
	h.HTTP = m.ServeHTTP
	return h
}

var question = sdktest.Mail{
	ID: "3", From: "ann@x.example", Subject: "Re: Opening hours", Text: "And on Sundays?",
	Conversation: &sdk.Conversation{Messages: []sdk.Said{
		{ID: "1", Text: "When are you open?"}, {ID: "2", Sent: true, Text: "From 9 to 5."}, {ID: "3", Text: "And on Sund"},
	}},
}

func TestAnswers(t *testing.T) {
	m := &model{text: " Never on \"Sundays\".\x00\n"}
	h := newHost(m)
	h.Event(t, question).WantReply(`Never on "Sundays".`).WantLabels(label)
	want := []string{"system: " + usualPrompt, "user: When are you open?", "assistant: From 9 to 5.", "user: Subject: Re: Opening hours\n\nAnd on Sundays?"}
	if fmt.Sprint(m.asked) != fmt.Sprint(want) || m.key != "Bearer hush" {
		t.Errorf("asked %q with %q, want %q", m.asked, m.key, want)
	}
	h.Config["prompt"] = "Be kind."
	m.text = strings.Repeat("ö", most)
	r := h.Event(t, question).WantOK()
	if m.asked[0] != "system: Be kind." || r.Verdict.Reply.Text != strings.Repeat("ö", most/2) {
		t.Errorf("asked %q, answers %d bytes", m.asked[0], len(r.Verdict.Reply.Text))
	}
}

func TestFailures(t *testing.T) {
	for _, tt := range []struct {
		name  string
		model *model
		fails string // the gateway tells it again
		says  string
	}{
		{"busy", &model{status: 503}, "answered 503", ""},
		{"too often", &model{status: 429}, "answered 429", ""},
		{"says nothing", &model{}, "the model answered nothing", ""},
		{"not known", &model{status: 404}, "", "error: the server answered 404: no such model"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost(tt.model)
			if r := h.Event(t, question); tt.fails != "" {
				r.WantFailure(tt.fails)
			} else {
				r.WantReply("")
			}
			if said := strings.Join(h.Lines, "\n"); !strings.Contains(said, tt.says) {
				t.Errorf("it said %q", said)
			}
		})
	}
}

// Where no program is to answer, and where nothing would come of it, nobody is asked.
func TestSilence(t *testing.T) {
	auto, junk, dry := question, question, question
	auto.Automated, junk.Folder, dry.DryRun = true, "Junk", true
	m := &model{text: "hello"}
	for _, mail := range []sdktest.Mail{auto, junk, dry} {
		newHost(m).Event(t, mail).WantReply("")
	}
	h := newHost(m)
	h.Config = nil
	h.Event(t, question).WantReply("")
	if m.times != 0 || len(h.Lines) != 1 {
		t.Errorf("asked %d times, said %q", m.times, h.Lines)
	}
}
