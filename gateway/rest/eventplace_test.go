package rest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/rest"
)

// reader is a connection whose client has read all so far, and that knows until when it
// may be written to.
type reader struct {
	net.Conn
	until time.Time
	got   bytes.Buffer
	late  int   // writes that had no time left
	sizes []int // of the writes
}

func (c *reader) SetWriteDeadline(t time.Time) error {
	c.until = t
	return nil
}

func (c *reader) Write(b []byte) (int, error) {
	if !c.until.After(time.Now()) {
		c.late++
	}
	c.sizes = append(c.sizes, len(b))
	return c.got.Write(b)
}

// A long document begins to go out before the flush: by then the client has the whole time
// to read it, however long ago the last flush was.
func TestEventHasTime(t *testing.T) {
	c := &reader{until: time.Now().Add(-time.Minute)}
	rest.PutEvent(c, bufio.NewWriterSize(c, 4096), bytes.Repeat([]byte("x"), 64<<10))
	if len(c.sizes) == 0 || c.late > 0 {
		t.Errorf("%d writes, %d of them without time", len(c.sizes), c.late)
	}
}

// Each part of an event goes out by itself and is a place to go on from; parts of what is
// gone are left out.
func TestEventParts(t *testing.T) {
	gone := gateway.Errorf(gateway.NotFound, "gone")
	tests := []struct {
		name, last string
		none       []uint32
		want       string
	}{
		{"all", "", nil, "7.1=11 7.2=12 7=13"},
		{"behind another event", "6", nil, "7.1=11 7.2=12 7=13"},
		{"within another event", "6.2", nil, "7.1=11 7.2=12 7=13"},
		{"behind the first", "7.1", nil, "7.2=12 7=13"},
		{"behind all", "7.3", nil, ""},
		{"behind more than there are", "7.4294967295", nil, ""},
		{"the first is gone", "", []uint32{11}, "7.2=12 7=13"},
		{"the last is gone", "", []uint32{13}, "7.1=11 7.2=12"},
		{"behind the last that is there", "7.2", []uint32{13}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &reader{}
			n := &gateway.Event{Sequence: 7, Type: gateway.EventUpdated, UIDs: []uint32{11, 12, 13}}
			err := rest.TellParts(c, n, tt.last, func(uid uint32) ([]byte, error) {
				if bytes.Contains(fmt.Append(nil, tt.none), fmt.Append(nil, uid)) {
					return nil, gone
				}
				return fmt.Append(nil, uid), nil
			})
			var got []string
			for doc := range strings.SplitSeq(strings.TrimSuffix(c.got.String(), "\n\n"), "\n\n") {
				if id, rest, ok := strings.Cut(doc, "\nevent: email.updated\ndata: "); ok {
					got = append(got, strings.TrimPrefix(id, "id: ")+"="+rest)
				}
			}
			if err != nil || strings.Join(got, " ") != tt.want {
				t.Errorf("%v, %v; want %s", got, err, tt.want)
			}
			if len(c.sizes) != len(got) || c.late > 0 {
				t.Errorf("%d events in %d writes, %d of them without time", len(got), len(c.sizes), c.late)
			}
		})
	}
}

func TestParseEventPlace(t *testing.T) {
	tests := []struct {
		id    string
		after uint64
		seen  gateway.Position
		ok    bool
	}{
		{"0", 0, gateway.Position{}, true},
		{"12", 12, gateway.Position{}, true},
		{"12.3", 11, gateway.Position{Sequence: 12, Part: 3}, true},
		{"18446744073709551615", 1<<64 - 1, gateway.Position{}, true},
		{"18446744073709551616", 0, gateway.Position{}, false},
		{"12.4294967296", 0, gateway.Position{}, false},
		{"0.1", 0, gateway.Position{}, false},
		{"12.", 0, gateway.Position{}, false},
		{"12.-1", 0, gateway.Position{}, false},
		{".1", 0, gateway.Position{}, false},
		{"-1", 0, gateway.Position{}, false},
		{"+1", 0, gateway.Position{}, false},
		{"1e3", 0, gateway.Position{}, false},
		{"1.2.3", 0, gateway.Position{}, false},
		{" 1", 0, gateway.Position{}, false},
		{"", 0, gateway.Position{}, false},
	}
	for _, tt := range tests {
		after, seen, ok := rest.ParseEventPlace(tt.id)
		if ok != tt.ok || ok && (after != tt.after || seen != tt.seen) {
			t.Errorf("%q is %d, %v, %t; want %d, %v, %t", tt.id, after, seen, ok, tt.after, tt.seen, tt.ok)
		}
	}
}
