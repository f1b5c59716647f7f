package dashboard_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// asks begins a conversation and returns the page of it.
func asks(t *testing.T, g *gatewaytest.Gateway) (thread string) {
	t.Helper()
	id := arrives(t, g, gatewaytest.Account, "From: Ann Lee <ann@elsewhere.example>\nCc: carl@other.example, bot@demo.localhost\nReply-To: desk@elsewhere.example\n"+
		"Subject: Order 4711\nMessage-ID: <q1@elsewhere.example>\nReferences: <q0@elsewhere.example>", "Where is <it>?")
	_, e := g.Do("GET", "/emails/"+id, g.Keys.Domain, nil)
	return mailOf + "/threads/" + e.Str("thread_id")
}

// fieldsOf are what a reply form holds, to be sent with changes.
func (a answer) fieldsOf(t *testing.T, changes ...string) (fields []string) {
	t.Helper()
	fields = []string{"once", a.once(t)}
	for _, name := range []string{"answers", "to", "cc", "subject"} {
		m := regexp.MustCompile(`name="` + name + `" value="([^"]*)"`).FindStringSubmatch(a.body)
		if m == nil {
			t.Fatalf("there is no %s in\n%s", name, a.body)
		}
		fields = append(fields, name, strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`).Replace(m[1]))
	}
	for i := 0; i < len(changes); i += 2 {
		if at := slices.Index(fields, changes[i]); at >= 0 {
			fields[at+1] = changes[i+1]
		} else {
			fields = append(fields, changes[i], changes[i+1])
		}
	}
	return fields
}

// A thread is read and replied to, once, with the fields that keep it together.
func TestThreadAndReply(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	b.get(mailOf+"/threads").wants(t, 200, "There is no thread in INBOX")
	thread := asks(t, g)
	note(t, g, "something else")
	b.get(mailOf+"/threads").wants(t, 200, "Order 4711", "something else", thread, "1 unread")
	b.get(mailOf+"/threads?q=order").wants(t, 200, "Order 4711", "ann@elsewhere.example")
	b.get(mailOf+"/threads?q=plums").wants(t, 200, "No thread in INBOX has these words")

	page := b.get(thread).wants(t, 200, "<h1>Order 4711</h1>", "Where is &lt;it&gt;?", "Ann Lee", `value="desk@elsewhere.example"`, `value="Re: Order 4711"`, `name="cc" value=""`)
	all := regexp.MustCompile(`href="([^"]*all=1)#reply"`).FindStringSubmatch(page.body)
	b.get(strings.ReplaceAll(all[1], "&amp;", "&")).wants(t, 200, `name="cc" value="carl@other.example"`)

	fields := page.fieldsOf(t, "text", "It left <us> today.\r\nBot")
	if a := b.post(thread, fields...); a.status != http.StatusSeeOther || a.location != thread {
		t.Fatalf("%d %q\n%s", a.status, a.location, a.body)
	}
	after := b.get(thread).wants(t, 200, "The reply to desk@elsewhere.example is on its way", "It left &lt;us&gt; today.", "2 messages, oldest first", `class="card said own"`)
	if strings.Index(after.body, "Where is") > strings.Index(after.body, "It left") {
		t.Error("the thread is not in order")
	}
	if a := b.post(thread, fields...); a.status != http.StatusSeeOther {
		t.Errorf("sent again: %d", a.status)
	}
	b.get(thread).wants(t, 200, "That reply was sent already", "2 messages")

	_, list := g.Do("GET", "/emails?folder=Sent", g.Keys.Account, nil)
	_, sent := g.Do("GET", "/emails/"+list.Str("data.0.email_id"), g.Keys.Account, nil)
	if sent.Str("in_reply_to") != "<q1@elsewhere.example>" || fmt.Sprint(sent.At("references")) != "[<q0@elsewhere.example> <q1@elsewhere.example>]" ||
		sent.Str("subject") != "Re: Order 4711" || fmt.Sprint(list.At("total")) != "1" || sent.Str("text") != "It left <us> today.\nBot" {
		t.Errorf("sent %v", sent)
	}
	// The one row of the log says what it was about.
	gatewaytest.Eventually(t, "the log tells of the reply", func() bool {
		_, logs := g.Do("GET", "/logs?limit=50", g.Keys.Domain, nil)
		rows := 0
		for _, row := range logs.At("data").([]any) {
			r := gatewaytest.Answer(row.(map[string]any))
			if r.Str("protocol") == "dashboard" && r.Str("email_id") == sent.Str("email_id") {
				rows++
			}
		}
		return rows == 1
	})
}

// A reply that can't be sent stays in its form, with what is wrong.
func TestReplyMistakes(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	thread := asks(t, g)
	other := note(t, g, "something else")
	for name, c := range map[string]struct {
		status  int
		changes []string
	}{
		"no text":            {422, []string{"text", " "}},
		"nobody":             {422, []string{"text", "x", "to", ""}},
		"no address":         {422, []string{"text", "kept words", "to", "ann at elsewhere"}},
		"no address in cc":   {422, []string{"text", "kept words", "cc", "a@b.example, c"}},
		"two lines":          {422, []string{"text", "x", "subject", "a\r\nBcc: x@evil.example"}},
		"too many":           {422, []string{"text", "x", "to", strings.Repeat("a@b.example,", 51)}},
		"another's message":  {404, []string{"text", "x", "answers", "01900000-0000-7000-8000-000000000000"}},
		"of another thread":  {404, []string{"text", "x", "answers", other}},
		"nothing it answers": {404, []string{"text", "x", "answers", ""}},
	} {
		fields := b.get(thread).fieldsOf(t, c.changes...)
		a := b.post(thread, fields...).wants(t, c.status, `role="alert"`)
		if c.changes[1] == "kept words" && !strings.Contains(a.body, "kept words") {
			t.Errorf("%s: what was written is lost", name)
		}
		if _, list := g.Do("GET", "/emails?folder=Sent", g.Keys.Account, nil); fmt.Sprint(list.At("total")) != "0" {
			t.Fatalf("%s: it was sent", name)
		}
	}
	// Put right, the same form goes.
	form := b.get(thread)
	b.post(thread, form.fieldsOf(t, "text", "")...).wants(t, 422)
	b.post(thread, form.fieldsOf(t, "text", "now")...).wants(t, http.StatusSeeOther)
	b.post(thread, "to", "a@b.example", "text", "x", "answers", "x").wants(t, 404)
	if _, list := g.Do("GET", "/emails?folder=Sent", g.Keys.Account, nil); fmt.Sprint(list.At("total")) != "1" {
		t.Errorf("sent %v", list.At("total"))
	}
}

// A long thread begins where people go on, and every part of it is reached.
func TestLongThread(t *testing.T) {
	g := gatewaytest.Start(t)
	b := signedIn(t, g, g.Keys.Account)
	thread := asks(t, g)
	for i := range 24 {
		arrives(t, g, gatewaytest.Account, fmt.Sprintf("From: ann@elsewhere.example\nSubject: Re: Order 4711\nReferences: <q1@elsewhere.example>\nDate: %s", time.Now().Add(time.Duration(i)*time.Minute).Format(time.RFC1123Z)), fmt.Sprintf("Part %02d.", i))
	}
	last := b.get(thread).wants(t, 200, "25 messages", "Part 23.", "Earlier messages", thread+"?page=1")
	if strings.Contains(last.body, "Part 05.") || strings.Contains(last.body, "Later messages") {
		t.Error("the page is not the last one")
	}
	b.get(thread+"?page=1").wants(t, 200, "Where is", "Part 05.", "Later messages", thread+"?page=2")
	for path, want := range map[string]int{"?page=x": 422, "?page=-1": 422, "?page=999999": 422, "?reply=x": 404} {
		b.get(thread+path).wants(t, want)
	}
	b.get(mailOf+"/threads/x").wants(t, 404)
}
