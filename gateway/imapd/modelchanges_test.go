package imapd_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
)

// some are the numbers, from 0, of some messages that the client knows all of; none if
// there is none. at is where they stand.
func (s *simulated) some() (numbers []int, at []place) {
	for i, sl := range s.box.slots {
		if sl.token != "" && sl.uid != 0 && (s.chance(1, 4) || len(numbers) == 0 && i == len(s.box.slots)-1) {
			numbers = append(numbers, i)
			at = append(at, place{s.box.validity, sl.uid})
		}
	}
	return numbers, at
}

// set names messages by number or, in half of the commands, by UID.
func (s *simulated) set(numbers []int) (prefix, set string) {
	byUID := s.chance(1, 2)
	var list []string
	for _, n := range numbers {
		if byUID {
			list = append(list, strconv.FormatUint(uint64(s.box.slots[n].uid), 10))
		} else {
			list = append(list, strconv.Itoa(n+1))
		}
	}
	s.rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if byUID {
		prefix = "UID "
	}
	return prefix, strings.Join(list, ",")
}

func (s *simulated) someFlags() (flags []string) {
	for _, f := range modelFlags {
		if s.chance(1, 3) {
			flags = append(flags, f)
		}
	}
	return flags
}

// changed is what flags a client believes that its own change leaves.
func changed(flags []string, op string, named []string) []string {
	var out []string
	for _, f := range modelFlags {
		had, is := slices.Contains(flags, f), slices.Contains(named, f)
		if op == "FLAGS" && is || op == "+FLAGS" && (had || is) || op == "-FLAGS" && had && !is {
			out = append(out, f)
		}
	}
	return ordered(out)
}

func (s *simulated) store() error {
	numbers, at := s.some()
	op, flags := []string{"+FLAGS", "+FLAGS", "-FLAGS", "FLAGS"}[s.rng.IntN(4)], s.someFlags()
	if len(numbers) == 0 || len(flags) == 0 && op != "FLAGS" {
		return s.learn()
	}
	return s.storeThese(numbers, at, op, flags)
}

func (s *simulated) storeThese(numbers []int, at []place, op string, flags []string) error {
	prefix, set := s.set(numbers)
	silent := ""
	if s.chance(1, 2) {
		silent = ".SILENT"
	}
	from := s.m.world.begin()
	r, err := s.do(prefix+"STORE", fmt.Sprintf("%sSTORE %s %s%s (%s)", prefix, set, op, silent, strings.Join(flags, " ")))
	ok := err == nil && r.Name == "OK"
	s.m.world.stored(from, at, op, flags, ok && !s.box.readOnly)
	switch {
	case err != nil:
		return err
	case ok && s.box.readOnly:
		return fmt.Errorf("STORE was OK after EXAMINE")
	case s.box.readOnly:
		return nil
	case !ok:
		if err := s.refused(r); err != nil {
			return err
		}
	}
	for i := range s.box.slots {
		sl := &s.box.slots[i]
		if sl.heard == s.serial || !slices.Contains(at, place{s.box.validity, sl.uid}) {
			continue
		}
		switch {
		case !ok:
			sl.flags = nil
		case silent == "" && s.mayRemove:
			return fmt.Errorf("STORE said nothing of message %d, UID %d", i+1, sl.uid)
		case silent == "": // it has left, and is told of later
		case sl.flags != nil:
			sl.flags = changed(sl.flags, op, flags)
		}
	}
	return nil
}

// clear marks messages as deleted and removes them, so that a mailbox stays small.
func (s *simulated) clear() error {
	numbers, at := s.some()
	if len(numbers) == 0 {
		return s.learn()
	}
	if s.box.readOnly {
		return s.selectBox()
	}
	if err := s.storeThese(numbers, at, "+FLAGS", []string{`\Deleted`}); err != nil {
		return err
	}
	return s.expunge()
}

func (s *simulated) expunge() error {
	var marked []uint32
	for _, sl := range s.box.slots {
		if slices.Contains(sl.flags, `\Deleted`) && sl.uid != 0 {
			marked = append(marked, sl.uid)
		}
	}
	name, command := "EXPUNGE", "EXPUNGE"
	if len(marked) > 0 && s.chance(1, 3) {
		marked = marked[:1+s.rng.IntN(len(marked))]
		name, command = "UID EXPUNGE", fmt.Sprintf("UID EXPUNGE %d:%d", marked[0], marked[len(marked)-1])
	}
	from := s.m.world.begin()
	if !s.box.readOnly {
		s.m.world.expunged(s.box.validity, from, false, false)
	}
	r, err := s.do(name, command)
	if err != nil {
		return err
	}
	if s.box.readOnly {
		if r.Name == "OK" {
			return fmt.Errorf("EXPUNGE was OK after EXAMINE")
		}
		return nil
	}
	if r.Name != "OK" {
		return s.refused(r)
	}
	for i, sl := range s.box.slots {
		if sl.heard != s.serial && slices.Contains(marked, sl.uid) {
			return fmt.Errorf("message %d, UID %d, was marked and is still there", i+1, sl.uid)
		}
	}
	return nil
}

// refused is what a NO means that has no reason but one: the mailbox is being deleted.
func (s *simulated) refused(r *imapread.Response) error {
	if s.m.world.mayBeDeleted(s.box.validity) {
		return nil
	}
	return fmt.Errorf("%s: %s [%s] %s", s.running, r.Name, r.Code, r.Text)
}

func (s *simulated) appendMail() error {
	name, flags, token := s.anyBox(), s.someFlags(), s.m.world.newToken()
	body := modelMail(token)
	parts := []string{fmt.Sprintf("APPEND %s (%s) {%d}", name, strings.Join(flags, " "), len(body)), body}
	if s.chance(1, 2) {
		parts = []string{fmt.Sprintf("APPEND %s (%s) {%d+}\r\n%s", name, strings.Join(flags, " "), len(body), body)}
	}
	from := s.m.world.begin()
	r, err := s.do("APPEND", parts...)
	switch {
	case err != nil:
		s.m.world.made(token, from, place{}, nil, false)
		return err
	case r.Name != "OK" && slices.Index(modelBoxes, name) >= 2:
		return nil // it is not there now
	case r.Name != "OK":
		return fmt.Errorf("APPEND %s: %s %s", name, r.Name, r.Text)
	}
	var at place
	if _, err := fmt.Sscanf(r.Code, "APPENDUID %d %d", &at.validity, &at.uid); err != nil {
		return fmt.Errorf("APPEND: %q, %w", r.Code, err)
	}
	s.m.world.made(token, from, at, flags, true)
	return nil
}

func modelMail(token string) string {
	return "From: Ann <ann@elsewhere.example>\r\nTo: bot@demo.localhost\r\nSubject: " + token + "\r\n\r\nthis is " + token + "\r\n"
}

func (s *simulated) copyOrMove() error {
	numbers, at := s.some()
	if len(numbers) == 0 {
		return s.learn()
	}
	name, command := s.anyBox(), "COPY"
	if s.chance(1, 2) && !s.box.readOnly {
		command = "MOVE"
	}
	prefix, set := s.set(numbers)
	from := s.m.world.begin()
	r, err := s.do(prefix+command, fmt.Sprintf("%s%s %s %s", prefix, command, set, name))
	switch {
	case err != nil:
		return errors.Join(err, s.unheard(from, at, command))
	case r.Name != "OK" && (slices.Index(modelBoxes, name) >= 2 || s.m.world.mayBeDeleted(s.box.validity)):
		return s.unheard(from, at, command)
	case r.Name != "OK":
		return fmt.Errorf("%s to %s: %s %s", command, name, r.Name, r.Text)
	}
	if strings.HasPrefix(r.Code, "COPYUID ") {
		s.copyUID = r.Code
	}
	if s.copyUID == "" {
		return nil // all of them had left
	}
	return s.copied(from, at, command)
}

// unheard notes a COPY or MOVE that may have been.
func (s *simulated) unheard(from int64, at []place, command string) error {
	for _, p := range at {
		if err := s.m.world.copied(p, place{}); err != nil {
			return err
		}
	}
	if command == "MOVE" {
		s.m.world.removed(from, at, false, "a MOVE")
	}
	return nil
}

// copied notes what COPYUID says.
func (s *simulated) copied(from int64, at []place, command string) error {
	words := strings.Fields(s.copyUID)
	if len(words) != 4 {
		return fmt.Errorf("%q", s.copyUID)
	}
	validity, err := strconv.ParseUint(words[1], 10, 32)
	src, dst := uidsIn(words[2]), uidsIn(words[3])
	if err != nil || len(src) != len(dst) || len(src) == 0 {
		return fmt.Errorf("%q, %w", s.copyUID, err)
	}
	var moved []place
	for i := range src {
		p := place{s.box.validity, src[i]}
		if !slices.Contains(at, p) {
			return fmt.Errorf("%s of %v copied %d, too", command, at, src[i])
		}
		if err := s.m.world.copied(p, place{uint32(validity), dst[i]}); err != nil {
			return err
		}
		moved = append(moved, p)
	}
	if command == "MOVE" {
		s.m.world.removed(from, moved, true, "a MOVE with "+s.copyUID)
	}
	return nil
}

// uidsIn reads a set in the order in which it is written.
func uidsIn(set string) (all []uint32) {
	for r := range strings.SplitSeq(set, ",") {
		a, b, _ := strings.Cut(r, ":")
		from, _ := strconv.ParseUint(a, 10, 32)
		to, err := strconv.ParseUint(b, 10, 32)
		if err != nil {
			to = from
		}
		for uid := from; uid <= to && uid != 0; uid++ {
			all = append(all, uint32(uid))
		}
	}
	return all
}
