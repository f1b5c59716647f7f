package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/plugins/hostile"
)

// question is what a plugin is asked in a dry run.
type question struct {
	hook  string
	mails int // the first ones
}

// The same plugins say the same about the same mail with the same fuel, in processes with
// other numbers of processors, on code that was just compiled or that was kept.
func TestHostileDeterminism(t *testing.T) {
	r := newRig(t, "GOMAXPROCS=1", "POSTERN_LIMITS_PLUGIN_FUEL=20000000", "POSTERN_LIMITS_PLUGIN_HOST_CALLS=1000") // what uses all is soon done
	ask := make(map[string]question)                                                                               // by plugin
	wasm, err := os.ReadFile(filepath.Join(builtPlugins(t), "ticket-threads.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	_, a := r.rival.upload(http.DefaultClient, "ticket-threads", "", wasm, "thread")
	ask[a.Str("id")] = question{"thread", 3}
	for _, m := range hostile.Modules() {
		_, a := r.rival.upload(http.DefaultClient, fmt.Sprint("by-hand-", len(ask)), "", m.Wasm, "inbound")
		ask[a.Str("id")] = question{"inbound", 1}
	}
	from := r.rival.peer()
	for i, fields := range []string{"", "List-Id: <x.example>\r\n", "X-Long: " + strings.Repeat("long ", 100) + "\r\n"} {
		r.rival.deliver(from, fmt.Sprintf("mail %d [#77]", i), fields)
	}
	first := r.answers(ask)
	for _, run := range []struct {
		processors string
		kept       bool
	}{{"2", true}, {"4", false}} {
		r.stop()
		if !run.kept {
			if err := os.RemoveAll(filepath.Join(r.data, "cache")); err != nil {
				t.Fatal(err)
			}
		}
		r.start("GOMAXPROCS=" + run.processors)
		for i, got := range r.answers(ask) {
			if got != first[i] || !strings.Contains(got, " fuel:") {
				t.Errorf("with %s processors, kept code %v:\n%s\nbefore:\n%s", run.processors, run.kept, got, first[i])
			}
		}
	}
	t.Logf("%d answers of each process, such as %s", len(first), first[0])
	r.stop()
}

// answers are what plugins would do about the rival's mail, without what a clock decides.
func (r *rig) answers(ask map[string]question) (all []string) {
	r.Helper()
	mails := r.want(200, "GET", "/emails?email="+r.rival.account, r.rival.key, nil)
	for id, q := range ask {
		for i := range q.mails {
			a := r.want(200, "POST", "/plugins/"+id+"/test?email="+r.rival.account, r.rival.key,
				map[string]any{"hook": q.hook, "email_id": mails.Str(fmt.Sprintf("data.%d.email_id", i))})
			delete(a, "duration_us")
			writes, _ := a["kv_writes"].([]any)
			for _, w := range writes {
				delete(w.(map[string]any), "expires_at")
			}
			all = append(all, fmt.Sprint(i, a))
		}
	}
	slices.Sort(all)
	return all
}
