package gatewaytest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/plugins/hostile"
	"github.com/centerleap/postern/sdk/abi"
)

// powers is every verdict at every hook, and what is seen of it: over REST and IMAP, which
// have to agree, and by the hosts that mail leaves for. What is unusual stands behind what
// is usual; powers_seen_test.go says how. Where there is -, the plugin has failed, and its
// policy decides: see failing. The permission is what the verdict takes.
//
// Conversations are those of A, of R, which answers it, of B, and of M, which answers A and
// is decided about.
const powers = `
verdict          | permission | inbound                    | outbound                       | thread        | event                | tick
accept           |            | 250 INBOX                  | 200 Sent                       | A+M+R B       | INBOX                | sent
allow            |            | -                          | 200 Sent                       | -             | -                    | -
reject           |            | 554                        | -                              | -             | -                    | -
tempfail         |            | 451                        | -                              | -             | -                    | -
quarantine       |            | 250 Junk quarantined       | -                              | -             | -                    | -
discard          | discard    | 250                        | -                              | -             | -                    | -
deny             |            | -                          | 403                            | -             | -                    | -
hold             |            | -                          | 200 Sent held                  | -             | -                    | -
hold until       |            | -                          | 200 Sent held until            | -             | -                    | -
redirect         | redirect   | 250 to a@example.com       | -                              | -             | -                    | -
redirect, keep   | redirect   | 250 INBOX to a@example.com | -                              | -             | -                    | -
fileinto         |            | 250 Filed                  | -                              | -             | Filed                | -
labels           |            | 250 INBOX new              | -                              | -             | INBOX new            | -
unlabel          |            | 250 INBOX -old             | -                              | -             | INBOX -old           | -
flags            |            | 250 INBOX \Flagged \Seen   | -                              | -             | INBOX \Flagged \Seen | -
header add       | headers    | 250 INBOX X-New            | 200 Sent X-New                 | -             | -                    | -
header set       | headers    | -                          | 200 Sent X-Old=2               | -             | -                    | -
header delete    | headers    | -                          | 200 Sent -X-Old                | -             | -                    | -
subject          | body       | -                          | 200 Sent subject               | -             | -                    | -
body             | body       | -                          | 200 Sent body                  | -             | -                    | -
tags             |            | -                          | 200 Sent tag                   | -             | -                    | -
remove recipient | rcpt       | -                          | 200 Sent without a@example.com | -             | -                    | -
reply            | reply      | 250 INBOX answered         | -                              | -             | INBOX answered       | -
thread join      | thread     | -                          | -                              | A+R B+M       | -                    | -
thread new       | thread     | -                          | -                              | A+R B M       | -                    | -
thread merge     | thread     | -                          | -                              | A+B+M+R       | -                    | -
thread split     | thread     | -                          | -                              | A B M+R       | -                    | -
score            |            | 250 INBOX score=4          | 200 Sent score=4               | -             | -                    | -
final            |            | 250 INBOX final            | 200 Sent final                 | A+M+R B final | -                    | -
`

// documents are the verdicts as a plugin says them where the SDK has no words.
var documents = map[string]string{
	"accept":           `{"action":"accept"}`,
	"allow":            `{"action":"allow"}`,
	"reject":           `{"action":"reject"}`,
	"tempfail":         `{"action":"tempfail"}`,
	"quarantine":       `{"action":"quarantine"}`,
	"discard":          `{"action":"discard"}`,
	"deny":             `{"action":"deny"}`,
	"hold":             `{"action":"hold"}`,
	"hold until":       `{"hold":{}}`,
	"redirect":         `{"redirect":["a@example.com"]}`,
	"redirect, keep":   `{"redirect":["a@example.com"],"keep":true}`,
	"fileinto":         `{"folder":"Filed"}`,
	"labels":           `{"labels":["new"]}`,
	"unlabel":          `{"unlabel":["old"]}`,
	"flags":            `{"flags":["\\Seen"]}`,
	"header add":       `{"headers":[{"op":"add","name":"X-New","value":"1"}]}`,
	"header set":       `{"headers":[{"op":"set","name":"X-Old","value":"2"}]}`,
	"header delete":    `{"headers":[{"op":"delete","name":"X-Old"}]}`,
	"subject":          `{"subject":"Checked"}`,
	"body":             `{"body":{"text":"other words"}}`,
	"tags":             `{"tags":[{"name":"checked","value":"yes"}]}`,
	"remove recipient": `{"remove":["a@example.com"]}`,
	"reply":            `{"reply":{"text":"I am away"}}`,
	"thread join":      `{"thread":{"op":"join"}}`,
	"thread new":       `{"thread":{"op":"new"}}`,
	"thread merge":     `{"thread":{"op":"merge"}}`,
	"thread split":     `{"thread":{"op":"split"}}`,
	"score":            `{"score":4}`,
	"final":            `{"final":true}`,
}

// failing is what is seen of a plugin that fails, by its policy; thread, event and tick
// have none.
var failing = map[string]map[string]string{
	"inbound":  {"open": "250 INBOX plugin-error failed", "closed": "451", "quarantine": "250 Junk quarantined failed"},
	"outbound": {"open": "200 Sent failed", "closed": "503", "quarantine": "200 Sent failed held"},
	"thread":   {"open": "A+M+R B failed"},
	"event":    {"open": "INBOX failed"},
	"tick":     {"open": "failed"},
}

// submitted is what SMTP says where REST says that.
var submitted = map[string]string{"200": "250", "403": "550", "503": "451"}

// Every verdict at every hook does what it says, if the plugin may, or else what the
// failure policy says: also without the permission that it takes.
func TestPowers(t *testing.T) {
	p := newPowered(t)
	lines := strings.Split(strings.TrimSpace(powers), "\n")
	hooks := cellsOf(lines[0])[2:]
	for _, policy := range []string{"open", "closed", "quarantine"} {
		for _, line := range lines[1:] {
			row := cellsOf(line)
			for i, hook := range hooks {
				verdict, permit, want, fails := row[0], row[1], row[2+i], failing[hook][policy]
				if permit != "" && want != "-" && fails != "" {
					p.shows(hook, verdict, policy, permit, fails)
				}
				switch {
				case want == "-" && fails != "":
					p.shows(hook, verdict, policy, "", fails)
				case want != "-" && policy == "open":
					p.shows(hook, verdict, policy, "", want)
				}
			}
		}
	}
	p.nothingElse()
}

// cellsOf are the cells of a line of a table.
func cellsOf(line string) (cells []string) {
	for cell := range strings.SplitSeq(line, "|") {
		cells = append(cells, strings.TrimSpace(cell))
	}
	return cells
}

// powered is a gateway whose mailbox has a plugin with all powers, one asked before it that
// gives a label, and one asked after it that says the score.
type powered struct {
	*outside
	id   string // of the plugin
	imap *gatewaytest.Chat
	n    int             // cells so far
	left map[string]bool // subjects of which mail may have left
}

func newPowered(t *testing.T) *powered {
	t.Helper()
	p := &powered{left: make(map[string]bool), outside: newOutside(t,
		gatewaytest.Limit("plugin_millis", "20000"), gatewaytest.Limit("plugin_message_millis", "60000"), gatewaytest.Limit("plugin_compile_seconds", "120"))}
	key := p.g.Keys.Account
	first := installed(t, p.g, key, abi.Manifest{Name: "first", Hooks: []string{"inbound"}, Priority: 1}, hostile.Obedient("inbound"))
	say(t, p.g, key, first, map[string]string{"inbound": `{"labels":["old"]}`})
	p.id = installed(t, p.g, key, abi.Manifest{Name: "powers", Hooks: abi.Hooks, Priority: 2, TickSeconds: 60}, goGuest(t, "../../plugins/testdata/powers"))
	for _, hook := range []string{"inbound", "outbound", "thread"} {
		after := installed(t, p.g, key, abi.Manifest{Name: "after-" + hook, Hooks: []string{hook}, Priority: 3}, hostile.Teller(hook, "score"))
		say(t, p.g, key, after, nil)
	}
	p.imap = p.g.Dial(t, "imaps")
	p.imap.Script("S: \\* OK\nC: a LOGIN " + gatewaytest.Account + " " + p.g.Keys.Domain + "\nS~ a OK")
	return p
}

// goGuest builds a plugin of the SDK for Go.
func goGuest(t testing.TB, dir string) []byte {
	t.Helper()
	out := filepath.Join(t.TempDir(), "plugin.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, ".")
	build.Dir, build.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	wasm, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return wasm
}

// shows has the plugin give one verdict at one hook, and wants it to be seen so. without is
// a permission that it is not granted.
func (p *powered) shows(hook, verdict, policy, without, want string) {
	p.Helper()
	name := verdict + " at " + hook + ", " + policy
	if without != "" {
		name += ", without " + without
	}
	p.n++
	about := fmt.Sprintf("cell%d", p.n)
	cell := map[string]string{"hook": hook, "verdict": verdict, "document": documents[verdict], "about": about, "from": gatewaytest.Account, "to": "a@example.com"}
	change := map[string]any{
		"status": "enabled", "failure_policy": policy, "config": cell,
		"grants": slices.DeleteFunc(slices.Clone(abi.Permissions), func(is string) bool { return is == without }),
	}
	outer := p.T
	defer func() { p.T = outer }()
	outer.Run(name, func(t *testing.T) {
		p.T = t
		got := ""
		defer func() {
			if t.Failed() {
				t.Errorf("%s: got %q, want %q", about, got, want)
			}
		}()
		see := map[string]func(about string, change map[string]any) func() string{
			"inbound": p.arrives, "outbound": p.leaves, "thread": p.joins, "event": p.happens, "tick": p.ticks,
		}[hook](about, change)
		gatewaytest.Eventually(t, want, func() bool { got = see(); return got == want })
		p.left[about] = strings.Contains(want, " to ") || strings.Contains(want, "answered") || strings.HasPrefix(want, "200") || want == "sent"
		if code := want[:3]; hook == "outbound" {
			if got := p.submits(about); got != submitted[code] {
				t.Errorf("over SMTP: %s, want %s", got, submitted[code])
			}
		}
	})
}

// give changes what the plugin does.
func (p *powered) give(change map[string]any) {
	p.Helper()
	if status, a := p.g.Do("PATCH", "/plugins/"+p.id, p.g.Keys.Account, change); status != 200 {
		p.Fatalf("%d %v", status, a)
	}
}

// nothingElse wants no mail to have left but what was wanted.
func (p *powered) nothingElse() {
	p.Helper()
	p.later(time.Minute)
	for _, state := range []gateway.DeliveryState{gateway.DeliveryQueued, gateway.DeliveryLeased} {
		gatewaytest.Eventually(p, "none is "+string(state), func() bool {
			_, a := p.g.Do("GET", "/queue?state="+string(state), p.g.Keys.Domain, nil)
			list, _ := a["data"].([]any)
			return len(list) == 0
		})
	}
	for _, m := range slices.Concat(p.mx.Mail(), p.other.Mail()) {
		subject := strings.TrimPrefix(fieldOf(m.Data, "Subject"), "Re: ")
		if subject != "Checked" && !p.left[subject] {
			p.Errorf("it left for %v:\n%s", m.To, m.Data)
		}
	}
}
