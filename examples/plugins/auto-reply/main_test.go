package main

import (
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk/sdktest"
)

func newHost() *sdktest.Host {
	h := sdktest.NewHost(sdktest.Manifest("manifest.json"))
	h.Config["text"] = "I am away."
	return h
}

var letter = sdktest.Mail{From: "Ann <ann@x.example>", Subject: "Lunch?"}

func TestSample(t *testing.T) {
	newHost().Event(t, sdktest.File("testdata/letter.eml")).WantReply("I am away.")
}

func TestAnswersOnce(t *testing.T) {
	h := newHost()
	answers := func(m sdktest.Mail, want string) {
		t.Helper()
		h.Event(t, m).WantReply(want)
	}
	answers(letter, "I am away.")
	if s := h.Replies[0].Subject; s != "Auto: Lunch?" {
		t.Errorf("subject %q", s)
	}
	long := letter
	long.From, long.Subject = "eve@x.example", "a\r\nb"+strings.Repeat("ö", 300)
	answers(long, "I am away.")
	if s := h.Replies[1].Subject; s != "Auto: ab"+strings.Repeat("ö", 99) {
		t.Errorf("subject %q", s)
	}
	answers(letter, "")
	again := letter
	again.From, again.Subject = "ANN@x.example", "Dinner?"
	answers(again, "")
	other := letter
	other.From = "bob@x.example"
	answers(other, "I am away.")
	mailbox := letter
	mailbox.Mailbox = "other@demo.localhost"
	answers(mailbox, "I am away.")

	h.Clock = h.Clock.Add(7*24*time.Hour - time.Second)
	answers(letter, "")
	h.Clock = h.Clock.Add(time.Second)
	answers(letter, "I am away.")

	h.Config["text"], h.Config["subject"] = "Back on Monday.", "Away"
	answers(letter, "Back on Monday.")
	if s := h.Replies[len(h.Replies)-1].Subject; s != "Away" {
		t.Errorf("subject %q", s)
	}
	answers(letter, "")
}

// Programs and lists get no answer, and who wrote through them is not taken for answered.
func TestSilence(t *testing.T) {
	h := newHost()
	list, auto, program, junk := letter, letter, letter, letter
	list.Header = [][2]string{{"List-Id", "<l.x.example>"}}
	auto.Header = [][2]string{{"Auto-Submitted", "auto-generated"}}
	program.Automated = true
	junk.Folder = "Junk"
	for _, m := range []sdktest.Mail{list, auto, program, junk} {
		h.Event(t, m).WantReply("")
	}
	h.Event(t, letter).WantReply("I am away.")
}

func TestSettings(t *testing.T) {
	noon := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, from, until, text string
		at                      time.Time
		answers                 bool
		says                    string
	}{
		{"no text", "", "", "", noon, false, ""},
		{"always", "", "", "away", noon, true, ""},
		{"before the first day", "2026-07-02", "", "away", noon, false, ""},
		{"on the first day", "2026-07-01", "", "away", noon, true, ""},
		{"on the last day", "", "2026-07-01", "away", noon, true, ""},
		{"after the last day", "", "2026-06-30", "away", noon, false, ""},
		{"a time", "2026-07-01T14:00:00+02:00", "2026-07-01T12:00:01Z", "away", noon, true, ""},
		{"until a time", "", "2026-07-01T12:00:00Z", "away", noon, false, ""},
		{"no day", "tomorrow", "", "away", noon, false, `error: from is a day`},
		{"nor the other", "", "1.7.2026", "away", noon, false, `not "1.7.2026"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHost()
			h.Clock = tt.at
			h.Config["from"], h.Config["until"], h.Config["text"] = tt.from, tt.until, tt.text
			want := ""
			if tt.answers {
				want = "away"
			}
			h.Event(t, letter).WantReply(want)
			if said := strings.Join(h.Lines, "\n"); !strings.Contains(said, tt.says) || tt.says == "" && said != "" {
				t.Errorf("it said %q, want %q", said, tt.says)
			}
		})
	}
}

func TestDays(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 7, "1": 1, "30": 30, "0": 7, "x": 7, "366": 7} {
		h := newHost()
		h.Config["days"] = text
		h.Event(t, letter).WantReply("away")
		h.Clock = h.Clock.Add(want*24*time.Hour - time.Second)
		h.Event(t, letter).WantReply("")
		h.Clock = h.Clock.Add(time.Second)
		h.Event(t, letter).WantReply("away")
	}
}
