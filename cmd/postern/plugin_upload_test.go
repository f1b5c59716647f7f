package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/hostile"
)

// Modules that are cut short, or of which a bit is flipped, are refused with a reason, or
// run as any other.
func TestHostileUploads(t *testing.T) {
	r := newRig(t)
	from, good := r.rival.peer(), hostile.Labeller("good", 3, 3)
	random, taken, refused := rand.New(rand.NewPCG(1, 2)), 0, 0
	for i := range 200 {
		wasm := slices.Clone(good)
		if i%4 == 0 {
			wasm = wasm[:random.IntN(len(wasm))]
		} else {
			wasm[random.IntN(len(wasm))] ^= 1 << random.IntN(8)
		}
		status, a := r.rival.upload(http.DefaultClient, "mutant", "", wasm, "inbound")
		switch {
		case status == 422 && a.Str("message") != "" && a.Str("errors.0.path") == "wasm":
			refused++
		case status == 200 || status == 201:
			r.rival.change(a.Str("id"), map[string]any{"status": "enabled"})
			if reply := r.rival.deliver(from, fmt.Sprint("mutant ", i), ""); !strings.HasPrefix(reply, "250") {
				t.Errorf("a mail to module %d, %x: %q", i, wasm, reply)
			}
			taken++
		default:
			t.Errorf("module %d, %x: %d %v", i, wasm, status, a)
		}
	}
	if taken < 10 || refused < 50 {
		t.Errorf("%d modules were taken and %d refused: the test shows little", taken, refused)
	}
	for _, tt := range []struct {
		name   string
		wasm   []byte
		status int
	}{
		{"nothing", nil, 422},
		{"more than there may be", make([]byte, 16<<20+1), 413},
		{"many functions", hostile.Labeller("x", 50_000, 0), 422},
		{"a function of many loops", hostile.Labeller("x", 1, 15_000), 422},
	} {
		if status, a := r.rival.upload(http.DefaultClient, "bad", "", tt.wasm, "inbound"); status != tt.status || a.Str("message") == "" {
			t.Errorf("%s: %d %v", tt.name, status, a)
		}
	}
	r.stop()
}

// A module that takes minutes to compile is refused when its time is over, or given up
// with whoever sent it. Meanwhile the neighbour has his mail, and afterwards other
// modules are compiled.
func TestHostileCompile(t *testing.T) {
	r := newRig(t)
	r.victim.install("newsletter-filter", newsletterFilter(t), nil) // it may take longer, and is kept
	r.stop()
	r.start("POSTERN_LIMITS_PLUGIN_COMPILE_SECONDS=1")
	n := newBystander(r)
	n.lives(harmless)
	n.beside("a compile bomb")
	bomb := hostile.Labeller("bomb", 800, 1000)
	status, a := r.rival.upload(http.DefaultClient, "bomb", "", bomb, "inbound")
	if status != 422 || !strings.Contains(a.Str("message"), "too long to compile") {
		t.Errorf("%d %v", status, a)
	}
	if got := n.since(); got < enough {
		t.Errorf("the neighbour had %d mails while it compiled", got)
	}
	c, cancel := context.WithCancel(t.Context())
	gone := make(chan int, 1)
	go func() {
		status, _ := r.rival.upload(&http.Client{Transport: cancelled{c}}, "bomb", "", bomb, "inbound")
		gone <- status
	}()
	n.lives("a compile bomb whose sender hangs up")
	cancel()
	if status := <-gone; status != 0 {
		t.Errorf("it was answered with %d before its sender hung up", status)
	}
	for status = 503; status == 503; { // until the place is free
		status, a = r.rival.upload(http.DefaultClient, "after", "", hostile.Labeller("after", 0, 0), "inbound")
	}
	if status != 201 {
		t.Errorf("afterwards: %d %v", status, a)
	}
	n.finish()
	n.check()
	t.Logf("a neighbour's mail:\n%s", n.figures())
	r.stop()
}

// cancelled makes requests end with a context.
type cancelled struct{ ctx context.Context }

func (c cancelled) RoundTrip(req *http.Request) (*http.Response, error) {
	return http.DefaultTransport.RoundTrip(req.WithContext(c.ctx))
}

// While 50 versions of a plugin are pushed and switched back, no call fails, each mail
// has the label of one of them, and what they took of the process is given back.
func TestHostileSwaps(t *testing.T) {
	r := newRig(t)
	id := r.rival.install("swapped", hostile.Labeller("v0", 0, 0), nil)
	var stop atomic.Bool
	var senders sync.WaitGroup
	var sent [2]int
	for i := range sent {
		from := r.rival.peer()
		senders.Go(func() {
			for ; !stop.Load(); sent[i]++ {
				if reply := r.rival.deliver(from, fmt.Sprintf("%d.%d", i, sent[i]), ""); !strings.HasPrefix(reply, "250") {
					t.Errorf("%q", reply)
					return
				}
			}
		})
	}
	files := 0
	for version := 1; version <= 50; version++ {
		is := fmt.Sprint("v", version)
		if status, a := r.rival.upload(http.DefaultClient, "swapped", is, hostile.Labeller(is, 0, 0), "inbound"); status != 200 {
			t.Fatalf("%s: %d %v", is, status, a)
		}
		if version%10 == 0 { // back, and forth again
			r.rival.change(id, map[string]any{"active_version": fmt.Sprint("v", version-1)})
			r.rival.change(id, map[string]any{"active_version": is})
		}
		if version == 20 {
			files = r.files()
		}
	}
	stop.Store(true)
	senders.Wait()
	a, inbox := r.rival.plugin(id), r.rival.folder(gateway.Inbox)
	if len(inbox) != sent[0]+sent[1] || len(inbox) < 20 || a.At("stats.errors") != 0.0 {
		t.Errorf("%d mails of %v are there; %v", len(inbox), sent, a.At("stats"))
	}
	for subject, labels := range inbox {
		if len(labels) != 1 || !strings.HasPrefix(labels[0], "[v") {
			t.Errorf("%s is there as %v", subject, labels)
		}
	}
	r.holds(files)
	r.stop()
}

// holds wants no more modules than are kept, and no more files than before.
func (r *rig) holds(files int) {
	r.Helper()
	if n, most := r.images(), int(gateway.DefaultLimits().PluginModules)+1; n > most || r.files() > files+10 {
		r.Errorf("%d images of modules are open, at most %d may be; %d files, %d before", n, most, r.files(), files)
	}
}

// images counts the images of plugins that the process has open.
func (r *rig) images() (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", r.cmd.Process.Pid)
	all, err := os.ReadDir(dir)
	if err != nil {
		r.Error(err)
	}
	for _, f := range all {
		if to, err := os.Readlink(filepath.Join(dir, f.Name())); err == nil && strings.Contains(to, "postern-image") {
			n++
		}
	}
	return n
}
