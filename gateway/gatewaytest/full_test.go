package gatewaytest_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// mostReserve is the largest store.reserve there is.
const mostReserve = 1 << 40

// reserveAbove is a reserve that leaves this disk below it, but above the floor at
// which nothing is accepted.
func reserveAbove(t *testing.T, dir string) string {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	reserve := int64(st.Bavail) * int64(st.Bsize) / 3 * 4 //nolint:unconvert // its type differs between systems
	if reserve < 1<<30 || reserve > mostReserve {
		t.Skipf("a disk with so much room, %d bytes, can't be made to look nearly full", reserve)
	}
	return fmt.Sprint(reserve)
}

// On a disk that is nearly full every door says so, in its way, to whoever brings
// something; who deletes is served.
func TestNearlyFullDisk(t *testing.T) {
	g := gatewaytest.Start(t)
	before := mail("ann@demo.localhost", gatewaytest.Account, "Before")
	before["attachments"] = []map[string]string{{"filename": "a.txt", "content": "aGk="}}
	sent := send(t, g, g.Keys.Domain, before)
	inbox(t, g, gatewaytest.Account, 1)
	g.Restart(gatewaytest.Setting("store.reserve", reserveAbove(t, g.Data)))

	resp := g.Send("POST", "/emails", g.Keys.Domain, mail("ann@demo.localhost", gatewaytest.Account, "During"))
	resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "60" {
		t.Errorf("a send: %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	if status, a := g.Do("POST", "/emails", g.Keys.Domain, mail("ann@demo.localhost", gatewaytest.Account, "During")); status != 503 || a.Str("name") != "service_unavailable" {
		t.Errorf("a send: %d %v", status, a)
	}
	// The secret of links can't be made: a file is listed without one.
	status, list := g.Do("GET", "/emails/"+sent.Str("id")+"/attachments", g.Keys.Domain, nil)
	if status != 200 || list.Str("data.0.filename") != "a.txt" || list.At("data.0.download_url") != nil {
		t.Errorf("attachments: %d %v", status, list)
	}
	if status, a := g.Do("GET", "/files/x", "", nil); status != 404 {
		t.Errorf("a link that nobody signed: %d %v", status, a)
	}
	mx := g.Dial(t, "mx")
	mx.Script(`
		S: 220
		C: EHLO client.example
		S~ 250 \w
		C: MAIL FROM:<x@client.example>
		S: 250
		C: RCPT TO:<` + gatewaytest.Account + `>
		S: 250
		C: DATA
		S: 354
		C: Subject: during
		C:
		C: text
		C: .
		S: 452 4.3.1
		C: QUIT
		S: 221`)
	imap := g.Dial(t, "imaps")
	login := base64.StdEncoding.EncodeToString([]byte("\x00" + gatewaytest.Account + "\x00" + g.Keys.Account))
	imap.Script(`
		S: \* OK
		C: a AUTHENTICATE PLAIN ` + login + `
		S~ a OK
		C: b APPEND INBOX {17+}
		C: Subject: x
		C:
		C: x
		C:
		S~ b NO \[UNAVAILABLE\]
		C: c SELECT INBOX
		S~ c OK
		C: d COPY 1 Archive
		S~ d NO \[UNAVAILABLE\]
		C: e STORE 1 +FLAGS (\Flagged)
		S~ e OK
		C: f MOVE 1 Trash
		S~ f OK
		C: g SELECT Trash
		S~ \* 1 EXISTS
		S~ g OK
		C: h STORE 1 +FLAGS (\Deleted)
		S~ h OK
		C: i EXPUNGE
		S~ \* 1 EXPUNGE
		S~ i OK`)

	status, a := g.Do("POST", "/api-keys", g.Keys.Admin, map[string]any{"name": "new", "scope": "domain", "domain": gatewaytest.Domain})
	if status != 503 {
		t.Errorf("a new key: %d %v", status, a)
	}
	_, a = g.Do("GET", "/api-keys", g.Keys.Admin, nil)
	other := "" // any key but the one that is used below
	for i := range a.At("data").([]any) {
		if row := fmt.Sprintf("data.%d.", i); !strings.HasPrefix(a.Str(row+"prefix"), g.Keys.Domain[:12]) {
			other = a.Str(row + "id")
		}
	}
	if status, a := g.Do("DELETE", "/api-keys/"+other, g.Keys.Admin, nil); status >= 300 || other == "" {
		t.Errorf("revoking a key: %d %v", status, a)
	}
	g.Restart(gatewaytest.Setting("store.reserve", "0"))
	send(t, g, g.Keys.Domain, mail("ann@demo.localhost", gatewaytest.Account, "After"))
}
