package imapd_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
)

// modelFlags are those that clients change. The world knows no others.
var modelFlags = []string{`\Seen`, `\Flagged`, `\Deleted`, `\Answered`, "$one", "two"}

// slot is a message as a client knows it.
type slot struct {
	uid    uint32 // 0: it was told only that there is one
	token  string
	flags  []string // in the order of modelFlags; nil: not known
	heard  int      // the command in which it was last told of them
	modseq uint64
}

// picture is a mailbox as a client was told it is.
type picture struct {
	name     string
	validity uint32
	uidNext  uint32
	since    int64 // when it was opened
	opened   int   // how many of the messages were there then
	readOnly bool
	slots    []slot
	highest  uint64   // HIGHESTMODSEQ when it was opened
	earlier  []uint32 // UIDs of VANISHED (EARLIER)
	left     []uint32 // UIDs that have left, as it was told
}

// simulated is a client that does things at random and believes all that it is told.
type simulated struct {
	m      *model
	id     int
	rng    *rand.Rand
	c      *gatewaytest.IMAP  // nil while it is not connected
	box    *picture           // nil while none is selected
	idle   string             // the tag of an IDLE that runs
	modseq bool               // it is told mod-sequences
	uids   bool               // it is told UIDs of what left: VANISHED
	kept   map[uint32]picture // what it remembers of mailboxes, by UIDVALIDITY

	serial    int      // of the command that runs
	running   string   // its name
	mayRemove bool     // messages may leave meanwhile
	copyUID   string   // the code COPYUID that it was answered with
	numbers   []uint32 // what SEARCH found
	status    map[string]uint64
	listed    []string
}

// errOver ends a session as both sides may.
var errOver = errors.New("the session is over")

// hear takes an untagged response.
func (s *simulated) hear(r *imapread.Response) error {
	switch r.Name {
	case "BYE":
		if s.running == "LOGOUT" || s.box != nil && s.m.world.mayBeDeleted(s.box.validity) {
			return errOver
		}
		return fmt.Errorf("BYE %s", r.Text)
	case "EXISTS", "EXPUNGE", "FETCH", "VANISHED":
		if s.box == nil {
			return fmt.Errorf("%s while no mailbox is selected", r.Name)
		}
	}
	switch r.Name {
	case "OK":
		if strings.HasPrefix(r.Code, "COPYUID ") {
			s.copyUID = r.Code
		}
	case "SEARCH", "ESEARCH":
		s.numbers = r.Numbers
	case "STATUS":
		s.status = r.Status
	case "LIST":
		s.listed = append(s.listed, r.Mailbox)
	case "EXISTS":
		if int(r.Number) < len(s.box.slots) {
			return fmt.Errorf("%d EXISTS when there are %d messages", r.Number, len(s.box.slots))
		}
		s.box.slots = append(s.box.slots, make([]slot, int(r.Number)-len(s.box.slots))...)
	case "EXPUNGE":
		return s.hearExpunge(r)
	case "VANISHED":
		return s.hearVanished(r)
	case "FETCH":
		return s.hearFetch(r)
	}
	return nil
}

func (s *simulated) hearExpunge(r *imapread.Response) error {
	if n := int(r.Number); !s.mayRemove || s.uids || n > len(s.box.slots) {
		return fmt.Errorf("%d EXPUNGE during %s when there are %d messages", n, s.running, len(s.box.slots))
	}
	s.leave(int(r.Number) - 1)
	return nil
}

func (s *simulated) hearVanished(r *imapread.Response) error {
	if !s.uids || !r.Earlier && !s.mayRemove {
		return fmt.Errorf("VANISHED during %s", s.running)
	}
	if r.Earlier {
		s.box.earlier = append(s.box.earlier, r.Numbers...)
		return nil
	}
	for _, uid := range r.Numbers {
		i := slices.IndexFunc(s.box.slots, func(sl slot) bool { return sl.uid == uid })
		switch {
		case i >= 0:
			s.leave(i)
		case slices.ContainsFunc(s.box.slots, func(sl slot) bool { return sl.uid == 0 }):
			// One that it never learned the UID of: which it was, it can't know.
			return errOver
		default:
			return fmt.Errorf("UID %d VANISHED, which is not there", uid)
		}
	}
	return nil
}

// leave takes a message out.
func (s *simulated) leave(i int) {
	if uid := s.box.slots[i].uid; uid != 0 {
		s.m.world.sawGone(place{s.box.validity, uid}, fmt.Sprintf("what client %d was told", s.id))
		s.box.left = append(s.box.left, uid)
	}
	if s.box.slots = slices.Delete(s.box.slots, i, i+1); i < s.box.opened {
		s.box.opened--
	}
}

func (s *simulated) hearFetch(r *imapread.Response) error {
	n, f := int(r.Number), r.Fetch
	if n > len(s.box.slots) {
		return fmt.Errorf("%d FETCH when there are %d messages", n, len(s.box.slots))
	}
	sl := &s.box.slots[n-1]
	if f.UID != 0 {
		if sl.uid != 0 && sl.uid != f.UID {
			return fmt.Errorf("message %d had UID %d and has %d", n, sl.uid, f.UID)
		}
		if slices.Contains(s.box.left, f.UID) {
			return fmt.Errorf("UID %d is back", f.UID)
		}
		sl.uid = f.UID
		if s.box.opened > 0 && (n <= s.box.opened) != (f.UID < s.box.uidNext) {
			return fmt.Errorf("message %d has UID %d; UIDNEXT was %d when there were %d", n, f.UID, s.box.uidNext, s.box.opened)
		}
		if err := s.inOrder(n - 1); err != nil {
			return err
		}
	}
	if f.Flags != nil {
		sl.flags, sl.heard = ordered(f.Flags), s.serial
	}
	if f.ModSeq > 0 {
		if f.ModSeq < sl.modseq {
			return fmt.Errorf("the mod-sequence of message %d fell from %d to %d", n, sl.modseq, f.ModSeq)
		}
		sl.modseq = f.ModSeq
	}
	if head, ok := f.Sections["BODY[HEADER.FIELDS (SUBJECT)]"]; ok {
		token := strings.TrimSpace(strings.TrimPrefix(head, "Subject:"))
		if sl.token != "" && sl.token != token {
			return fmt.Errorf("message %d was %s and is %s", n, sl.token, token)
		}
		if sl.token = token; sl.uid != 0 {
			return s.m.world.met(place{s.box.validity, sl.uid}, token, s.box.since)
		}
	}
	return nil
}

// inOrder checks that UIDs rise around a slot.
func (s *simulated) inOrder(i int) error {
	for j, sl := range s.box.slots {
		if sl.uid != 0 && (j < i && sl.uid >= s.box.slots[i].uid || j > i && sl.uid <= s.box.slots[i].uid) {
			return fmt.Errorf("UID %d is number %d, and UID %d number %d", s.box.slots[i].uid, i+1, sl.uid, j+1)
		}
	}
	return nil
}

// ordered is a list of flags in the order of modelFlags; \Recent is never known.
func ordered(flags []string) []string {
	out := []string{}
	for _, known := range modelFlags {
		if slices.ContainsFunc(flags, func(f string) bool { return strings.EqualFold(f, known) }) {
			out = append(out, known)
		}
	}
	return out
}

func (s *simulated) begin(name string) {
	s.serial++
	s.running, s.copyUID, s.numbers, s.status, s.listed = name, "", nil, nil, nil
	s.mayRemove = name != "FETCH" && name != "STORE" && name != "SEARCH"
	s.m.commands.Add(1)
}

// do runs a command that may fail; it is nil if the session is over.
func (s *simulated) do(name string, parts ...string) (*imapread.Response, error) {
	s.begin(name)
	r, err := s.c.Do(s.hear, parts...)
	if err == nil && r.Name == "BAD" {
		err = fmt.Errorf("%.200q: BAD %s", parts[0], r.Text)
	}
	return r, err
}

// matches says how the picture differs from how things are.
func (p *picture) matches(t *truth) error {
	if len(p.slots) != len(t.uids) {
		return fmt.Errorf("%s: it was told of %d messages, and there are %d", p.name, len(p.slots), len(t.uids))
	}
	for i, sl := range p.slots {
		if sl.uid != 0 && sl.uid != t.uids[i] {
			return fmt.Errorf("%s: message %d has UID %d for it, and is %d", p.name, i+1, sl.uid, t.uids[i])
		}
		if sl.token != "" && sl.token != t.tokens[i] {
			return fmt.Errorf("%s: message %d is %s for it, and is %s", p.name, i+1, sl.token, t.tokens[i])
		}
		if sl.flags != nil && !slices.Equal(sl.flags, t.flags[i]) {
			return fmt.Errorf("%s: message %d has flags %q for it, and has %q", p.name, i+1, sl.flags, t.flags[i])
		}
	}
	return nil
}
