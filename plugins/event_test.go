package plugins

import (
	"errors"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// noted is a message that notes what is read of it.
type noted struct {
	played
	read []string
	fail error
}

func (n *noted) Header() ([]gateway.HeaderField, error) {
	n.read = append(n.read, "header")
	if n.fail != nil {
		return nil, n.fail
	}
	return n.played.Header()
}

func (n *noted) Text(most int64) (string, bool, error) {
	n.read = append(n.read, "text")
	return n.played.Text(most)
}

func (n *noted) look() *gateway.Look {
	return &gateway.Look{
		Message: &gateway.Message{Content: gateway.Content{Subject: "hi"}}, Reading: n,
		Automation: func() (gateway.Automation, error) {
			n.read = append(n.read, "automation")
			return gateway.Automation{List: true}, nil
		},
		Candidates: func() ([]gateway.Thread, error) {
			n.read = append(n.read, "candidates")
			return []gateway.Thread{{Subject: "before"}}, nil
		},
	}
}

// What takes something to find out is found out when it is asked for, and once.
func TestCostly(t *testing.T) {
	for _, tt := range []struct {
		path, value string
		read        []string
	}{
		{"subject", "hi", nil},
		{"hook", "thread", nil},
		{"headers.0.1", "a", []string{"header"}},
		{"text", "b", []string{"text"}},
		{"text_truncated", "false", []string{"text"}},
		{"automated.list", "true", []string{"automation"}},
		{"candidates.0.subject", "before", []string{"candidates"}},
		{"nothing", "", nil},
	} {
		t.Run(tt.path, func(t *testing.T) {
			n := &noted{played: played{"a", "b"}}
			g := guestOf(&view{look: n.look(), hook: gateway.HookThread})
			for range 2 {
				if got := told(t, g, tt.path); got != tt.value || !slices.Equal(n.read, tt.read) {
					t.Errorf("%q after %v, want %q after %v", got, n.read, tt.value, tt.read)
				}
			}
			for range 2 {
				if _, err := g.Event(); err != nil || len(n.read) != 4 {
					t.Errorf("%v: for the document %v were read", err, n.read)
				}
			}
		})
	}
}

// What could not be read is an error, and is read again by the next who asks.
func TestCostlyFails(t *testing.T) {
	n := &noted{played: played{"a", "b"}, fail: errors.New("the disk is gone")}
	g := guestOf(&view{look: n.look(), hook: gateway.HookInbound})
	if _, err := g.Get("headers.0.1"); !errors.Is(err, n.fail) {
		t.Errorf("got %v", err)
	}
	if _, err := g.Event(); !errors.Is(err, n.fail) {
		t.Errorf("got %v", err)
	}
	n.fail = nil
	if got := told(t, g, "headers.0.1"); got != "a" || told(t, g, "headers.1.1") != "" {
		t.Errorf("got %q", got)
	}
}
