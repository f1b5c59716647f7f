package serve_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

var quiet = slog.New(slog.DiscardHandler)

// take backs up a running gateway over REST into a file.
func take(t *testing.T, g *gatewaytest.Gateway) string {
	t.Helper()
	resp := g.Send("GET", "/backup", g.Keys.Admin, nil)
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Fatalf("the backup: %s", resp.Status)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "backup"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, resp.Body); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return f.Name()
}

func restore(t *testing.T, file string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "postern") // short enough for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	in, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := serve.Restore(t.Context(), in, dir, quiet); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A backup is taken while many send. What was acknowledged before it began is in
// it, with its body, under the same keys; and the copy passes every check.
func TestBackupWhileSending(t *testing.T) {
	g := gatewaytest.Start(t, gatewaytest.Limit("key_messages", "0"), gatewaytest.Limit("key_recipients", "0"))
	var mu sync.Mutex
	var acknowledged []string
	writing, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; writing.Err() == nil; i++ {
				size := 100
				if i%5 == 0 {
					size = 300 << 10 // in a file of its own
				}
				status, a := g.Do("POST", "/emails", g.Keys.Domain, map[string]any{
					"from": fmt.Sprintf("w%d@demo.localhost", w), "to": gatewaytest.Account, "subject": fmt.Sprint(w, i), "text": strings.Repeat("y", size),
				})
				if status != 200 {
					t.Errorf("send: %d %v", status, a)
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, a.Str("id"))
				mu.Unlock()
			}
		})
	}
	var files []string
	var before [][]string
	for n := range 3 {
		gatewaytest.Eventually(t, "some mail", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(acknowledged) >= 40*(n+1)
		})
		mu.Lock()
		before = append(before, slices.Clone(acknowledged))
		mu.Unlock()
		files = append(files, take(t, g))
	}
	stop()
	writers.Wait()
	for i, file := range files {
		data := restore(t, file)
		report, err := serve.VerifyStore(t.Context(), data, quiet, func(what string) { t.Errorf("backup %d: %s", i, what) })
		if err != nil {
			t.Fatal(err)
		}
		if n := int64(len(before[i])); report.Messages < n || report.Domains != 1 {
			t.Errorf("backup %d: %+v, at least %d messages were acknowledged", i, report, n)
		}
		b, stop := start(t, data)
		restored := b.REST
		for _, id := range before[i] {
			if n, err := textOf(restored+"/emails/"+id, g.Keys.Domain); err != nil || n != 100 && n != 300<<10 {
				t.Errorf("backup %d: %s was acknowledged before it: a text of %d bytes, %v", i, id, n, err)
			}
		}
		stop()
	}
}

// start runs a gateway over an existing data folder, which has keys.
func start(t *testing.T, data string) (banner *serve.Banner, stop func()) {
	t.Helper()
	cfg := serve.LocalDefaults()
	cfg.Data = data
	for _, door := range serve.Doors {
		if err := cfg.Set(door+".listen", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
	}
	g, err := serve.Open(cfg, quiet, nil)
	if err != nil {
		t.Fatal(err)
	}
	banner, err = g.Start(t.Context(), serve.Quickstart{Domain: gatewaytest.Domain})
	if err != nil || banner.Keys != nil {
		t.Errorf("the keys of a restored gateway are there, and shown to nobody: %v, %v", banner, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	return banner, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// What a client saw after a backup was made is not taken for what came after it was
// restored: no mailbox has the UIDVALIDITY it had, nor does one made later have the
// one of that name in the lost store, and streams go on with other numbers.
func TestRestoredIsNotWhatWasLost(t *testing.T) {
	g := gatewaytest.Start(t)
	send := func(url, subject string) { // until it has arrived
		t.Helper()
		ask := func(method, path, body string) (int, string) {
			req, err := http.NewRequest(method, url+path, strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header = http.Header{"Authorization": {"Bearer " + g.Keys.Domain}, "Content-Type": {"application/json"}}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			answer, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			return resp.StatusCode, string(answer)
		}
		if status, answer := ask("POST", "/emails", `{"from":"a@demo.localhost","to":"`+gatewaytest.Account+`","text":"x","subject":"`+subject+`"}`); status != 200 {
			t.Fatal(status, answer)
		}
		gatewaytest.Eventually(t, "it arrives", func() bool {
			_, answer := ask("GET", "/emails?email="+gatewaytest.Account, "")
			return strings.Contains(answer, subject)
		})
	}
	send(g.URL, "before")
	file := take(t, g)
	send(g.URL, "lost")
	lost := states(t, g.Addr("imaps"), g.Data, g.Keys.Domain, "CREATE "+made)
	for _, again := range []string{"restored", "restored once more"} {
		data := restore(t, file)
		b, stop := start(t, data)
		send(b.REST, again)
		now := states(t, b.IMAPS, data, g.Keys.Domain, "CREATE "+made)
		for name, is := range now {
			if was := lost[name]; is.validity <= was.validity || is.id == was.id && name == made || is.modseq <= was.modseq && name == gateway.Inbox {
				t.Errorf("%s: %s is %+v, and was %+v", again, name, is, was)
			}
		}
		stop()
	}
}

// made is a mailbox that a client makes.
const made = "Later"

type state struct {
	validity, modseq uint64
	id               string
}

// states returns how all mailboxes are after some commands.
func states(t *testing.T, addr, data, key string, commands ...string) map[string]state {
	t.Helper()
	c, err := gatewaytest.DialIMAP(addr, gatewaytest.TrustLocal(t, data))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	all := make(map[string]state)
	commands = append([]string{"LOGIN " + gatewaytest.Account + " " + key}, append(commands, `LIST "" * RETURN (STATUS (UIDVALIDITY HIGHESTMODSEQ MAILBOXID))`)...)
	for _, do := range commands {
		told, err := c.OK(do)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range told {
			if s := r.Status; s != nil {
				all[r.Mailbox] = state{s["UIDVALIDITY"], s["HIGHESTMODSEQ"], r.Rest}
			}
		}
	}
	return all
}

// textOf is the length of an email's text.
func textOf(url, key string) (int, error) {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var a struct{ Text, Message string }
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != 200 {
		return 0, fmt.Errorf("%s: %s, %w", resp.Status, a.Message, err)
	}
	return len(a.Text), nil
}

// Everything in a data folder is in a backup, or known to be made anew.
func TestBackupMissesNothing(t *testing.T) {
	g := gatewaytest.Start(t)
	if err := os.WriteFile(filepath.Join(g.Data, "postern.toml"), []byte("[server]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := take(t, g)
	data := restore(t, file)
	anew := []string{"spool", "cache", "postern.sock"}
	entries, err := os.ReadDir(g.Data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(data, e.Name())); err != nil && !slices.Contains(anew, e.Name()) {
			t.Errorf("%s is not in the backup; is it needed?", e.Name())
		}
	}
	for _, name := range []string{"tls/ca.key", "tls/ca.pem", "tls/server.key", "tls/server.pem", "postern.toml"} {
		want, err := os.ReadFile(filepath.Join(g.Data, name))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(data, name))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is not what it was: %v", name, err)
		}
	}
	if info, err := os.Stat(filepath.Join(data, "tls/ca.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("ca.key: %v, %v", info.Mode(), err)
	}
	if info, err := os.Stat(data); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v, %v", info.Mode(), err)
	}
}

// What can't be restored leaves nothing behind, nor does it touch what is there.
func TestRestoreLeavesNothing(t *testing.T) {
	g := gatewaytest.Start(t)
	status, _ := g.Do("POST", "/emails", g.Keys.Domain, map[string]any{"from": "a@demo.localhost", "to": gatewaytest.Account, "subject": "x", "text": strings.Repeat("z", 400<<10)})
	if status != 200 {
		t.Fatal(status)
	}
	whole, err := os.ReadFile(take(t, g))
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 4
	over, stop := context.WithCancel(t.Context())
	stop()
	for what, tt := range map[string]struct {
		ctx context.Context
		raw string
	}{
		"a cut one":          {t.Context(), string(whole[:len(whole)-1])},
		"one without an end": {t.Context(), string(whole[:len(whole)-37])},
		"half of one":        {t.Context(), string(whole[:len(whole)/2])},
		"a flipped bit":      {t.Context(), string(flipped)},
		"something else":     {t.Context(), "nothing of ours"},
		"nothing":            {t.Context(), ""},
		"too much":           {t.Context(), string(whole) + "x"},
		"a stop":             {over, string(whole)},
	} {
		parent := t.TempDir()
		dir := filepath.Join(parent, "new")
		if _, err := serve.Restore(tt.ctx, strings.NewReader(tt.raw), dir, quiet); err == nil {
			t.Errorf("%s is restored", what)
		}
		if left, err := os.ReadDir(parent); err != nil || len(left) != 0 {
			t.Errorf("%s leaves %v, %v", what, left, err)
		}
		if err := os.Mkdir(dir, 0o755); err != nil { // an empty folder stays one
			t.Fatal(err)
		}
		_, _ = serve.Restore(tt.ctx, strings.NewReader(tt.raw), dir, quiet)
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("%s leaves %v, %v", what, left, err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := serve.Restore(t.Context(), strings.NewReader(string(whole)), dir, quiet); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("into a folder with files: %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("files of somebody: %v, %v", left, err)
	}
	// What a killed restore left is no obstacle.
	dir = t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, ".restoring", "store"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := serve.Restore(t.Context(), strings.NewReader(string(whole)), dir, quiet); err != nil {
		t.Error(err)
	}
}

// Verify sees what the digest of a backup does not: a body that was damaged before
// it was written.
func TestVerifyBackup(t *testing.T) {
	g := gatewaytest.Start(t)
	for range 2 {
		if status, _ := g.Do("POST", "/emails", g.Keys.Domain, map[string]any{"from": "a@demo.localhost", "to": gatewaytest.Account, "subject": "x", "text": strings.Repeat("z", 400<<10)}); status != 200 {
			t.Fatal(status)
		}
	}
	check := func() (serve.BackupReport, error) {
		in, err := os.Open(take(t, g))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		tmp := t.TempDir()
		b, err := serve.VerifyBackup(t.Context(), in, tmp, quiet, func(what string) { t.Error(what) })
		if left, _ := os.ReadDir(tmp); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
		return b, err
	}
	b, err := check()
	if err != nil || b.Messages < 2 || b.Bodies < 2 || b.BodyBytes < 2*400<<10 || b.Findings != 0 || time.Since(b.CreatedAt) > time.Minute {
		t.Errorf("%+v, %v", b, err)
	}
	bodies, err := filepath.Glob(filepath.Join(g.Data, "store/bodies/*/*"))
	if err != nil || len(bodies) == 0 {
		t.Fatalf("%v, %v", bodies, err)
	}
	raw, err := os.ReadFile(bodies[0])
	if err != nil {
		t.Fatal(err)
	}
	raw[1000] ^= 1
	if err := os.WriteFile(bodies[0], raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := check(); err == nil {
		t.Error("a damaged body passes")
	}
}
