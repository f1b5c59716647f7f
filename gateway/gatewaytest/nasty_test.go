package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway/gatewaytest"
	"github.com/centerleap/postern/gateway/gatewaytest/imapread"
	"github.com/centerleap/postern/gateway/gatewaytest/nastymail"
)

// nastyTime is how long one answer about a message may take that is hard to read, with
// other work and the race detector beside it. All of them together take about 10 s alone.
const nastyTime = 10 * time.Second

// Mail that is hard to read comes in by every door and goes out by every door: its bytes
// as they were, its structure by the grammar, JSON that is JSON.
func TestNastyMail(t *testing.T) {
	g := gatewaytest.Start(t)
	n := &nasty{g: g, uids: make(map[string]int)}
	var err error
	if n.c, err = g.DialIMAP(); err != nil {
		t.Fatal(err)
	}
	defer n.c.Close()
	n.ok(t, "LOGIN "+gatewaytest.Account+" "+g.Keys.Account)
	for _, tt := range nastymail.Cases() {
		t.Run("APPEND "+tt.Name, func(t *testing.T) { n.appended(t, tt) })
		t.Run("MX "+tt.Name, func(t *testing.T) { n.received(t, tt) })
	}
	for _, folder := range []string{"Archive", "INBOX"} {
		for page := 1; (page-1)*20 < n.uids[folder]; page++ {
			n.json(t, fmt.Sprintf("/emails?limit=20&folder=%s&page=%d", folder, page), http.StatusOK)
		}
		n.ok(t, "EXAMINE "+folder)
		n.ok(t, `SEARCH TEXT "hello" BODY "h" SUBJECT "a" FROM "x"`)
	}
	n.json(t, "/emails/threads?limit=100", http.StatusOK)
	n.json(t, "/emails?q=hello&folder=Archive", http.StatusOK)
}

type nasty struct {
	g    *gatewaytest.Gateway
	c    *gatewaytest.IMAP
	uids map[string]int // of the last message in a folder
}

// ok runs a command that must succeed, in time.
func (n *nasty) ok(t *testing.T, parts ...string) []*imapread.Response {
	t.Helper()
	began := time.Now()
	all, err := n.c.OK(parts...)
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > nastyTime {
		t.Errorf("%.100q took %v", parts[0], took)
	}
	return all
}

func (n *nasty) appended(t *testing.T, tt nastymail.Case) {
	if tt.Refused {
		r, err := n.c.Do(nil, fmt.Sprintf("APPEND Archive {%d}", len(tt.Raw)), tt.Raw)
		if err != nil || r.Name != "NO" {
			t.Errorf("%+v, %v", r, err)
		}
		return
	}
	n.ok(t, fmt.Sprintf("APPEND Archive {%d}", len(tt.Raw)), tt.Raw)
	n.uids["Archive"]++
	got := n.read(t, "Archive")
	if got != tt.Raw {
		t.Errorf("BODY[] has %d bytes that are not the %d that came", len(got), len(tt.Raw))
	}
	n.overREST(t, "Archive", n.uids["Archive"], got)
}

// smtpLine is the longest line that the MX door takes.
const smtpLine = 64 << 10

func (n *nasty) received(t *testing.T, tt nastymail.Case) {
	mx := n.g.Dial(t, "mx")
	mx.Script("S: 220 \nC: EHLO mx.example.com\nS~ 250 \nC: MAIL FROM:<ann@elsewhere.example>\nS: 250 \nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250 \nC: DATA\nS: 354 ")
	stuffed := strings.ReplaceAll("\r\n"+tt.Raw, "\r\n.", "\r\n..")[2:]
	end := ".\r\n"
	if !strings.HasSuffix(stuffed, "\r\n") {
		end = "\r\n.\r\n"
	}
	if _, err := io.WriteString(mx.Conn, stuffed+end); err != nil && !tt.Refused {
		t.Fatal(err)
	}
	reply, _ := mx.Line()
	long := slices.ContainsFunc(strings.Split(tt.Raw, "\r\n"), func(l string) bool { return len(l) >= smtpLine })
	legal := tt.CanSMTP() && !tt.Refused && !long
	if !strings.HasPrefix(reply, "250 ") {
		if legal {
			t.Errorf("the door says %q", reply)
		}
		return
	}
	if tt.Refused || long {
		t.Errorf("the door took it: %q", reply)
	}
	n.uids["INBOX"]++
	want := tt.Raw
	if !strings.HasSuffix(want, "\r\n") {
		want += "\r\n" // which the dot stands behind
	}
	if got := n.read(t, "INBOX"); !strings.HasSuffix(got, "\r\n"+want) {
		t.Errorf("BODY[] has %d bytes that do not end in the %d that came", len(got), len(want))
	}
}

// read reads the last message of a folder over IMAP in every way, and returns its bytes.
func (n *nasty) read(t *testing.T, folder string) string {
	t.Helper()
	n.ok(t, "EXAMINE "+folder)
	uid := n.uids[folder]
	const items = "(RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (SUBJECT X-None)] BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)])"
	f := n.fetch(t, uid, items)
	raw := f.Sections["BODY[]"]
	if f.Size != int64(len(raw)) {
		t.Errorf("RFC822.SIZE is %d of %d bytes", f.Size, len(raw))
	}
	if f.Sections["BODY[HEADER]"]+f.Sections["BODY[TEXT]"] != raw {
		t.Error("HEADER and TEXT are not the whole")
	}
	if len(f.Absent) > 0 || !strings.HasSuffix(f.Sections["BODY[HEADER.FIELDS (SUBJECT X-None)]"], "\r\n") {
		t.Errorf("%v is absent, the fields are %q", f.Absent, f.Sections["BODY[HEADER.FIELDS (SUBJECT X-None)]"])
	}
	n.parts(t, uid, f.Structure)
	n.ok(t, fmt.Sprintf("UID SEARCH UID %d TEXT zzz SUBJECT zzz BODY zzz", uid))
	return raw
}

func (n *nasty) fetch(t *testing.T, uid int, items string) *imapread.Fetch {
	t.Helper()
	for _, r := range n.ok(t, fmt.Sprintf("UID FETCH %d %s", uid, items)) {
		if r.Fetch != nil && r.Fetch.UID == uint32(uid) {
			return r.Fetch
		}
	}
	t.Fatalf("UID FETCH %d says nothing", uid)
	return nil
}

// partsRead is how many parts of a message are read, from the first and from the last: a
// FETCH takes so many items.
const partsRead = 15

// parts reads every part that a structure names.
func (n *nasty) parts(t *testing.T, uid int, root *imapread.Part) {
	t.Helper()
	sizes, items := make(map[string]int64), []string{}
	root.Walk(func(number string, p *imapread.Part) {
		if sizes[number] = p.Size; p.Type == "multipart" {
			sizes[number] = -1
		}
		items = append(items, number)
	})
	if len(items) > 2*partsRead {
		items = append(items[:partsRead], items[len(items)-partsRead:]...)
	}
	var ask []string
	for _, number := range items {
		ask = append(ask, "BODY.PEEK["+number+"] BODY.PEEK["+number+".MIME]")
	}
	f := n.fetch(t, uid, "("+strings.Join(ask, " ")+")")
	if len(f.Absent) > 0 {
		t.Errorf("%v can't be read", f.Absent)
	}
	for _, number := range items {
		if got := int64(len(f.Sections["BODY["+number+"]"])); sizes[number] >= 0 && got != sizes[number] {
			t.Errorf("part %s has %d bytes, not %d", number, got, sizes[number])
		}
	}
}

// overREST reads the message as a program does.
func (n *nasty) overREST(t *testing.T, folder string, uid int, raw string) {
	t.Helper()
	path := fmt.Sprintf("/emails/%d?folder=%s", uid, folder)
	a := n.json(t, path, http.StatusOK)
	n.json(t, path+"&html_format=data_uri", http.StatusOK)
	id := "/emails/" + a.Str("email_id")
	resp := n.g.Send("GET", id+"/raw", n.g.Keys.Account, nil)
	defer resp.Body.Close()
	if got, err := io.ReadAll(resp.Body); err != nil || string(got) != raw {
		t.Errorf("raw has %d bytes, BODY[] %d: %v", len(got), len(raw), err)
	}
	n.json(t, "/emails/threads/"+a.Str("thread_id"), http.StatusOK)
	files := n.json(t, id+"/attachments", http.StatusOK)
	for i := range 3 {
		if file := files.Str(fmt.Sprintf("data.%d.id", i)); file != "" {
			resp := n.g.Send("GET", id+"/attachments/"+file, n.g.Keys.Account, nil)
			got, err := io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if want := files.At(fmt.Sprintf("data.%d.size_bytes", i)); err != nil || resp.StatusCode != http.StatusOK || float64(got) != want {
				t.Errorf("attachment %d: %d, %d bytes of %v, %v", i, resp.StatusCode, got, want, err)
			}
		}
	}
}

// json asks for JSON in UTF-8, in time.
func (n *nasty) json(t *testing.T, path string, want int) (a gatewaytest.Answer) {
	t.Helper()
	began := time.Now()
	resp := n.g.Send("GET", path, n.g.Keys.Account, nil)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil {
		err = json.Unmarshal(raw, &a)
	}
	if err != nil || resp.StatusCode != want || !utf8.Valid(raw) {
		t.Fatalf("%s: %d, %v, %.200q", path, resp.StatusCode, err, raw)
	}
	if took := time.Since(began); took > nastyTime {
		t.Errorf("%s took %v", path, took)
	}
	return a
}
