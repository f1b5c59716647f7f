package dashboard

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// Every kind of thing that can happen to a message has its words in the trace.
func TestMoments(t *testing.T) {
	at := time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC)
	subject := "New"
	delivery := &gateway.Delivery{Recipient: "ann@elsewhere.example"}
	tests := []struct {
		name  string
		of    mailbox.Moment
		title string
		marks string
		facts []string // among others
	}{
		{
			"received",
			mailbox.Moment{Kind: mailbox.Received, Arrival: &mailbox.Arrival{Helo: "peer.example", IP: "192.0.2.1", Protocol: "ESMTPS"}},
			"Received", "",
			[]string{"From: peer.example (192.0.2.1)", "Protocol: ESMTPS", "Return path: none", "For: bot@demo.localhost"},
		},
		{"from inside", mailbox.Moment{Kind: mailbox.Received, Arrival: &mailbox.Arrival{Protocol: "LOCAL"}}, "Received", "", []string{"From: this gateway"}},
		{"sent", mailbox.Moment{Kind: mailbox.Accepted}, "Sent by bot@demo.localhost", "", []string{"To: bot@demo.localhost"}},
		{
			"passed",
			mailbox.Moment{Kind: mailbox.Checked, Check: &mailbox.Check{Method: "spf", AuthResult: gateway.AuthResult{Result: "pass", Domain: "a.example"}}},
			checksTitle, "good SPF pass",
			[]string{"SPF: pass for a.example"},
		},
		{
			"failed",
			mailbox.Moment{Kind: mailbox.Checked, Check: &mailbox.Check{Method: "dmarc", AuthResult: gateway.AuthResult{Result: "fail", Reason: "no match"}, Policy: gateway.DispositionReject, Disposition: gateway.DispositionQuarantine}},
			checksTitle, "bad DMARC fail",
			[]string{"DMARC: fail: no match", "DMARC policy: reject; done: quarantine"},
		},
		{
			"not known",
			mailbox.Moment{Kind: mailbox.Checked, Check: &mailbox.Check{Method: "dkim", AuthResult: gateway.AuthResult{Result: "temperror"}}},
			checksTitle, "wait DKIM temperror", nil,
		},
		{
			"plugin accepts",
			mailbox.Moment{Kind: mailbox.Asked, Step: &gateway.Step{Hook: gateway.HookInbound, Name: "spam", Version: "1.2", Verdict: gateway.Verdict{Labels: []string{"a", "b"}, Score: 1.5}}},
			"Plugin spam was asked, hook inbound", "good accept",
			[]string{"Of: the domain", "Version: 1.2", "Labels: a, b", "Score: 1.5"},
		},
		{
			"plugin rejects",
			mailbox.Moment{Kind: mailbox.Asked, Step: &gateway.Step{Hook: gateway.HookInbound, Account: 7, Name: "spam", Reason: "it sells", Verdict: gateway.Verdict{Action: gateway.ActionReject, Code: 550, Text: "no"}}},
			"Plugin spam was asked, hook inbound", "bad reject",
			[]string{"Of: the account", "Reason: it sells", "Told the sender: 550 no", "Version: 000000000000"},
		},
		{
			"plugin changes",
			mailbox.Moment{Kind: mailbox.Asked, Step: &gateway.Step{Hook: gateway.HookOutbound, Name: "sign", Verdict: gateway.Verdict{
				Subject: &subject, Body: &gateway.Body{Text: "x"}, Headers: []gateway.HeaderField{{Name: "X-A", Value: "b"}}, Final: true,
				Edits: []gateway.HeaderEdit{{Set: true, Name: "X-C", Value: "d"}, {Name: "X-E"}}, Tags: []gateway.Tag{{Name: "n", Value: "v"}}, Remove: []string{"z@b.example"}, Redirect: []string{"y@b.example"},
			}}},
			"Plugin sign was asked, hook outbound", "good allow",
			[]string{"Subject: New", "Text: written anew", "Header added: X-A: b", "Header set: X-C: d", "Header removed: X-E", "Tag: n: v", "Recipients taken off: z@b.example", "Sent on to: y@b.example"},
		},
		{
			"plugin fails",
			mailbox.Moment{Kind: mailbox.Asked, Step: &gateway.Step{Hook: gateway.HookInbound, Name: "spam", Failure: "out of fuel", Verdict: gateway.Verdict{Action: gateway.ActionTempfail}}},
			"Plugin spam was asked, hook inbound", "bad failed, wait tempfail, by its failure policy",
			[]string{"Failure: out of fuel"},
		},
		{
			"plugin rests",
			mailbox.Moment{Kind: mailbox.Asked, Step: &gateway.Step{Hook: gateway.HookThread, Name: "spam", Paused: true}},
			"Plugin spam was not asked, hook thread", "bad paused, good accept, by its failure policy", nil,
		},
		{"thread", mailbox.Moment{Kind: mailbox.Joined}, "Part of a conversation", "", []string{"Place: 3 of 5", "Because of: the messages that it refers to"}},
		{"stored", mailbox.Moment{Kind: mailbox.Stored}, "Stored in Junk", "", []string{"Labels: spam"}},
		{
			"attempt",
			mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliveryDelivered, Attempt: 2, Code: 250, Text: "2.0.0 taken", Host: "mx.elsewhere.example", TLS: "TLS 1.3", Phase: "data"}},
			"Attempt 2 to deliver to ann@elsewhere.example", "good delivered",
			[]string{"Host: mx.elsewhere.example", "TLS: TLS 1.3", "Came as far as: data", "Answer: 250 2.0.0 taken"},
		},
		{"held", mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliveryHeld, Held: gateway.HeldPlugin}}, "Held, on its way to ann@elsewhere.example", "wait held", []string{"Held by: plugin"}},
		{"released", mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliveryQueued, Held: gateway.HeldPlugin}}, "Released, to go to ann@elsewhere.example", "wait queued", nil},
		{"late", mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliveryQueued}}, "Another host says that it is late for ann@elsewhere.example", "wait queued", nil},
		{"bounced", mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliveryBounced}}, "Came back from ann@elsewhere.example", "bad bounced", nil},
		{"suppressed", mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliverySuppressed}}, "Not sent, by the list of suppressions, to ann@elsewhere.example", "bad suppressed", nil},
		{"complained", mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliveryComplained}}, "Called unwanted by ann@elsewhere.example", "bad complained", nil},
		{"canceled", mailbox.Moment{Kind: mailbox.Delivered, Delivery: delivery, Turn: &gateway.Turn{State: gateway.DeliveryCanceled}}, "Canceled, on its way to ann@elsewhere.example", "wait canceled", nil},
	}
	d := &Dashboard{cfg: Config{Limits: gateway.DefaultLimits()}}
	tab := &traceTab{messagePage: &messagePage{Item: mailbox.Item{
		Message: &gateway.Message{Recipients: []string{"bot@demo.localhost"}, Position: 2}, Email: "bot@demo.localhost", Folder: "Junk", Entry: gateway.Entry{Labels: []string{"spam"}},
	}}, Trace: mailbox.Trace{Count: 5, By: mailbox.ByReferences}}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.of.At = at
			m := d.momentOf(tab, &tt.of)
			var marks, facts []string
			for _, k := range m.Marks {
				marks = append(marks, k.State+" "+k.Name)
			}
			for _, f := range m.Facts {
				facts = append(facts, f.Name+": "+f.Value)
			}
			if m.Title != tt.title || strings.Join(marks, ", ") != tt.marks {
				t.Errorf("%q, %q", m.Title, marks)
			}
			for _, want := range tt.facts {
				if !slices.Contains(facts, want) {
					t.Errorf("%q is not among %q", want, facts)
				}
			}
		})
	}
}

// What a plugin took is told beside what it may take, and when beside the first moment.
func TestMeters(t *testing.T) {
	d := &Dashboard{cfg: Config{Limits: gateway.DefaultLimits()}}
	for _, tt := range []struct {
		hook gateway.Hook
		want string
	}{{gateway.HookInbound, "1.5 ms of 250.0 ms, 3 host calls; 12,345 of 200,000,000"}, {gateway.HookEvent, "1.5 ms of 30.0 s, 3 host calls; 12,345 of 200,000,000"}} {
		var m moment
		d.asked(&m, &gateway.Step{Hook: tt.hook, Took: 1500 * time.Microsecond, Fuel: 12345, Calls: 3})
		if got := m.Meter.Took + "; " + m.Meter.Fuel; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.hook, got, tt.want)
		}
	}
	for took, want := range map[time.Duration]string{0: "0 µs", 999 * time.Microsecond: "999 µs", 1200 * time.Microsecond: "1.2 ms", 2500 * time.Millisecond: "2.5 s", 90 * time.Second: "1m30s"} {
		if got := lasted(took); got != want {
			t.Errorf("lasted(%d) is %q, want %q", took, got, want)
		}
	}
	start := time.Now()
	tab := traceTab{messagePage: &messagePage{}}
	for _, m := range []moment{{At: start, Title: "Received"}, {At: start, Title: checksTitle, Marks: []mark{{}}}, {At: start, Title: checksTitle, Marks: []mark{{}}}, {At: start.Add(3 * time.Second), Title: "Stored"}} {
		tab.add(m)
	}
	if got := fmt.Sprintf("%d %d %q %q %q", len(tab.Moments), len(tab.Moments[1].Marks), tab.Moments[0].After, tab.Moments[1].After, tab.Moments[2].After); got != `3 2 "" "0 ms" "3.0 s"` {
		t.Errorf("the line of time is %s", got)
	}
}
