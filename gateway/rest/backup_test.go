package rest_test

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/serve"
)

// fill sends mail with files of the given size.
func fill(c *client, n, size int) {
	c.Helper()
	for range n {
		c.do(200, "POST", "/emails", c.g.Keys.Domain, email("text", strings.Repeat("0123456789abcdef", size/16)))
	}
}

// backUp asks for a backup and returns what came of it.
func backUp(c *client, key string) (status int, size int64, err error) {
	c.Helper()
	resp := c.g.Send("GET", "/backup", key, nil)
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		return resp.StatusCode, 0, nil
	}
	if t := resp.Header.Get("Content-Type"); t != "application/octet-stream" {
		c.Errorf("the type of a backup is %q", t)
	}
	_, size, err = serve.ReadBackup(resp.Body)
	return resp.StatusCode, size, err
}

// A backup is the operator's, whole, one after the other.
func TestBackup(t *testing.T) {
	c := newClient(t)
	fill(c, 2, 400<<10)
	for range 3 {
		if status, size, err := backUp(c, c.g.Keys.Admin); status != 200 || err != nil || size < 800<<10 {
			t.Errorf("%d, %d bytes, %v", status, size, err)
		}
	}
	for key, want := range map[string]int{"": 401, "bm_admin_" + strings.Repeat("0", 40): 401, c.g.Keys.Domain: 403, c.g.Keys.Account: 403, c.g.Keys.SendOnly: 403} {
		c.do(want, "GET", "/backup", key, nil)
	}
	sender := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"instance":true,"permission":"send_only"}`)
	c.do(403, "GET", "/backup", sender.Str("token"), nil)
	if resp := c.g.Send("HEAD", "/backup", c.g.Keys.Admin, nil); resp.StatusCode != 200 {
		t.Errorf("HEAD: %d", resp.StatusCode)
	}
}

// hung asks for a backup that is too large for all buffers between, and reads
// nothing of it.
func hung(c *client, key string) *http.Response {
	c.Helper()
	resp := c.g.Send("GET", "/backup", key, nil)
	c.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 {
		c.Fatalf("%s", resp.Status)
	}
	return resp
}

const bufferless = 9 << 20 // bytes of text; two of them are more than sockets hold

// A second backup waits, the gateway goes on meanwhile, and a client that leaves
// makes room for the next.
func TestBackupOneAtATime(t *testing.T) {
	c := newClient(t)
	fill(c, 2, bufferless)
	resp := hung(c, c.g.Keys.Admin)
	c.do(503, "GET", "/backup", c.g.Keys.Admin, nil)
	c.do(200, "POST", "/emails", c.g.Keys.Domain, email())
	resp.Body.Close()
	gatewaytest.Eventually(t, "the next backup", func() bool {
		status, _, err := backUp(c, c.g.Keys.Admin)
		return status == 200 && err == nil
	})
}

// A key that is revoked ends its backup, and the client can tell.
func TestBackupRevoked(t *testing.T) {
	c := newClient(t)
	fill(c, 2, bufferless)
	made := c.do(201, "POST", "/api-keys", c.g.Keys.Admin, `{"instance":true}`)
	resp := hung(c, made.Str("token"))
	c.do(200, "DELETE", "/api-keys/"+made.Str("id"), c.g.Keys.Admin, nil)
	if _, _, err := serve.ReadBackup(resp.Body); err == nil {
		t.Error("the backup of a revoked key is whole")
	}
	gatewaytest.Eventually(t, "nothing of it is left", func() bool {
		id, err := gateway.ParseID(made.Str("id"))
		return err == nil && c.g.Gateway.Keys.Live(id) == 0
	})
}

// A stop does not wait for a backup, which may take minutes.
func TestBackupStop(t *testing.T) {
	c := newClient(t)
	fill(c, 2, bufferless)
	resp := hung(c, c.g.Keys.Admin)
	start := time.Now()
	c.g.Stop()
	if took := time.Since(start); took >= gateway.DrainTimeout { // what one that waits takes at least
		t.Errorf("the stop took %v", took)
	}
	if _, _, err := serve.ReadBackup(resp.Body); err == nil {
		t.Error("a backup that was cut is whole")
	}
	c.g = gatewaytest.Start(t) // for the cleanup, which stops one
}

// A body that can't be read, behind others that can, breaks the answer off: no
// client takes it for a backup. One before all others is an error at once.
func TestBackupBreaksOff(t *testing.T) {
	c := newClient(t)
	fill(c, 4, 1<<20)
	bodies, err := filepath.Glob(filepath.Join(c.g.Data, "store/bodies/*/*"))
	if err != nil || len(bodies) < 4 {
		t.Fatalf("%v, %v", bodies, err)
	}
	for i, body := range []string{bodies[len(bodies)-1], bodies[0]} {
		if err := os.Truncate(body, 1000); err != nil {
			t.Fatal(err)
		}
		resp := c.g.Send("GET", "/backup", c.g.Keys.Admin, nil)
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if i == 0 && (resp.StatusCode != 200 || !errors.Is(err, io.ErrUnexpectedEOF) || n == 0) {
			t.Errorf("%s, %d bytes, %v", resp.Status, n, err)
		}
		if i == 1 && (resp.StatusCode != 500 || resp.Header.Get("Content-Disposition") != "") {
			t.Errorf("%s, %v", resp.Status, resp.Header)
		}
	}
	if !strings.Contains(c.g.Log.String(), "a backup broke off") {
		t.Error("the log says nothing of it")
	}
}
