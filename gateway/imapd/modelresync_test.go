package imapd_test

import (
	"cmp"
	"fmt"
	"slices"
)

// keep remembers a mailbox, if the client knows all of it, for a later SELECT with QRESYNC.
// What it knows may be newer than the mod-sequence that it remembers, as RFC 7162 allows.
func (s *simulated) keep() {
	if s.box == nil || s.box.highest == 0 || s.kept == nil || len(s.box.slots) == 0 {
		return
	}
	if slices.ContainsFunc(s.box.slots, func(sl slot) bool { return sl.uid == 0 || sl.flags == nil }) {
		return
	}
	p := *s.box
	p.slots = slices.Clone(p.slots)
	s.kept[p.validity] = p
}

// recall is what the client remembers of a mailbox of some name, if it wants to use that:
// of one that was renamed, it is what the server must not take.
func (s *simulated) recall(name string) *picture {
	if !s.uids || s.chance(1, 3) {
		return nil
	}
	var best *picture
	for _, p := range s.kept {
		if p.name == name && (best == nil || p.validity > best.validity) {
			best = &p
		}
	}
	return best
}

// resync is the parameter of SELECT; empty if there is nothing to go on from.
func (p *picture) resync() string {
	if p == nil {
		return ""
	}
	last := p.slots[len(p.slots)-1].uid
	if p.named() {
		return fmt.Sprintf(" (QRESYNC (%d %d 1:%d))", p.validity, p.highest, last)
	}
	return fmt.Sprintf(" (QRESYNC (%d %d))", p.validity, p.highest)
}

// named reports whether the client names the UIDs that it knows: then it is told of no
// others, RFC 7162 section 3.2.5.
func (p *picture) named() bool { return p.highest%2 == 0 }

// resume makes the picture of what was remembered, what has vanished, and what FETCH told:
// that must be the whole mailbox.
func (s *simulated) resume(known *picture) error {
	told := slices.Clone(s.box.slots)
	all := slices.DeleteFunc(slices.Clone(known.slots), func(sl slot) bool { return slices.Contains(s.box.earlier, sl.uid) })
	for _, t := range told {
		if t.uid == 0 {
			continue
		}
		i := slices.IndexFunc(all, func(sl slot) bool { return sl.uid == t.uid })
		if i < 0 {
			all = append(all, t)
			continue
		}
		all[i].flags = t.flags
		all[i].modseq = t.modseq
	}
	slices.SortFunc(all, func(a, b slot) int { return cmp.Compare(a.uid, b.uid) })
	for known.named() && len(all) < len(told) {
		all = append(all, slot{}) // it came since
	}
	if len(all) != len(told) {
		return fmt.Errorf("QRESYNC from %d leaves %d messages for the client; %d EXISTS", known.highest, len(all), len(told))
	}
	for i, t := range told {
		if t.uid != 0 && all[i].uid != t.uid {
			return fmt.Errorf("QRESYNC from %d: message %d has UID %d and is number %d for the client", known.highest, i+1, t.uid, i+1)
		}
	}
	s.box.slots = all
	return nil
}
