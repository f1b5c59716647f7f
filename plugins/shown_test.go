package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
	"github.com/centerleap/postern/sdk/abi"
)

// played is a message whose header and text are these.
type played struct{ header, text string }

func (p *played) Header() ([]gateway.HeaderField, error) {
	return []gateway.HeaderField{{Name: "X-A", Value: p.header}}, nil
}

func (p *played) Part(int) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(p.text)), nil
}

func (p *played) Text(int64) (string, bool, error) { return p.text, false, nil }

func guestOf(v *view) *guest {
	p := &Plugins{cfg: Config{Limits: gateway.DefaultLimits(), Log: slog.New(slog.DiscardHandler), Activity: noLog{}, Now: time.Now}}
	return newGuest(context.Background(), p, gateway.Scope{}, &gateway.Plugin{}, v, time.Time{})
}

func told(t *testing.T, g *guest, path string) string {
	t.Helper()
	v, err := g.Get(path)
	if err != nil && !errors.Is(err, abi.Absent) {
		t.Fatal(path, err)
	}
	return v
}

// Who is asked later is told what was decided before, whether or not somebody has looked
// at it already.
func TestDecided(t *testing.T) {
	shared := []string{"a", "b"}
	for _, looked := range []bool{false, true} {
		look := &gateway.Look{Message: &gateway.Message{}, Folder: gateway.Inbox, Labels: shared[:1], Flags: gateway.Flagged, Score: 1}
		v := &view{look: look, hook: gateway.HookInbound}
		for _, d := range []gateway.Verdict{
			{Folder: "News", Labels: []string{"c", "d"}, Score: 0.5},
			{Unlabel: []string{"a", "d"}, Labels: []string{"c", "e"}, Flags: gateway.Seen, Score: 2},
			{},
		} {
			if looked {
				if _, err := v.document(); err != nil {
					t.Fatal(err)
				}
			}
			v.decided(&d)
		}
		doc, err := v.document()
		if err != nil {
			t.Fatal(err)
		}
		var e abi.Event
		if err := json.Unmarshal(doc, &e); err != nil {
			t.Fatal(err)
		}
		if e.Folder != "News" || strings.Join(e.Labels, " ") != "c e" || strings.Join(e.Flags, " ") != `\Seen \Flagged` || e.Score != 3.5 {
			t.Errorf("looked %v: %s %v %v %v", looked, e.Folder, e.Labels, e.Flags, e.Score)
		}
		v.decided(&gateway.Verdict{Action: gateway.ActionQuarantine})
		v.decided(&gateway.Verdict{Folder: "Later"})
		if got := told(t, guestOf(v), "folder"); got != gateway.Junk {
			t.Errorf("looked %v: quarantined, then filed: %q", looked, got)
		}
	}
	if shared[1] != "b" {
		t.Errorf("the labels of others became %q", shared)
	}
}

// A message that one plugin changes is another to the next, whatever of it was read before.
func TestEditShown(t *testing.T) {
	p := &played{"one", "first"}
	look := &gateway.Look{Message: &gateway.Message{Content: gateway.Content{Subject: "s1"}}, Reading: p}
	look.Edit = func(v *gateway.Verdict) error {
		p.header, p.text = v.Edits[0].Value, "second"
		look.Message.Content.Subject = "s2"
		look.Message.Tags = []gateway.Tag{{Name: "t", Value: "v"}}
		look.Envelope.Recipients = []string{"only@b.test"}
		return nil
	}
	v := &view{look: look, hook: gateway.HookOutbound}
	first := guestOf(v)
	if got := told(t, first, "subject") + told(t, first, "text") + told(t, first, "headers.0.1"); got != "s1firstone" {
		t.Errorf("the first is told %q", got)
	}
	first.verdict = gateway.Verdict{Edits: []gateway.HeaderEdit{{Set: true, Name: "X-A", Value: "two"}}}
	if err := first.accepted(); err != nil {
		t.Fatal(err)
	}
	second := guestOf(v)
	value, err := second.Header("x-a", 0)
	got := told(t, second, "subject") + " " + told(t, second, "text") + " " + told(t, second, "tags.0.value") + " " + told(t, second, "envelope.rcpt_to.0") + " " + value
	if err != nil || got != "s2 second v only@b.test two" {
		t.Errorf("the second is told %q, %v", got, err)
	}
}

// What a message can't become is the plugin's mistake; what fails beside that is ours.
func TestEditFails(t *testing.T) {
	edits := gateway.Verdict{Tags: []gateway.Tag{{Name: "a"}}}
	denies := edits
	denies.Action = gateway.ActionDeny
	for _, tt := range []struct {
		name    string
		verdict gateway.Verdict
		err     error
		called  bool
		want    string
	}{
		{"too many fields", edits, gateway.Fieldf(gateway.InvalidParameter, "headers", "too many"), true, "refused"},
		{"too large", edits, gateway.Errorf(gateway.TooLarge, "header"), true, "refused"},
		{"no disk", edits, gateway.Errorf(gateway.Unavailable, "disk"), true, "ours"},
		{"no such body", edits, gateway.Errorf(gateway.NotFound, "blob"), true, "ours"},
		{"some fault", edits, io.ErrUnexpectedEOF, true, "ours"},
		{"fine", edits, nil, true, ""},
		{"changes nothing", gateway.Verdict{Labels: []string{"a"}}, io.EOF, false, ""},
		{"refuses it anyway", denies, io.EOF, false, ""},
	} {
		called := false
		g := guestOf(&view{look: &gateway.Look{Edit: func(*gateway.Verdict) error {
			called = true
			return tt.err
		}}})
		g.verdict = tt.verdict
		err, got := g.accepted(), ""
		if _, ours := errors.AsType[*sandbox.HostError](err); ours {
			got = "ours"
		} else if errors.Is(err, errRefused) {
			got = "refused"
		} else if err != nil {
			got = err.Error()
		}
		if got != tt.want || called != tt.called {
			t.Errorf("%s: %q (%v), edited %v; want %q, %v", tt.name, got, err, called, tt.want, tt.called)
		}
	}
}

// A tick is about no message: whatever a plugin asks about one is absent.
func TestNoMessage(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	look := &gateway.Look{Domain: "a.test", Tick: &gateway.Tick{ID: "t1", Scheduled: at, Previous: at.Add(-time.Minute)}}
	g := guestOf(&view{look: look, hook: gateway.HookTick})
	defer g.close()
	g.inst.Grants = abi.Permissions
	doc, err := g.Event()
	if err != nil || strings.Contains(string(doc), "null") {
		t.Errorf("%s %v", doc, err)
	}
	for path, want := range map[string]string{
		"id": "t1", "domain": "a.test", "scheduled": "2026-03-01T12:00:00Z", "previous": "2026-03-01T11:59:00Z", "subject": "", "text": "", "from.addr": "", "to.0.addr": "", "automated.reply_ok": "false",
	} {
		if got := told(t, g, path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
	if _, err := g.Header("From", 0); !errors.Is(err, abi.Absent) {
		t.Errorf("From: %v", err)
	}
	if n, err := g.HeaderCount("From"); n != 0 || err != nil {
		t.Errorf("%d fields, %v", n, err)
	}
	for _, part := range []int{-1, 0, 7} {
		if _, err := g.Part(part, 0, make([]byte, 10)); !errors.Is(err, abi.Absent) {
			t.Errorf("part %d: %v", part, err)
		}
	}
	g.plugins.note(g.inst, gateway.HookTick, look, []gateway.PluginLine{{Text: "tick"}}, io.EOF)
	if said := g.plugins.lines.waiting[0]; len(said) != 2 || !said[0].Email.IsZero() {
		t.Errorf("it said %+v", said)
	}
}

// An event says what happened, and which time it is told.
func TestOccasion(t *testing.T) {
	look := &gateway.Look{Message: &gateway.Message{}, Event: &gateway.Happening{ID: "e1", Type: "email.bounced", Detail: "x@b.test", Attempt: 3}}
	look.Automation = func() (gateway.Automation, error) { return gateway.Automation{Bulk: true, Silent: "bulk"}, nil }
	g := guestOf(&view{look: look, hook: gateway.HookEvent})
	for path, want := range map[string]string{"id": "e1", "type": "email.bounced", "detail": "x@b.test", "attempt": "3", "automated.bulk": "true", "automated.reply_ok": "false"} {
		if got := told(t, g, path); got != want {
			t.Errorf("%s is %q, want %q", path, got, want)
		}
	}
}
