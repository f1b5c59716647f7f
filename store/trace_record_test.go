package store

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

func aStep() gateway.Step {
	at := func(n int64) time.Time { return time.UnixMilli(n).UTC() }
	subject := ""
	return gateway.Step{
		At: at(1000), Hook: gateway.HookOutbound, Account: 4, Mailbox: "ann@x.test", Plugin: gateway.ID{3}, Name: "filter", Version: "2", SHA256: [32]byte{2},
		Verdict: gateway.Verdict{
			Action: gateway.ActionReject, Code: 550, Text: "no", Folder: "f", Flags: gateway.Seen, Labels: []string{"l", "m"}, Unlabel: []string{"u"},
			Redirect: []string{"r@x.test"}, Keep: true, Headers: []gateway.HeaderField{{Name: "n", Value: "v"}, {Name: "o"}},
			Edits: []gateway.HeaderEdit{{Set: true, Name: "n", Value: "v"}, {Name: "o"}}, Subject: &subject, Body: &gateway.Body{Text: "t", HTML: "h"},
			Tags: []gateway.Tag{{Name: "n", Value: "v"}}, Remove: []string{"x"}, Until: at(5000),
			Reply:  &gateway.AutoReply{Plugin: gateway.ID{3}, From: "f", Subject: "s", Body: gateway.Body{Text: "t", HTML: "h"}},
			Thread: gateway.ThreadChoice{Join: gateway.ID{1}, New: true, Merge: []gateway.ID{{2}}, Take: []gateway.ID{{3}, {4}}}, Score: -1.5, Final: true,
		},
		Reason: "r", Failure: "trap", Paused: true, Fuel: 100, Calls: 3, Took: 12345 * time.Nanosecond,
		Lines: []gateway.PluginLine{{Level: gateway.LineError, Text: "x"}, {Text: "y"}}, Event: gateway.EventReceived, Sequence: 9,
	}
}

// A step is read as it was written, all of it.
func TestStepRecord(t *testing.T) {
	want := aStep()
	for i, v := 0, reflect.ValueOf(want); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tested", v.Type().Field(i).Name)
		}
	}
	for i, v := 0, reflect.ValueOf(want.Verdict); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("Verdict.%s is not tested", v.Type().Field(i).Name)
		}
	}
	plain := gateway.Step{Name: "plain"}
	tr, err := decodeTrace(encodeTrace(&gateway.Trace{LeftOut: 2}, []gateway.Step{want, plain}, 10, 10000))
	if err != nil || !reflect.DeepEqual(tr, gateway.Trace{Steps: []gateway.Step{want, plain}, LeftOut: 2}) {
		t.Errorf("%v: %+v\nwant %+v", err, tr, want)
	}
}

// A trace is as long as it may be: lines go first, then steps, which are counted; what
// was there stays.
func TestTraceBounds(t *testing.T) {
	said := func(name string, n int) gateway.Step {
		return gateway.Step{Name: name, Lines: []gateway.PluginLine{{Text: strings.Repeat("x", n)}}}
	}
	many := make([]gateway.Step, 9)
	for _, tt := range []struct {
		name         string
		was          gateway.Trace
		more         []gateway.Step
		steps, bytes int64
		want         string
	}{
		{"room", gateway.Trace{}, []gateway.Step{said("a", 10), said("b", 10)}, 9, 900, "a+1 b+1 0"},
		{"no room for lines", gateway.Trace{}, []gateway.Step{said("a", 300), said("b", 300), said("c", 10)}, 9, 500, "a+1 b+0 c+1 0"},
		{"none for steps", gateway.Trace{Steps: []gateway.Step{said("a", 400)}, LeftOut: 1}, []gateway.Step{said("b", 1), said("c", 0)}, 9, 450, "a+1 3"},
		{"too many", gateway.Trace{Steps: []gateway.Step{{Name: "a"}}}, many, 3, 9000, "a+0 +0 +0 7"},
		{"a lowered limit", gateway.Trace{Steps: many[:5]}, many[:1], 3, 90, "+0 +0 +0 +0 +0 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := encodeTrace(&tt.was, tt.more, tt.steps, tt.bytes)
			tr, err := decodeTrace(b)
			got := ""
			for _, s := range tr.Steps {
				got += fmt.Sprintf("%s+%d ", s.Name, len(s.Lines))
			}
			if got += fmt.Sprint(tr.LeftOut); got != tt.want || err != nil {
				t.Errorf("%s, %v; want %s", got, err, tt.want)
			}
			if int64(len(b)) > tt.bytes+3 && len(tt.was.Steps) < 5 { // the count of what is left out is not counted
				t.Errorf("%d bytes", len(b))
			}
		})
	}
}

// A delivery is read as it was written, with its turns, and so is one from before there
// were any.
func TestDeliveryTurns(t *testing.T) {
	turn := gateway.Turn{
		At: time.UnixMilli(1000).UTC(), State: gateway.DeliveryQueued, Held: gateway.HeldPlugin, Attempt: 2, Code: 450, Text: "4.2.1 later", Host: "mx.x.test", TLS: "TLS 1.3", Phase: "rcpt",
	}
	for i, v := 0, reflect.ValueOf(turn); i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not tested", v.Type().Field(i).Name)
		}
	}
	for _, turns := range [][]gateway.Turn{nil, {turn, {State: gateway.DeliveryDelivered}}} {
		want := gateway.Delivery{ID: gateway.ID{1}, Domain: 2, Recipient: "x", Turns: turns}
		got, err := decodeDelivery(2, want.ID, encodeDelivery(&want))
		if err != nil || !reflect.DeepEqual(*got, want) {
			t.Errorf("%v: %+v\nwant %+v", err, *got, want)
		}
	}
}
