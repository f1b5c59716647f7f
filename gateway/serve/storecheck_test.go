package serve_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// damaged is a gateway that has stopped, and of whose store a body is lost; and how its
// mailboxes were.
func damaged(t *testing.T) (g *gatewaytest.Gateway, was map[string]state) {
	t.Helper()
	g = gatewaytest.Start(t)
	large := map[string]string{"from": "a@demo.localhost", "to": gatewaytest.Account, "subject": "large", "text": strings.Repeat("large ", 100<<10)}
	if status, a := g.Do("POST", "/emails", g.Keys.Domain, large); status != 200 {
		t.Fatal(status, a)
	}
	was = states(t, g.Addr("imaps"), g.Data, g.Keys.Domain)
	g.Stop()
	bodies, err := filepath.Glob(filepath.Join(g.Data, "store", "bodies", "*", "*"))
	if err != nil || len(bodies) == 0 {
		t.Fatal(bodies, err)
	}
	for _, f := range bodies {
		if err := os.Truncate(f, 100); err != nil {
			t.Fatal(err)
		}
	}
	return g, was
}

// repairing is the environment variable that has TestRepairKilled repair the store of a
// data folder: it is the process that is killed.
const repairing = "POSTERN_TEST_REPAIR"

// A repair is killed at one of its steps, and made again: no client takes a mailbox for
// the one that it knew, in which what is lost now was seen.
func TestRepairKilled(t *testing.T) {
	if data := os.Getenv(repairing); data != "" {
		if _, err := serve.RepairStore(t.Context(), data, quiet, func(string) {}); err != nil {
			t.Fatal(err)
		}
		return
	}
	for name, reached := range map[string]string{
		"it writes": ".repairing", "it has written": ".repaired", "the old store is out of the way": ".damaged-*", "it has ended": "",
	} {
		t.Run(name, func(t *testing.T) {
			g, was := damaged(t)
			repairUntil(t, g.Data, reached)
			repaired(t, g, was)
		})
	}
	// Between its two renames there is no store: nobody takes that for a new folder.
	t.Run("the new store is not in its place", func(t *testing.T) {
		g, was := damaged(t)
		repairUntil(t, g.Data, "")
		at := filepath.Join(g.Data, "store")
		if err := os.Rename(at, at+".repaired"); err != nil {
			t.Fatal(err)
		}
		cfg := serve.LocalDefaults()
		cfg.Data = g.Data
		if _, err := serve.Open(cfg, quiet, nil); err == nil || !strings.Contains(err.Error(), "postern store repair") {
			t.Errorf("a gateway starts: %v", err)
		}
		repaired(t, g, was)
	})
}

// repaired repairs the store for good, and looks at its mailboxes.
func repaired(t *testing.T, g *gatewaytest.Gateway, was map[string]state) {
	t.Helper()
	for range 2 { // the second time there is nothing to do
		if _, err := serve.RepairStore(t.Context(), g.Data, quiet, func(what string) { t.Log(what) }); err != nil {
			t.Fatal(err)
		}
	}
	b, stop := start(t, g.Data)
	defer stop()
	now := states(t, b.IMAPS, g.Data, g.Keys.Domain)
	for name, old := range was {
		if is := now[name]; is.validity <= old.validity {
			t.Errorf("%s is %+v, and was %+v", name, is, old)
		}
	}
}

// repairUntil has another process repair a store, and kills it when a file beside the
// store is there.
func repairUntil(t *testing.T, data, reached string) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRepairKilled$", "-test.count=1")
	cmd.Env = append(os.Environ(), repairing+"="+data)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		select {
		case err := <-ended:
			if reached == "" && err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
		if found, err := filepath.Glob(filepath.Join(data, "store"+reached)); reached != "" && (err != nil || len(found) > 0) {
			_ = cmd.Process.Kill()
			<-ended
			return
		}
	}
}
