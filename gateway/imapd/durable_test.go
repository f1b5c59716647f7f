package imapd

import (
	"fmt"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// scattered are n UIDs with a gap behind each, as a set.
func scattered(n int) string {
	uids := make([]uint32, n)
	for i := range uids {
		uids[i] = uint32(2*i + 1)
	}
	return string(appendSet(nil, uids))
}

// What is durable is told, however long it is: no set of UIDs ends the connection.
func TestLongCodes(t *testing.T) {
	const many = 160_000 // a set of them is over maxResponse
	set := scattered(many)
	if len(set) < maxResponse {
		t.Fatalf("a set of %d bytes is no test", len(set))
	}
	refuseAll := func(k gateway.Known, _ gateway.FlagChange) (_ []gateway.Entry, others []uint32, err error) {
		for i := range k.Entries {
			others = append(others, k.Entries[i].UID)
		}
		return nil, others, nil
	}
	for _, tt := range []struct{ name, command, want, last string }{
		{"COPY", "b UID COPY 1:* Archive", "b OK [COPYUID 1 " + set + " " + set + "] COPY completed", ""},
		{"MOVE", "b MOVE 1:* Archive", "* OK [COPYUID 1 " + set + " " + set + "] moved", "b OK MOVE completed"},
		{
			"STORE", "b UID STORE 1:* (UNCHANGEDSINCE 1) +FLAGS (\\Seen)",
			"b OK [MODIFIED " + set + "] some of the messages have changed meanwhile", "",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStageOver(t, &stock{messages: many, copy: copied, flag: refuseAll}, nil)
			defer s.stop()
			c := s.user(t, "imaps")
			defer c.Close()
			c.until("s SELECT INBOX", "s OK")
			c.say(tt.command + "\r\n")
			if got := c.hears(); got != tt.want {
				t.Errorf("%d bytes that begin %.60q, want %d that begin %.60q", len(got), got, len(tt.want), tt.want)
			}
			if tt.last != "" {
				c.ask("", tt.last)
			}
			c.ask("c NOOP", "c OK")
		})
	}
}

// A change that fails behind its first commit tells what that did, whatever the client
// asked to hear, and then that it failed.
func TestHalfStored(t *testing.T) {
	half := func(k gateway.Known, c gateway.FlagChange) (after []gateway.Entry, others []uint32, err error) {
		for i := range k.Entries[:2] {
			e := k.Entries[i]
			e.Flags |= c.Add
			e.ModSeq = 10
			after = append(after, e)
		}
		return after, others, gateway.Errorf(gateway.Unavailable, "the disk is full")
	}
	told := func(format string) (lines []string) {
		for n := 1; n <= 2; n++ {
			lines = append(lines, strings.NewReplacer("<n>", fmt.Sprint(n), "<uid>", fmt.Sprint(2*n-1)).Replace(format))
		}
		return append(lines, "b NO [UNAVAILABLE] the disk is full")
	}
	for _, tt := range []struct {
		name, enable, command string
		want                  []string
	}{
		{"STORE", "", "b STORE 1:4 +FLAGS (\\Deleted)", told("* <n> FETCH (FLAGS (\\Deleted))")},
		{"silent", "", "b STORE 1:4 +FLAGS.SILENT (\\Deleted)", told("* <n> FETCH (FLAGS (\\Deleted))")},
		{"by UID", "", "b UID STORE 1:7 +FLAGS.SILENT (\\Deleted)", told("* <n> FETCH (UID <uid> FLAGS (\\Deleted))")},
		{
			"on a condition", "CONDSTORE", "b STORE 1:4 (UNCHANGEDSINCE 9) +FLAGS.SILENT (\\Deleted)",
			told("* <n> FETCH (UID <uid> FLAGS (\\Deleted) MODSEQ (10))"),
		},
		{"FETCH that marks", "", "b FETCH 1:4 BODY[]", told("* <n> FETCH (FLAGS (\\Seen))")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStageOver(t, &stock{messages: 9, body: 5, flag: half}, nil)
			defer s.stop()
			c := s.user(t, "imaps")
			defer c.Close()
			if tt.enable != "" {
				c.until("e ENABLE "+tt.enable, "e OK")
			}
			c.until("s SELECT INBOX", "s OK")
			got := strings.Join(c.until(tt.command, "b "), "\n")
			if want := strings.Join(tt.want, "\n"); got != want {
				t.Errorf("got %s\nwant %s", got, want)
			}
		})
	}
}

// A move that fails behind its first commit tells what has left, and where to.
func TestHalfMoved(t *testing.T) {
	s := newStageOver(t, &stock{messages: 9, copy: func(uids []uint32) ([]gateway.Moved, error) {
		all, _ := copied(uids[:2])
		return all, gateway.Errorf(gateway.OverQuota, "no room")
	}}, nil)
	defer s.stop()
	c := s.user(t, "imaps")
	defer c.Close()
	c.until("s SELECT INBOX", "s OK")
	c.ask("b MOVE 1:4 Archive", "* OK [COPYUID 1 1,3 1,3] moved")
	c.ask("", "b NO [OVERQUOTA] no room")
}
