package dashboard_test

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest"
)

// mailOf is where the pages of an account's mail are.
const mailOf = "/ui/domains/" + gatewaytest.Domain + "/accounts/" + gatewaytest.Account

// arrives brings a message from outside to an account and returns its id.
func arrives(t *testing.T, g *gatewaytest.Gateway, to, fields, body string) string {
	t.Helper()
	raw := strings.ReplaceAll("To: "+to+"\n"+fields+"\n\n"+body, "\n", "\r\n")
	err := g.Receiver.Receive(t.Context(), gateway.Envelope{
		ReturnPath: "ann@elsewhere.example", Recipients: []string{to}, RemoteIP: "2001:db8::1", Helo: "peer.example", Protocol: "ESMTPS",
	}, strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, list := g.Do("GET", "/emails?limit=1&email="+to, g.Keys.Admin, nil)
	return list.Str("data.0.email_id")
}

// note is a plain message.
func note(t *testing.T, g *gatewaytest.Gateway, subject string) string {
	t.Helper()
	return arrives(t, g, gatewaytest.Account, "From: Ann <ann@elsewhere.example>\nSubject: "+subject, "Words about "+subject+".")
}

func TestMessageList(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	b.get(mailOf+"/messages").wants(t, 200, "There is no message in INBOX", "Drafts", `aria-current="page"><span>INBOX</span>`)
	for i := range 51 {
		note(t, g, fmt.Sprint("number ", i))
	}
	last := note(t, g, "<b>pears</b>")
	arrives(t, g, gatewaytest.Account, "From: ann@elsewhere.example", "Nothing above.")

	one := b.get(mailOf+"/messages").wants(t, 200, "INBOX: 53 messages", "&lt;b&gt;pears&lt;/b&gt;", "Words about number 50", "No subject", "53 unread of", `>unread</span>`, "Page 1", `rel="next"`)
	if strings.Contains(one.body, "Words about number 2.") || strings.Contains(one.body, `rel="prev"`) {
		t.Error("the first page is not the newest fifty")
	}
	b.get(mailOf+"/messages?page=2").wants(t, 200, "Words about number 2.", `rel="prev"`)
	b.get(mailOf+"/messages?q=pears").wants(t, 200, "INBOX: 1 message<", "messages/"+last+"?folder=INBOX", `value="pears"`)
	b.get(mailOf+"/messages?q=plums").wants(t, 200, "No message in INBOX is like that")
	g.Do("PATCH", "/emails/"+last, g.Keys.Domain, `{"is_read":true,"is_starred":true,"add_labels":["fruit"]}`)
	b.get(mailOf+"/messages?q=pears").wants(t, 200, ">starred</span>", "fruit")
	b.get(mailOf+"/messages?q=pears&unread=1").wants(t, 200, "No message in INBOX is like that", "checked")
	next := b.get(mailOf+"/messages?q=about&unread=1").wants(t, 200, "INBOX: 51 messages", "/messages?folder=INBOX&amp;page=2&amp;q=about&amp;unread=1")
	if strings.Contains(next.body, "pears") {
		t.Error("a message that was read is among those that were not")
	}

	for path, want := range map[string]int{"?page=x": 422, "?page=0": 422, "?page=300": 422, "?folder=Nowhere": 404, "?q=" + strings.Repeat("x", 3000): 422} {
		b.get(mailOf+"/messages"+path).wants(t, want, `role="alert"`)
	}
}

// A message has a page for each way to look at it; none of them runs or hides anything.
func TestMessageTabs(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	id := arrives(t, g, gatewaytest.Account, "From: Ann <ann@elsewhere.example>\nCc: carl@other.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe_=3Cb=3E?=\nX-Thing: a <i> thing\n"+
		"MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B",
		"--B\nContent-Type: text/plain\n\nHello <script>x()</script>\n--B\nContent-Type: text/html\nContent-Disposition: attachment; filename=\"../a\u202ecod.html\"\n\n<script>evil()</script>\n--B--\n")
	at := mailOf + "/messages/" + id
	if a := b.get(at); a.status != http.StatusSeeOther || a.location != at+"/text?folder=INBOX" {
		t.Errorf("a message without HTML leads to %d %q", a.status, a.location)
	}
	text := b.get(at+"/text").wants(t, 200, "<h1>Grüße &lt;b&gt;</h1>", "ann@elsewhere.example", "carl@other.example", "Hello &lt;script&gt;", "spf none", "just now", `title="20`)
	if strings.Contains(text.body, ">HTML</a>") {
		t.Error("there is a tab for HTML that is not there")
	}
	b.get(at+"/headers").wants(t, 200, "X-Thing", "a &lt;i&gt; thing", "Return-Path", "Grüße")
	raw := b.get(at+"/raw").wants(t, 200, "Content-Type: multipart/mixed; boundary=B", "&lt;script&gt;evil()", "\uFFFDcod.html")
	if strings.Contains(raw.body, "\u202e") {
		t.Error("the page of bytes turns the direction of what follows")
	}
	whole := b.get(at+"/source").wants(t, 200, "X-Thing: a <i> thing\r\n", "<script>evil()")
	saved(t, whole, "message/rfc822", `attachment; filename="message.eml"`)

	files := b.get(at+"/attachments").wants(t, 200, "text/html", "Download")
	link := regexp.MustCompile(`/attachments/[0-9a-f-]{36}\?folder=INBOX`).FindString(files.body)
	file := b.get(at+link).wants(t, 200, "<script>evil()</script>")
	saved(t, file, "application/octet-stream", "attachment; filename")
	if got := file.header.Get("Content-Disposition"); strings.ContainsAny(got, "/\u202e") {
		t.Errorf("the name %q", got)
	}
	b.get(at+"/attachments/"+id).wants(t, 404)
	b.get(at+"/attachments/x").wants(t, 404)
	b.get(at+"/trace").wants(t, 200, "peer.example (2001:db8::1)", "ESMTPS", "SPF none", "Stored in INBOX", "Plugins asked</dt><dd>none")
}

// saved fails unless a browser would save an answer rather than show it as ours.
func saved(t *testing.T, a answer, media, disposition string) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type": media, "Content-Disposition": disposition, "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox; default-src 'none'",
	} {
		if got := a.header.Get(name); !strings.HasPrefix(got, want) {
			t.Errorf("%s is %q, not %q", name, got, want)
		}
	}
}

// What people do with a message, and what they may do wrong.
func TestMessageForms(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	id := note(t, g, "pears")
	at := mailOf + "/messages/" + id
	stands := func() (folder string, read, starred bool) {
		_, e := g.Do("GET", "/emails/"+id, g.Keys.Domain, nil)
		read, _ = e.At("is_read").(bool)
		starred, _ = e.At("is_starred").(bool)
		return e.Str("folder"), read, starred
	}
	steps := []struct {
		do, to        string
		folder        string
		read, starred bool
		leads         string
	}{
		{"read", "", "INBOX", true, false, at + "?folder=INBOX"},
		{"star", "", "INBOX", true, true, at + "?folder=INBOX"},
		{"unread", "", "INBOX", false, true, at + "?folder=INBOX"},
		{"unstar", "", "INBOX", false, false, at + "?folder=INBOX"},
		{"move", "Archive", "Archive", false, false, mailOf + "/messages?folder=INBOX"},
		{"trash", "", "Trash", false, false, mailOf + "/messages?folder=Archive"},
	}
	for _, s := range steps {
		a := b.post(at, "do", s.do, "to", s.to)
		folder, read, starred := stands()
		if a.status != http.StatusSeeOther || a.location != s.leads || folder != s.folder || read != s.read || starred != s.starred {
			t.Errorf("%s: %d %q; %s, read %v, starred %v", s.do, a.status, a.location, folder, read, starred)
		}
		b.get(strings.Replace(a.location, at, at+"/text", 1)).wants(t, 200, `role="status"`)
	}
	b.post(at, "do", "explode").wants(t, 422)
	b.post(at).wants(t, 422)
	b.post(at, "do", "move", "to", "").wants(t, 422, `role="alert"`)
	b.post(at, "do", "move", "to", "Nowhere").wants(t, 404, `role="alert"`)

	page := b.get(at+"/text").wants(t, 200, "Delete for good")
	if strings.Contains(page.body, `value="trash"`) {
		t.Error("what is in Trash can be put into Trash")
	}
	b.get(at+"/delete").wants(t, 200, "Delete this message for good?", "pears", "Keep it")
	if folder, _, _ := stands(); folder != "Trash" {
		t.Error("who is asked has not said yes, but it is gone")
	}
	if a := b.post(at + "/delete"); a.status != http.StatusSeeOther || a.location != mailOf+"/messages?folder=Trash" {
		t.Errorf("deleted: %d %q", a.status, a.location)
	}
	b.get(mailOf+"/messages?folder=Trash").wants(t, 200, "is deleted", "There is no message in Trash")
	b.get(at+"/text").wants(t, 404)
	b.post(at, "do", "read").wants(t, 404)
}

// To look at a message changes nothing.
func TestLookingMarksNothing(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	id := note(t, g, "pears")
	for _, tab := range []string{"", "/html", "/text", "/headers", "/raw", "/source", "/attachments", "/trace", "/delete"} {
		b.get(mailOf + "/messages/" + id + tab)
	}
	if _, e := g.Do("GET", "/emails/"+id, g.Keys.Account, nil); e.At("is_read") != false {
		t.Error("the message is marked read")
	}
}

// A message that stands in two folders is changed where it was looked at.
func TestMessageInTwoFolders(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Domain)
	id := note(t, g, "pears")
	c, err := g.DialIMAP()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, command := range []string{"LOGIN " + gatewaytest.Account + " " + g.Keys.Account, "SELECT INBOX", "COPY 1 Archive"} {
		if _, err := c.OK(command); err != nil {
			t.Fatal(err)
		}
	}
	at := mailOf + "/messages/" + id
	b.get(at+"/text?folder=Archive").wants(t, 200, "Archive, ", at+"?folder=Archive")
	b.post(at+"?folder=Archive", "do", "star").wants(t, http.StatusSeeOther)
	for folder, want := range map[string]bool{"Archive": true, "INBOX": false} {
		if _, e := g.Do("GET", "/emails/"+id+"?folder="+folder, g.Keys.Domain, nil); e.At("is_starred") != want {
			t.Errorf("in %s it is starred: %v", folder, e.At("is_starred"))
		}
	}
}

// Another's mail is not there, whatever page of it is asked for and however it is named.
func TestMailWalls(t *testing.T) {
	g := gatewaytest.Start(t)
	g.Do("POST", "/domains", g.Keys.Admin, `{"name":"other.localhost","verified":true}`)
	g.Do("POST", "/accounts", g.Keys.Admin, `{"email":"them@other.localhost"}`)
	g.Do("POST", "/accounts", g.Keys.Domain, `{"email":"sibling@demo.localhost"}`)
	file := "From: x@elsewhere.example\nSubject: secret\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=B"
	body := "--B\nContent-Type: text/html\n\nsecret\n--B\nContent-Disposition: attachment; filename=secret.txt\n\nsecret\n--B--\n"
	for name, c := range map[string]struct{ key, owner, domain string }{
		"another domain's":  {g.Keys.Domain, "them@other.localhost", "other.localhost"},
		"another account's": {g.Keys.Account, "sibling@demo.localhost", gatewaytest.Domain},
	} {
		id := arrives(t, g, c.owner, file, body)
		_, e := g.Do("GET", "/emails/"+id+"?email="+c.owner, g.Keys.Admin, nil)
		thread, attached := e.Str("thread_id"), e.Str("attachments.0.id")
		b := signedIn(t, g, c.key)
		paths := []string{"/ui/domains/" + c.domain + "/emails/" + id, "/ui/domains/" + gatewaytest.Domain + "/emails/" + id}
		for _, owner := range []string{"/ui/domains/" + c.domain + "/accounts/" + c.owner, mailOf, "/ui/domains/" + gatewaytest.Domain + "/accounts/" + c.owner} {
			paths = append(paths, owner+"/threads/"+thread)
			for _, tab := range []string{"", "/html", "/text", "/headers", "/raw", "/source", "/attachments", "/attachments/" + attached, "/trace", "/delete"} {
				paths = append(paths, owner+"/messages/"+id+tab)
			}
			if owner != mailOf {
				paths = append(paths, owner+"/messages", owner+"/threads")
			}
		}
		for _, path := range paths {
			for _, a := range []answer{b.get(path), b.post(path, "do", "trash", "once", "x", "answers", id, "to", "a@b.example", "text", "x")} {
				if a.status != 404 || strings.Contains(a.body, "secret") {
					t.Errorf("%s: %s: %d", name, path, a.status)
				}
			}
		}
		if _, e := g.Do("GET", "/emails/"+id+"?email="+c.owner, g.Keys.Admin, nil); e.Str("folder") != "INBOX" {
			t.Errorf("%s: it was moved to %q", name, e.Str("folder"))
		}
	}
}
