package imapd_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
)

// replica is a client's copy of a mailbox, made of nothing but what it is told.
type replica struct {
	uidValidity uint32
	modseq      uint64            // up to where it knows
	flags       map[uint32]string // by UID
}

func (r replica) copy() replica {
	r.flags = maps.Clone(r.flags)
	return r
}

// last is the highest UID it knows.
func (r replica) last() (uid uint32) {
	for known := range r.flags {
		uid = max(uid, known)
	}
	return uid
}

// replicator is a client that keeps one, with QRESYNC.
type replicator struct {
	testing.TB
	chat *gatewaytest.Chat
	in   *imapread.Reader
	replica
	exists   int
	newest   uint64 // mod-sequence it heard of
	news     int    // lines that told something
	commands int
}

func newReplicator(t testing.TB, g *gatewaytest.Gateway) *replicator {
	t.Helper()
	chat := login(t, g)
	c := &replicator{TB: t, chat: chat, in: imapread.NewReader(chat.Conn), replica: replica{flags: make(map[uint32]string)}}
	c.do("ENABLE QRESYNC")
	return c
}

// do sends one command and takes what it is told.
func (c *replicator) do(command string) *imapread.Response {
	c.Helper()
	c.commands++
	tag := fmt.Sprintf("r%d", c.commands)
	c.chat.Raw(tag + " " + command + "\r\n")
	for {
		r, err := c.in.Next()
		if err != nil {
			c.Fatalf("%s: %v", command, err)
		}
		if r.Tag == tag {
			if r.Name != "OK" {
				c.Fatalf("%s: %s [%s] %s", command, r.Name, r.Code, r.Text)
			}
			return r
		}
		c.hear(command, r)
	}
}

func (c *replicator) hear(command string, r *imapread.Response) {
	c.Helper()
	switch r.Name {
	case "OK":
		var n uint64
		if _, err := fmt.Sscanf(r.Code, "UIDVALIDITY %d", &n); err == nil && uint32(n) != c.uidValidity {
			c.replica = replica{uidValidity: uint32(n), flags: make(map[uint32]string)} // another mailbox
		}
		if _, err := fmt.Sscanf(r.Code, "HIGHESTMODSEQ %d", &n); err == nil {
			c.newest = n
		}
	case "EXISTS":
		c.exists = int(r.Number)
	case "EXPUNGE":
		c.Errorf("%s: EXPUNGE, although it knows of VANISHED", command)
	case "VANISHED":
		c.news++
		for _, uid := range r.Numbers {
			delete(c.flags, uid)
		}
		if !r.Earlier {
			c.exists -= len(r.Numbers)
		}
	case "FETCH":
		c.news++
		if r.Fetch.UID == 0 || r.Fetch.ModSeq == 0 {
			c.Errorf("%s: a change without UID or MODSEQ: %+v", command, r.Fetch)
		}
		if r.Fetch.Flags != nil {
			slices.Sort(r.Fetch.Flags)
			c.flags[r.Fetch.UID] = strings.Join(r.Fetch.Flags, " ")
		}
		c.newest = max(c.newest, r.Fetch.ModSeq)
	}
}

// sync asks what is new until it knows all messages there are.
func (c *replicator) sync() {
	c.Helper()
	c.do("NOOP")
	for len(c.flags) < c.exists {
		c.do(fmt.Sprintf("UID FETCH %d:* (FLAGS MODSEQ)", c.last()+1))
	}
	if len(c.flags) != c.exists {
		c.Fatalf("it knows %d messages of %d", len(c.flags), c.exists)
	}
	c.modseq = c.newest
}

// resume goes on from what a client knew once.
func (c *replicator) resume(from replica, r *rand.Rand) {
	c.Helper()
	c.replica, c.exists, c.newest, c.news = from.copy(), 0, 0, 0
	switch parameters := fmt.Sprintf("%d %d", from.uidValidity, from.modseq); {
	case from.modseq == 0 || r.IntN(3) == 0: // RFC 7162 section 3.2.6, what a client does that selected before
		c.do("SELECT Box")
		if c.uidValidity == from.uidValidity {
			c.do(fmt.Sprintf("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d VANISHED)", from.modseq))
		}
	case r.IntN(2) == 0 && len(from.flags) > 0:
		c.do("SELECT Box (QRESYNC (" + parameters + fmt.Sprintf(" 1:%d))", from.last()))
	case len(from.flags) > 0: // the numbers of some that it knows
		uids := slices.Sorted(maps.Keys(from.flags))
		n := r.IntN(len(uids))
		c.do("SELECT Box (QRESYNC (" + parameters + fmt.Sprintf(" 1:%d (%d %d)))", from.last(), n+1, uids[n]))
	default:
		c.do("SELECT Box (QRESYNC (" + parameters + "))")
	}
	if c.uidValidity != from.uidValidity && c.news > 0 {
		c.Errorf("it was told %d times of a mailbox that it does not know", c.news)
	}
	c.sync()
}

// writer changes the mailbox at random.
func writer(t testing.TB, c *gatewaytest.Chat, r *rand.Rand, changes int) {
	for range changes {
		uid := r.IntN(40) + 1
		switch r.IntN(8) {
		case 0, 1, 2:
			body := fmt.Sprintf("Subject: %d\r\n\r\nx\r\n", r.Int())
			ask(t, c, fmt.Sprintf("APPEND Box (\\Seen) {%d+}\r\n%s", len(body), body))
		case 3:
			ask(t, c, fmt.Sprintf("UID STORE %d:%d +FLAGS.SILENT (\\Deleted)", uid, uid+r.IntN(3)))
		case 4:
			ask(t, c, fmt.Sprintf("UID EXPUNGE %d:%d", uid, uid+20))
		case 5:
			ask(t, c, fmt.Sprintf("UID MOVE %d Archive", uid))
		default:
			ask(t, c, fmt.Sprintf("UID STORE %d:* %sFLAGS (%s)", uid, []string{"+", "-", ""}[r.IntN(3)], []string{`\Flagged`, `\Seen`, "work", `\Answered $Done`}[r.IntN(4)]))
		}
	}
}

// A client that resumes from any state it ever had rebuilds the mailbox exactly: while two
// others change it, after what left it is forgotten, and when it is another of that name.
func TestReplicas(t *testing.T) {
	var ahead atomic.Int64
	g := gatewaytest.Start(t, gatewaytest.Clock(func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }), gatewaytest.Limit("vanished_runs", "12"))
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	writers := []*gatewaytest.Chat{login(t, g), login(t, g)}
	live, back, truth := newReplicator(t, g), newReplicator(t, g), newReplicator(t, g)
	ask(t, writers[0], "CREATE Box")
	live.do("SELECT Box")
	live.sync()
	states := []replica{{uidValidity: live.uidValidity, flags: map[uint32]string{}}, live.copy()}
	for round := range 9 {
		switch round {
		case 3, 6: // what left is forgotten
			ahead.Add(int64(gateway.VanishedRetention) * 2 / 3)
		case 5: // another mailbox
			live.do("UNSELECT")
			truth.do("UNSELECT")
			for _, c := range writers {
				ask(t, c, "UNSELECT")
			}
			ask(t, writers[0], "DELETE Box")
			ask(t, writers[0], "CREATE Box")
			live.resume(live.copy(), r)
		}
		var busy sync.WaitGroup
		var left atomic.Int64
		left.Store(int64(len(writers)))
		for _, c := range writers {
			ask(t, c, "SELECT Box")
			own := rand.New(rand.NewPCG(r.Uint64(), 2))
			busy.Go(func() {
				defer left.Add(-1)
				writer(t, c, own, 12)
			})
		}
		for n := 0; left.Load() > 0; n++ {
			live.sync()
			if n%4 == 0 {
				states = append(states, live.copy())
			}
		}
		busy.Wait()
		live.sync()
		states = append(states, live.copy())
		truth.replica = replica{flags: map[uint32]string{}}
		truth.do("SELECT Box")
		truth.do("UID FETCH 1:* (FLAGS MODSEQ)")
		agree(t, fmt.Sprintf("round %d, who was there", round), live.replica, truth.replica)
		for i, from := range states {
			if len(states) > 30 && r.IntN(len(states)) > 30 {
				continue
			}
			back.resume(from, r)
			agree(t, fmt.Sprintf("round %d, from state %d of %d at %d", round, i, len(states), from.modseq), back.replica, truth.replica)
			back.do("UNSELECT")
		}
	}
}

func agree(t testing.TB, who string, got, want replica) {
	t.Helper()
	if got.uidValidity != want.uidValidity || !maps.Equal(got.flags, want.flags) {
		t.Errorf("%s knows %d %v, want %d %v", who, got.uidValidity, got.flags, want.uidValidity, want.flags)
	}
}
