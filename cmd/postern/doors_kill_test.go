package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/textproto"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// kills is how often a test kills the gateway.
const kills = 50

// The real binary is killed with SIGKILL while clients are at all its doors, again and
// again over the same data. Every single copy of a mail is held to what clients were
// told of it, and to what IMAP shows of it after each kill: the one folder it may be
// in, its UID, its flag, its text. Some kills hit the start.
func TestKilledDoors(t *testing.T) {
	p := newPromises(t)
	writers := []func() error{p.deliver, p.deliver, p.submit, p.sendREST, p.file, p.file, p.sort}
	for cycle := range kills {
		p.start()
		p.verify()
		p.work(writers, time.Duration(150+rand.IntN(350))*time.Millisecond)
		if cycle%3 == 0 {
			p.stumble(time.Duration(rand.IntN(60)) * time.Millisecond)
		}
		if cycle%10 == 0 {
			recount(t, p.bin, p.data)
		}
	}
	p.start()
	p.verify()
	p.kill()
	recount(t, p.bin, p.data)
	t.Logf("%d kills, copies and acknowledgements: %d, %v", kills, len(p.copies), p.told)
	for _, what := range []string{"MX", "submission", "REST", "APPEND", "STORE", "MOVE"} {
		if p.told[what] < kills {
			t.Errorf("%d of %s were acknowledged: the test shows little", p.told[what], what)
		}
	}
}

// recount has the store checked from end to end: every counter against a recount,
// every body by its digest.
func recount(t *testing.T, bin, data string) {
	t.Helper()
	if out, err := exec.Command(bin, "store", "verify", "--data", data).CombinedOutput(); err != nil {
		t.Fatalf("after a kill: %v\n%s", err, out)
	}
}

// promises are what clients were told of the copies of mails in one account. A
// mail's subject is its token; the copy in Sent has a key of its own.
type promises struct {
	*testing.T
	bin, data, key string
	cmd            *exec.Cmd
	banner         serve.Banner

	mu     sync.Mutex
	issued int
	copies map[string]*promise
	boxes  map[string]*box
	told   map[string]int // acknowledgements of each kind
}

// promise is what may be true of a copy: one value once somebody was told, more
// while an answer is awaited. The folder of a copy that may not exist is "".
type promise struct {
	folder  possible[string]
	flagged possible[bool]
}

type possible[T comparable] []T

func (s *possible[T]) may(v T) {
	if !slices.Contains(*s, v) {
		*s = append(*s, v)
	}
}

func (s *possible[T]) is(v T)  { *s = possible[T]{v} }
func (s *possible[T]) not(v T) { *s = slices.DeleteFunc(*s, func(o T) bool { return o == v }) }

// box is what is known of a folder's UIDs, over all kills. A UID is never
// forgotten: its message may go, and it must not come back for another.
type box struct {
	validity string
	next     int // UIDNEXT when it was last verified
	owner    map[int]string
}

func newPromises(t *testing.T) *promises {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &promises{
		T: t, bin: binary(t), data: filepath.Join(dir, "d"),
		copies: make(map[string]*promise), boxes: make(map[string]*box), told: make(map[string]int),
	}
	for _, folder := range kept {
		p.boxes[folder] = &box{next: 1, owner: make(map[int]string)}
	}
	return p
}

// kept are the folders that mail of this test comes to.
var kept = []string{gateway.Inbox, gateway.Archive, gateway.Trash, gateway.Sent}

// copyKey names the copy of a mail that is in a folder.
func copyKey(folder, token string) string {
	if folder == gateway.Sent {
		return "sent " + token
	}
	return token
}

func (p *promises) command() *exec.Cmd {
	cmd := exec.Command(p.bin, "quickstart", "--data", p.data, "--json")
	cmd.Env = environ("POSTERN_LIMITS_KEY_MESSAGES=1000000", "POSTERN_LIMITS_KEY_RECIPIENTS=1000000")
	return cmd
}

func (p *promises) start() {
	p.Helper()
	p.cmd = p.command()
	var complaints bytes.Buffer
	p.cmd.Stderr = &complaints
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		p.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.Fatal(err)
	}
	p.banner = serve.Banner{}
	if err := json.NewDecoder(out).Decode(&p.banner); err != nil {
		p.kill()
		p.Fatalf("the gateway does not start: %v\n%s", err, complaints.String())
	}
	if p.banner.Keys != nil {
		p.key = p.banner.Keys.Domain
	}
}

func (p *promises) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait() // killed: that is the point
}

// stumble kills a start on its way: what it was mending must still be mended by the
// next one.
func (p *promises) stumble(life time.Duration) {
	p.Helper()
	cmd := p.command()
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	kill := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	_ = cmd.Wait()
}

// work lets every writer work until the process is killed under it. A connection
// that ends is expected; an answer that refuses, or none at all, is not.
func (p *promises) work(writers []func() error, life time.Duration) {
	kill := time.AfterFunc(life, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	var clients sync.WaitGroup
	for _, write := range writers {
		clients.Go(func() {
			err := write()
			_, refused := errors.AsType[refusal](err)
			_, smtpRefused := errors.AsType[*textproto.Error](err)
			if refused || smtpRefused || errors.Is(err, os.ErrDeadlineExceeded) {
				p.Error(err)
			}
		})
	}
	clients.Wait()
	_ = p.cmd.Wait()
}

// expect begins a mail whose copies may come to the folders.
func (p *promises) expect(door string, flagged bool, folders ...string) (token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.issued++
	token = fmt.Sprintf("%s-%d", door, p.issued)
	if p.issued%20 == 0 {
		token += "-large"
	}
	for _, folder := range folders {
		p.copies[copyKey(folder, token)] = &promise{folder: possible[string]{"", folder}, flagged: possible[bool]{flagged}}
	}
	return token
}

// change enters what clients try, or were told, about some copies.
func (p *promises) change(keys []string, enter func(*promise)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range keys {
		enter(p.copies[k])
	}
}

// ack enters an acknowledgement.
func (p *promises) ack(what string, keys []string, enter func(*promise)) {
	p.change(keys, enter)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told[what] += len(keys)
}

func exists(c *promise) { c.folder.not("") }

// owns holds a UID to belong to one message for good, and to be above all that were
// given before this life.
func (p *promises) owns(folder string, uid int, token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.boxes[folder]
	switch owner, known := b.owner[uid]; {
	case known && owner != token:
		p.Errorf("%s: UID %d is that of %s, and was that of %s", folder, uid, token, owner)
	case !known && uid < b.next:
		p.Errorf("%s: UID %d of %s is new, and UIDNEXT was %d", folder, uid, token, b.next)
	}
	b.owner[uid] = token
}

// sight is a copy as it is seen.
type sight struct {
	folder, token string
	uid           int
	flagged       bool
}

var rowPattern = regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\) ENVELOPE \((?:NIL|"[^"]*") "([^"]*)"`)

func sights(folder string, lines []string) (all []sight) {
	for _, l := range lines {
		if m := rowPattern.FindStringSubmatch(l); m != nil {
			all = append(all, sight{folder: folder, token: m[3], uid: numbers(m[1])[0], flagged: strings.Contains(m[2], `\Flagged`)})
		}
	}
	return all
}

// verify looks at everything and compares it with what was promised.
func (p *promises) verify() {
	p.Helper()
	r, err := p.open(gateway.Inbox)
	if err != nil {
		p.Fatal(err)
	}
	defer r.close()
	found := make(map[string]sight)
	for _, folder := range kept {
		p.look(r, folder, 1, found)
	}
	// What was sent from inside arrives when the queue gets to it.
	gatewaytest.Eventually(p, "everything sent is delivered", func() bool {
		if p.delivered(found) {
			return true
		}
		p.look(r, gateway.Inbox, p.boxes[gateway.Inbox].next, found)
		return false
	})
	p.compare(found)
	if p.Failed() {
		p.kill()
		p.FailNow()
	}
}

// delivered reports whether all mail that was sent has arrived: what is in Sent has
// to, and what is not must not.
func (p *promises) delivered(found map[string]sight) bool {
	all := true
	for key, c := range p.copies {
		token, sent := strings.CutPrefix(key, "sent ")
		if !sent {
			continue
		}
		if _, ok := found[key]; !ok {
			p.copies[token].folder.is("")
			continue
		}
		_, arrived := found[token]
		all = all && arrived
		exists(c)
		exists(p.copies[token])
	}
	return all
}

// look enters what a folder shows from a UID on, and reads the new texts.
func (p *promises) look(r *opened, folder string, from int, found map[string]sight) {
	p.Helper()
	b := p.boxes[folder]
	err := r.choose(folder)
	lines, rowsErr := r.do(fmt.Sprintf("UID FETCH %d:* (UID FLAGS ENVELOPE)", from))
	texts, textsErr := r.do(fmt.Sprintf("UID FETCH %d:* (UID BODY.PEEK[TEXT])", b.next))
	if err := errors.Join(err, rowsErr, textsErr); err != nil {
		p.Fatal(err)
	}
	last := 0
	for _, s := range sights(folder, lines) {
		if s.uid <= last {
			p.Errorf("%s: UID %d comes behind %d", folder, s.uid, last)
		}
		last = s.uid
		p.owns(folder, s.uid, s.token)
		key := copyKey(folder, s.token)
		if other, twice := found[key]; twice && (other.folder != s.folder || other.uid != s.uid) {
			p.Errorf("%s is there twice: %+v and %+v", key, other, s)
		}
		found[key] = s
	}
	p.read(folder, texts)
	b.next = r.next
}

// read holds texts to be whole.
func (p *promises) read(folder string, lines []string) {
	p.Helper()
	for _, l := range lines {
		m := bodyPattern.FindStringSubmatchIndex(l)
		if m == nil {
			continue
		}
		token := p.boxes[folder].owner[numbers(l[m[2]:m[3]])[0]]
		if token != "" && !strings.Contains(l[m[1]:], text(token)) {
			p.Errorf("%s: the text of %s is not what was written: %d bytes, want %d", folder, token, len(l)-m[1], len(text(token)))
		}
	}
}

var bodyPattern = regexp.MustCompile(`^\* \d+ FETCH \(UID (\d+) BODY\[TEXT\] \{\d+\}`)

// compare holds every copy to its promise. What a kill left open is settled by what
// is there now, and has to stay so.
func (p *promises) compare(found map[string]sight) {
	p.Helper()
	for key, s := range found {
		if p.copies[key] == nil {
			p.Errorf("nobody wrote %s: %+v", key, s)
		}
	}
	for key, c := range p.copies {
		s, there := found[key]
		if !slices.Contains(c.folder, s.folder) {
			p.Errorf("%s is in folder %q, want %q", key, s.folder, c.folder)
		}
		c.folder.is(s.folder)
		if !there {
			continue
		}
		if !slices.Contains(c.flagged, s.flagged) {
			p.Errorf("%s in %s UID %d: flagged is %v, want %v", key, s.folder, s.uid, s.flagged, c.flagged)
		}
		c.flagged.is(s.flagged)
	}
}
