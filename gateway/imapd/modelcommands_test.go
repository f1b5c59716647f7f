package imapd_test

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
)

// modelBoxes are the mailboxes that clients use; those behind the first two come and go.
var modelBoxes = []string{"INBOX", "Archive", "box1", "box2"}

// patience is how long a client waits for what must come.
const patience = time.Minute

func (s *simulated) anyBox() string { return modelBoxes[s.rng.IntN(len(modelBoxes))] }

func (s *simulated) chance(one, of int) bool { return s.rng.IntN(of) < one }

// step does one thing at random.
func (s *simulated) step() error {
	if s.c == nil {
		return s.connect()
	}
	if s.idle != "" {
		return s.endIdle()
	}
	if s.box == nil {
		return s.unselected()
	}
	if len(s.box.slots) > s.m.plan.mailbox && s.chance(1, 2) {
		return s.clear()
	}
	n := s.rng.IntN(100)
	for _, c := range s.commands() {
		if n -= c.weight; n < 0 {
			return c.run()
		}
	}
	return s.logout()
}

type modelCommand struct {
	weight int
	run    func() error
}

func (s *simulated) commands() []modelCommand {
	return []modelCommand{
		{18, s.store},
		{10, s.appendMail},
		{9, s.fetch},
		{7, s.copyOrMove},
		{5, s.learn},
		{6, s.expunge},
		{5, s.search},
		{3, s.statusOf},
		{4, func() error { return s.plain("NOOP") }},
		{5, s.startIdle},
		{4, s.selectBox},
		{2, s.closeBox},
		{10, s.cut},
		{2, s.folders},
	}
}

func (s *simulated) unselected() error {
	switch n := s.rng.IntN(20); {
	case n < 14:
		return s.selectBox()
	case n < 16:
		return s.folders()
	case n < 18:
		return s.appendMail()
	}
	return s.logout()
}

// plain runs a command that must succeed and changes nothing.
func (s *simulated) plain(name string) error {
	r, err := s.do(name, name)
	if err == nil && r.Name != "OK" && s.box != nil {
		err = s.refused(r)
	} else if err == nil && r.Name != "OK" {
		err = fmt.Errorf("%s: %s %s", name, r.Name, r.Text)
	}
	return err
}

func (s *simulated) connect() (err error) {
	if s.c, err = gatewaytest.DialIMAP(s.m.addr, s.m.tls); err != nil {
		return err
	}
	s.m.sessions.Add(1)
	s.box, s.idle, s.modseq, s.uids = nil, "", false, false
	r, err := s.do("LOGIN", "LOGIN "+gatewaytest.Account+" "+s.m.key)
	if err != nil || r.Name != "OK" {
		return fmt.Errorf("login: %+v, %w", r, err)
	}
	caps := strings.Fields(r.Code)
	for _, ext := range []struct {
		name  string
		every int
		set   *bool
	}{{"CONDSTORE", 2, &s.modseq}, {"QRESYNC", 4, &s.uids}} {
		if slices.Contains(caps, ext.name) && s.id%ext.every == 0 {
			if err := s.plain("ENABLE " + ext.name); err != nil {
				return err
			}
			*ext.set = true
		}
	}
	return nil
}

// over ends the session without a word.
func (s *simulated) over() {
	s.keep()
	if s.c != nil {
		s.c.Close()
	}
	s.c, s.box, s.idle = nil, nil, ""
}

func (s *simulated) logout() error {
	if _, err := s.do("LOGOUT", "LOGOUT"); err != nil && !errors.Is(err, errOver) {
		return err
	}
	return errOver
}

func (s *simulated) selectBox() error {
	name, command := s.anyBox(), "SELECT"
	if s.chance(1, 5) {
		command = "EXAMINE"
	}
	s.keep()
	before, known := s.box, s.recall(name)
	s.box = &picture{name: name, since: s.m.world.begin(), readOnly: command == "EXAMINE"}
	s.begin(command)
	r, err := s.c.Do(func(r *imapread.Response) error {
		if r.Name == "BYE" {
			s.box = before
			return s.hear(r)
		}
		return errors.Join(s.hearCode(r.Code), s.hear(r))
	}, command+" "+name+known.resync())
	if err != nil {
		return err
	}
	if r.Name != "OK" {
		s.box = nil
		if r.Name == "NO" && slices.Index(modelBoxes, name) >= 2 {
			return nil // it is not there now
		}
		return fmt.Errorf("%s %s: %s %s", command, name, r.Name, r.Text)
	}
	if s.modseq && s.box.highest == 0 {
		return fmt.Errorf("%s %s says nothing of HIGHESTMODSEQ", command, name)
	}
	if known != nil && known.validity == s.box.validity {
		if err := s.resume(known); err != nil {
			return err
		}
	}
	s.box.opened = len(s.box.slots)
	if s.chance(4, 5) {
		return s.learn()
	}
	return nil
}

// hearCode takes what SELECT says of the mailbox in response codes.
func (s *simulated) hearCode(code string) (err error) {
	name, v, _ := strings.Cut(code, " ")
	var n uint64
	switch name {
	case "UIDVALIDITY":
		n, err = strconv.ParseUint(v, 10, 32)
		s.box.validity = uint32(n)
	case "UIDNEXT":
		n, err = strconv.ParseUint(v, 10, 32)
		s.box.uidNext = uint32(n)
	case "HIGHESTMODSEQ":
		s.box.highest, err = strconv.ParseUint(v, 10, 63)
	}
	return err
}

// learn asks for the UIDs and texts of what it knows nothing of.
func (s *simulated) learn() error {
	from := slices.IndexFunc(s.box.slots, func(sl slot) bool { return sl.token == "" })
	if from < 0 {
		return s.plain("NOOP")
	}
	to := len(s.box.slots)
	return s.fetchAll("FETCH", from, to, "(UID FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
}

// fetchAll asks for all of some messages; each is answered for, or is known to have left.
func (s *simulated) fetchAll(name string, from, to int, items string) error {
	r, err := s.do(name, fmt.Sprintf("%s %d:%d %s", name, from+1, to, items))
	if err != nil {
		return err
	}
	for i := from; r.Name == "OK" && i < to; i++ {
		if s.box.slots[i].heard != s.serial {
			return fmt.Errorf("FETCH %d:%d was OK and said nothing of %d", from+1, to, i+1)
		}
	}
	if r.Name == "NO" && !strings.HasPrefix(r.Code, "EXPUNGEISSUED") {
		return s.refused(r)
	}
	return nil
}

func (s *simulated) fetch() error {
	numbers, at := s.some()
	if len(numbers) == 0 {
		return s.learn()
	}
	switch s.rng.IntN(4) {
	case 0:
		a := s.rng.IntN(len(s.box.slots))
		return s.fetchAll("FETCH", a, len(s.box.slots), "(UID FLAGS)")
	case 1:
		a := s.rng.IntN(len(s.box.slots))
		return s.fetchAll("FETCH", a, a+1, "(FLAGS ENVELOPE RFC822.SIZE INTERNALDATE BODYSTRUCTURE)")
	case 2:
		return s.read(numbers[0], at[:1])
	}
	prefix, set := s.set(numbers)
	_, err := s.do(prefix+"FETCH", prefix+"FETCH "+set+" (FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
	return err
}

// read reads a message, which marks it.
func (s *simulated) read(n int, at []place) error {
	from, token := s.m.world.begin(), s.box.slots[n].token
	s.begin("FETCH")
	r, err := s.c.Do(func(r *imapread.Response) error {
		if r.Name == "FETCH" && int(r.Number) == n+1 {
			if body, ok := r.Fetch.Sections["BODY[TEXT]"]; ok && body != "this is "+token+"\r\n" {
				return fmt.Errorf("message %d is %s and says %q", n+1, token, body)
			}
		}
		return s.hear(r)
	}, fmt.Sprintf("FETCH %d BODY[TEXT]", n+1))
	if !s.box.readOnly {
		s.m.world.stored(from, at, "+FLAGS", []string{`\Seen`}, err == nil && r.Name == "OK")
	}
	return err
}

func (s *simulated) search() error {
	before := slices.Clone(s.box.slots)
	known := !slices.ContainsFunc(before, func(sl slot) bool { return sl.uid == 0 || sl.token == "" })
	token := fmt.Sprintf("m%d", 1+s.rng.IntN(20))
	key := []string{"ALL", "UNDELETED", "SUBJECT " + token}[s.rng.IntN(3)]
	name := []string{"SEARCH", "UID SEARCH"}[s.rng.IntN(2)]
	r, err := s.do(name, name+" "+key)
	if err != nil {
		return err
	}
	if r.Name != "OK" {
		return s.refused(r)
	}
	if !slices.IsSorted(s.numbers) {
		return fmt.Errorf("%s %s found %v", name, key, s.numbers)
	}
	for _, n := range s.numbers {
		i := int(n) - 1
		if name == "UID SEARCH" && known {
			i = slices.IndexFunc(before, func(sl slot) bool { return sl.uid == n })
		} else if name == "UID SEARCH" {
			continue
		}
		if i < 0 || i >= len(before) {
			return fmt.Errorf("%s %s found %d, which it was not told of", name, key, n)
		}
		if t := before[i].token; t != "" && strings.HasPrefix(key, "SUBJECT") && !strings.Contains(t, token) {
			return fmt.Errorf("%s %s found %d, which is %s", name, key, n, t)
		}
	}
	for _, sl := range s.box.slots { // without those that have left meanwhile
		if name == "UID SEARCH" && known && strings.HasPrefix(key, "SUBJECT") && strings.Contains(sl.token, token) && !slices.Contains(s.numbers, sl.uid) {
			return fmt.Errorf("%s %s did not find UID %d, which is %s", name, key, sl.uid, sl.token)
		}
	}
	return nil
}

func (s *simulated) statusOf() error {
	r, err := s.do("STATUS", "STATUS "+s.anyBox()+" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)")
	if err == nil && r.Name == "OK" && (s.status["UNSEEN"] > s.status["MESSAGES"] || s.status["UIDNEXT"] <= s.status["MESSAGES"]) {
		err = fmt.Errorf("STATUS says %v", s.status)
	}
	return err
}

func (s *simulated) startIdle() error {
	s.begin("IDLE")
	tag, err := s.c.Send("IDLE")
	for err == nil && s.idle == "" {
		var r *imapread.Response
		if r, err = s.c.Next(patience); err == nil && r.Tag == "+" {
			s.idle = tag
		} else if err == nil {
			err = s.hear(r)
		}
	}
	return err
}

func (s *simulated) endIdle() error {
	if err := s.c.Raw("DONE\r\n"); err != nil {
		return err
	}
	for s.idle != "" {
		r, err := s.c.Next(patience)
		if err == nil && r.Tag == s.idle {
			s.idle = ""
		} else if err == nil {
			err = s.hear(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *simulated) closeBox() error {
	command := []string{"CLOSE", "UNSELECT"}[s.rng.IntN(2)]
	if command == "CLOSE" && !s.box.readOnly {
		s.m.world.expunged(s.box.validity, s.m.world.begin(), false, false)
	}
	err := s.plain(command)
	s.box = nil
	return err
}

// cut leaves in the middle of a command, at any byte of it.
func (s *simulated) cut() error {
	numbers, at := s.some()
	if len(numbers) == 0 || s.box.readOnly {
		return s.logout()
	}
	from, name := s.m.world.begin(), s.anyBox()
	prefix, set := s.set(numbers)
	var command string
	switch s.rng.IntN(6) {
	case 0:
		command = prefix + "STORE " + set + ` +FLAGS (\Flagged $one)`
		s.m.world.stored(from, at, "+FLAGS", []string{`\Flagged`, "$one"}, false)
	case 1:
		token := s.m.world.newToken()
		s.m.world.made(token, from, place{}, nil, false)
		command = fmt.Sprintf("APPEND %s {%d+}\r\n%s", name, len(modelMail(token)), modelMail(token))
	case 2:
		command = prefix + "MOVE " + set + " " + name
		if err := s.unheard(from, at, "MOVE"); err != nil {
			return err
		}
	case 3:
		s.m.world.expunged(s.box.validity, from, false, false)
		command = "EXPUNGE"
	case 4:
		command = "FETCH 1:* (FLAGS BODY.PEEK[])"
	case 5:
		command = "IDLE"
	}
	command = "cut " + command + "\r\n"
	_ = s.c.Raw(command[:s.rng.IntN(len(command)+1)]) // the gateway may have closed
	return errOver
}

// folders makes, renames or deletes a mailbox. One client at a time does, so that a name
// means the same mailbox all the while.
func (s *simulated) folders() error {
	s.m.naming.Lock()
	defer s.m.naming.Unlock()
	name := modelBoxes[2+s.rng.IntN(len(modelBoxes)-2)]
	switch s.rng.IntN(4) {
	case 0:
		return s.deleteBox(name)
	case 1:
		_, err := s.do("RENAME", "RENAME "+name+" "+modelBoxes[2+s.rng.IntN(len(modelBoxes)-2)])
		return err
	}
	_, err := s.do("CREATE", "CREATE "+name)
	return err
}

func (s *simulated) deleteBox(name string) error {
	r, err := s.do("STATUS", "STATUS "+name+" (UIDVALIDITY)")
	if err != nil || r.Name != "OK" {
		return err // it is not there
	}
	validity, from := uint32(s.status["UIDVALIDITY"]), s.m.world.begin()
	s.m.world.expunged(validity, from, false, true)
	if r, err = s.do("DELETE", "DELETE "+name); err == nil && r.Name == "OK" {
		s.m.world.expunged(validity, from, true, true)
	}
	return err
}
