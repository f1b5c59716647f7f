package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// bystander is a tenant who receives and sends all the time, with a plugin of his own,
// and how long he waits for it.
type bystander struct {
	tenant
	stop    chan struct{}
	clients sync.WaitGroup

	mu    sync.Mutex
	what  string                     // what he lives beside,
	began int                        // and how many mails he had when that began
	took  map[string][]time.Duration // by that
	ended map[string][]string        // by subject: the folders where the mail is once each
}

// harmless is what everything else is compared with.
const harmless = "a harmless plugin"

// newBystander moves in: two servers that deliver to him, and a program that sends.
func newBystander(r *rig) *bystander {
	r.Helper()
	n := &bystander{tenant: r.victim, stop: make(chan struct{}), what: harmless, took: make(map[string][]time.Duration), ended: make(map[string][]string)}
	n.install("newsletter-filter", newsletterFilter(r), map[string]any{"failure_policy": "closed"}) // so that each failure would be seen
	for i := range 2 {
		from := n.peer()
		n.clients.Go(func() { n.steadily(func(k int) bool { return n.receive(from, i, k) }) })
	}
	n.clients.Go(func() { n.steadily(n.send) })
	return n
}

// steadily does one thing after the other, until it is told to stop.
func (n *bystander) steadily(do func(i int) bool) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := 0; do(i); i++ {
		select {
		case <-n.stop:
			return
		case <-tick.C:
		}
	}
}

// receive gets a mail; every second one is a newsletter.
func (n *bystander) receive(from *talk, client, i int) bool {
	subject, fields, end := fmt.Sprintf("arrived %d.%d", client, i), "", gateway.Inbox
	if i%2 == 1 {
		fields, end = "List-Unsubscribe: <mailto:no@peer.example>\r\n", "Newsletters"
	}
	began := time.Now()
	if reply := n.deliver(from, subject, fields); !strings.HasPrefix(reply, "250") {
		n.Errorf("%s: %q", subject, reply)
		return false
	}
	n.note(time.Since(began), subject, end)
	return true
}

// send sends a mail to himself by REST.
func (n *bystander) send(i int) bool {
	subject := fmt.Sprint("sent ", i)
	body := `{"from":` + strconv.Quote(n.account) + `,"to":` + strconv.Quote(n.account) + `,"subject":` + strconv.Quote(subject) + `,"text":"x"}`
	began := time.Now()
	if status, answer := n.ask(http.DefaultClient, "POST", "/emails", n.key, strings.NewReader(body)); status != 200 {
		n.Errorf("%s: %d %s", subject, status, answer)
		return false
	}
	n.note(time.Since(began), subject, gateway.Sent, gateway.Inbox)
	return true
}

func (n *bystander) note(took time.Duration, subject string, folders ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.took[n.what] = append(n.took[n.what], took)
	n.ended[subject] = folders
}

// beside says what he lives beside from now on.
func (n *bystander) beside(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.what, n.began = what, len(n.took[what])
}

// since is how many mails he got or sent since then.
func (n *bystander) since() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.took[n.what]) - n.began
}

// lives waits until he got or sent enough beside something.
func (n *bystander) lives(what string) {
	n.Helper()
	n.beside(what)
	gatewaytest.Eventually(n, "the neighbour has mail beside "+what, func() bool { return n.since() >= enough })
}

func (n *bystander) finish() {
	close(n.stop)
	n.clients.Wait()
}

// check wants each of his mails in its folders, once, and no other.
func (n *bystander) check() {
	n.Helper()
	folders := []string{gateway.Inbox, gateway.Sent, "Newsletters", gateway.Junk}
	found := make(map[string][]string)
	gatewaytest.Eventually(n, "all that was sent is delivered", func() bool {
		clear(found)
		for _, name := range folders {
			for subject, labels := range n.folder(name) {
				found[subject] = append(found[subject], slices.Repeat([]string{name}, len(labels))...)
			}
		}
		for subject, in := range n.ended {
			if len(found[subject]) < len(in) {
				return false
			}
		}
		return true
	})
	for subject, in := range found {
		want := slices.Sorted(slices.Values(n.ended[subject]))
		if slices.Sort(in); !slices.Equal(in, want) {
			n.Errorf("the neighbour's %q is in %v, want %v", subject, in, want)
		}
	}
}

// figures are how long he waited beside each.
func (n *bystander) figures() string {
	var out strings.Builder
	fmt.Fprintf(&out, "%-34s %5s %9s %9s %6s %6s\n", "beside", "mails", "p50", "p99", "p50 x", "p99 x")
	quantile := func(what string, q int) time.Duration {
		slices.Sort(n.took[what])
		return n.took[what][len(n.took[what])*q/100].Round(10 * time.Microsecond)
	}
	for _, what := range slices.Sorted(maps.Keys(n.took)) {
		p50, p99 := quantile(what, 50), quantile(what, 99)
		fmt.Fprintf(&out, "%-34s %5d %9v %9v %6.2f %6.2f\n", what, len(n.took[what]), p50, p99,
			float64(p50)/float64(quantile(harmless, 50)), float64(p99)/float64(quantile(harmless, 99)))
	}
	return out.String()
}
