package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/hostile"
)

// installKills is how often a gateway is killed while it gets new code.
const installKills = 12

// pushes is a plugin that gets one version after the other, and what was told of it.
type pushes struct {
	*rig
	id string

	mu    sync.Mutex
	told  int // the last version that was acknowledged
	tried int // the last one that was sent
	mails map[string][2]int
}

// The real binary is killed while a module is uploaded, compiled, put into the cache and
// exchanged under mail. Afterwards the plugin is what was acknowledged last, or what was
// being sent; no mail that got its 250 is missing or doubled, and each has the label of a
// version that could be the one.
func TestKilledInstall(t *testing.T) {
	p := &pushes{rig: newRig(t), mails: make(map[string][2]int)}
	p.id = p.rival.install("versioned", hostile.Labeller("v0", 40, 100), nil)
	for cycle := range installKills {
		kill := time.AfterFunc(time.Duration(20+rand.IntN(200))*time.Millisecond, func() { _ = p.cmd.Process.Kill() })
		var clients sync.WaitGroup
		clients.Go(p.push)
		for i := range 2 {
			clients.Go(func() { p.deliver(fmt.Sprintf("%d.%d", cycle, i)) })
		}
		clients.Wait()
		kill.Stop()
		p.end(syscall.SIGKILL)
		p.start()
		p.settle()
	}
	if p.told < installKills/2 || len(p.mails) < installKills {
		t.Errorf("%d versions and %d mails: the test shows little", p.told, len(p.mails))
	}
	inbox := p.rival.folder(gateway.Inbox)
	for subject, between := range p.mails {
		labels := inbox[subject]
		if len(labels) != 1 {
			t.Errorf("%s got its 250 and is there %d times", subject, len(labels))
			continue
		}
		if v, err := strconv.Atoi(strings.Trim(labels[0], "[v]")); err != nil || v < between[0] || v > between[1] {
			t.Errorf("%s has the labels %s, want a version from %d to %d", subject, labels[0], between[0], between[1])
		}
	}
	t.Logf("%d kills, %d versions, %d mails", installKills, p.told, len(p.mails))
	p.stop()
	recount(t, binary(t), p.data)
}

// push uploads new versions until the gateway is killed.
func (p *pushes) push() {
	for {
		p.mu.Lock()
		p.tried++
		v := p.tried
		p.mu.Unlock()
		is := fmt.Sprint("v", v)
		status, a := p.rival.upload(http.DefaultClient, "versioned", is, hostile.Labeller(is, 40, 100), "inbound")
		if status == 0 {
			return
		}
		if status != 200 {
			p.Errorf("%s: %d %v", is, status, a)
			return
		}
		p.mu.Lock()
		p.told = v
		p.mu.Unlock()
	}
}

// deliver brings mail until the gateway is killed.
func (p *pushes) deliver(name string) {
	from := dial(p.banner.MX, patience)
	defer from.close()
	from.say("", "220 ")
	from.say("EHLO peer.example", "250 ")
	for i := 0; ; i++ {
		p.mu.Lock()
		least := p.told
		p.mu.Unlock()
		subject := fmt.Sprintf("%s.%d", name, i)
		reply := p.rival.deliver(from, subject, "")
		if reply == "" || from.dead {
			return
		}
		if !strings.HasPrefix(reply, "250") {
			p.Errorf("%s: %q", subject, reply)
			return
		}
		p.mu.Lock()
		p.mails[subject] = [2]int{least, p.tried}
		p.mu.Unlock()
	}
}

// settle sees which version a kill left, and that it works.
func (p *pushes) settle() {
	p.Helper()
	a := p.rival.plugin(p.id)
	is := a.Str("version")
	if v, err := strconv.Atoi(strings.TrimPrefix(is, "v")); is != "" && (err != nil || v < p.told || v > p.tried) || is == "" && p.told > 0 || a.Str("status") != "enabled" {
		p.Fatalf("the plugin is %s in version %q; %d was acknowledged and %d tried", a.Str("status"), is, p.told, p.tried)
	} else {
		p.told = max(v, p.told)
	}
	subject := fmt.Sprint("after ", p.cmd.Process.Pid, " ", p.tried)
	if reply := p.rival.deliver(p.rival.peer(), subject, ""); !strings.HasPrefix(reply, "250") {
		p.Fatalf("after a kill: %q", reply)
	}
	p.mails[subject] = [2]int{p.told, p.told}
	if a := p.rival.plugin(p.id); a.At("stats.errors") != 0.0 {
		p.Fatalf("after a kill: %v", a.At("stats"))
	}
}

// Compiled code is executed, so a file of the cache that is not what was written is made
// anew: no bit of it may decide anything else, or end the gateway.
func TestDamagedPluginCache(t *testing.T) {
	r := newRig(t)
	r.rival.install("a-go", newsletterFilter(t), nil)
	for i, size := range [][2]int{{0, 0}, {5, 5}, {30, 30}} {
		r.rival.install(fmt.Sprint("b-", i), hostile.Labeller(fmt.Sprint("l", i), size[0], size[1]), nil)
	}
	const want = "[newsletter l0 l1 l2]"
	ask := func(round int) {
		t.Helper()
		subject := fmt.Sprint("mail ", round)
		if reply := r.rival.deliver(r.rival.peer(), subject, "List-Id: <x.example>\r\n"); !strings.HasPrefix(reply, "250") {
			t.Fatalf("round %d: %q", round, reply)
		}
		if got := r.rival.folder("Newsletters")[subject]; len(got) != 1 || got[0] != want {
			t.Fatalf("round %d: it is there as %v, want %s", round, got, want)
		}
	}
	ask(-1)
	r.stop()
	whole, random := cached(t, r.data), rand.New(rand.NewPCG(3, 4))
	for round := range 8 {
		for path, content := range whole {
			if len(content) > 1<<20 && round%8 != 0 {
				continue // to compile Go takes a second
			}
			if err := os.WriteFile(path, damage(random, round, content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r.start()
		ask(round)
		r.stop()
		if is := cached(t, r.data); len(is) != 8 || !maps.EqualFunc(is, whole, bytes.Equal) {
			t.Errorf("round %d: the %d files are not as they were", round, len(is))
		}
	}
}

// damage flips one bit, near the start, near the end or anywhere; or cuts.
func damage(random *rand.Rand, round int, content []byte) []byte {
	out := bytes.Clone(content)
	at := [...]int{random.IntN(min(len(out), 100)), random.IntN(len(out)), len(out) - 1 - random.IntN(20), random.IntN(min(len(out), 600))}[round%4]
	if round == 7 {
		return out[:at]
	}
	out[at] ^= 1 << random.IntN(8)
	return out
}

// cached are the files of rewritten modules, and of their compiled code.
func cached(t *testing.T, data string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	err := filepath.WalkDir(filepath.Join(data, "cache", "plugins"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != "" {
			return err
		}
		all[path], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
