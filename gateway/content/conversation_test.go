package content

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// spoken is a store with one conversation of account 5, whose messages have these texts,
// the newest first.
type spoken struct {
	texts []string
	most  int
	err   error
}

const mailHead = "Content-Type: text/plain\r\n\r\n"

func (s *spoken) Conversation(_ context.Context, _ gateway.Scope, id gateway.ID, most int) (gateway.Thread, []*gateway.Message, error) {
	if s.most = most; s.err != nil {
		return gateway.Thread{}, nil, s.err
	}
	var all []*gateway.Message
	for i, text := range s.texts {
		c, err := Scan(strings.NewReader(mailHead+text), gateway.DefaultLimits())
		if err != nil {
			return gateway.Thread{}, nil, err
		}
		all = append(all, &gateway.Message{Blob: gateway.Blob{ID: uint64(i)}, Content: *c})
	}
	return gateway.Thread{ID: id, Account: 5, Count: 9}, all, nil
}

func (s *spoken) OpenBlob(_ context.Context, _ gateway.Scope, b gateway.Blob, off, n int64) (io.ReadCloser, error) {
	return io.NopCloser(io.LimitReader(strings.NewReader((mailHead + s.texts[b.ID])[off:]), n)), nil
}

// A conversation is what was said last, in the order it was said, and only so much of it.
func TestReadConversation(t *testing.T) {
	lim := gateway.DefaultLimits()
	lim.PluginThreadText, lim.PluginThreadMessages = 10, 7
	s := &spoken{texts: []string{"the newest, which is long", "short", ""}}
	read := func(a gateway.AccountID, id gateway.ID) (*gateway.Conversation, error) {
		return ReadConversation(t.Context(), gateway.Scope{}, s, a, id, lim)
	}
	c, err := read(5, gateway.ID{1})
	if err != nil || c.ID != (gateway.ID{1}) || c.Count != 9 || len(c.Messages) != 3 || s.most != 7 {
		t.Fatalf("%+v %v, asked for %d", c, err, s.most)
	}
	for i, want := range []gateway.Said{{Text: ""}, {Text: "short"}, {Text: "the newest", Cut: true}} {
		if got := c.Messages[i]; strings.TrimSpace(got.Text) != want.Text || got.Cut != want.Cut {
			t.Errorf("%d: %q %v, want %+v", i, got.Text, got.Cut, want)
		}
	}
	for name, c := range map[string]*gateway.Conversation{"another account's": well(t)(read(6, gateway.ID{1})), "of no message": well(t)(read(5, gateway.ID{}))} {
		if c != nil {
			t.Errorf("%s: %+v", name, c)
		}
	}
	if s.err = gateway.Errorf(gateway.NotFound, "no such thread"); well(t)(read(5, gateway.ID{1})) != nil {
		t.Error("one that is not there")
	}
	s.err = io.ErrUnexpectedEOF
	if _, err := read(5, gateway.ID{1}); !errors.Is(err, s.err) {
		t.Errorf("a store that fails: %v", err)
	}
}

// well is for who expects no error.
func well(t *testing.T) func(*gateway.Conversation, error) *gateway.Conversation {
	return func(c *gateway.Conversation, err error) *gateway.Conversation {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		return c
	}
}
