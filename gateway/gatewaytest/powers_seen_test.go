package gatewaytest_test

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// How the cells of powers are seen. Each of these brings about what a hook is asked about,
// and returns what looks at what became of it.

// letter is a mail of somebody who writes for the first time.
func (p *powered) letter(about, more string) string {
	return fmt.Sprintf("From: %s@example.org\nTo: %s\nSubject: %s\nMessage-ID: <%s@example.org>\nX-Old: 1\n%s\nplain\n", about, gatewaytest.Account, about, about, more)
}

// arrive brings a mail through the MX door, whatever that says.
func (p *powered) arrive(about, more string) (code string) {
	p.Helper()
	chat := p.g.Dial(p, "mx")
	chat.Script("S: 220 \nC: EHLO client.test\nS~ 250 \nC: MAIL FROM:<" + about + "@example.org>\nS: 250 \nC: RCPT TO:<" + gatewaytest.Account + ">\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(strings.ReplaceAll(p.letter(about, more), "\n", "\r\n") + ".\r\n")
	line := chat.Script(`S: \d\d\d `)
	return line[:3]
}

func (p *powered) arrives(about string, change map[string]any) func() string {
	p.Helper()
	p.give(change)
	code := p.arrive(about, "")
	return func() string {
		return strings.Join(slices.Concat([]string{code}, p.stored(about+"@example.org", about, "inbound"), p.away(about)), " ")
	}
}

func (p *powered) happens(about string, change map[string]any) func() string {
	p.Helper()
	p.give(change)
	if code := p.arrive(about, ""); code != "250" {
		p.Fatal(code)
	}
	return func() string {
		return strings.Join(append(p.stored(about+"@example.org", about, "event"), p.away(about)...), " ")
	}
}

// away is where a mail that arrived was sent on to, and whether it was answered.
func (p *powered) away(about string) (marks []string) {
	for _, m := range p.mx.Mail() {
		if fieldOf(m.Data, "Subject") == about {
			marks = append(marks, "to "+strings.Join(m.To, ","))
		}
	}
	for _, m := range p.other.Mail() {
		if fieldOf(m.Data, "Subject") == "Re: "+about && strings.Contains(m.Data, "I am away") && fieldOf(m.Data, "In-Reply-To") == "<"+about+"@example.org>" && m.From == "" {
			marks = append(marks, "answered")
		}
	}
	return marks
}

// joins has M arrive, which answers A.
func (p *powered) joins(about string, change map[string]any) func() string {
	p.Helper()
	answers := func(to string) string {
		return "In-Reply-To: <" + to + "@example.org>\nReferences: <" + to + "@example.org>\n"
	}
	p.arrive(about+"A", "")
	p.arrive(about+"R", answers(about+"A"))
	p.arrive(about+"B", "")
	cell := change["config"].(map[string]string)
	cell["thread"], cell["email"] = p.email(about+"B").Str("thread_id"), p.email(about+"R").Str("email_id")
	p.give(change)
	p.arrive(about, answers(about+"A"))
	return func() string {
		by := make(map[string]string)
		for _, m := range []string{"A", "B", "M", "R"} {
			thread := p.email(about + strings.TrimPrefix(m, "M")).Str("thread_id")
			by[thread] += "+" + m
		}
		groups := []string{}
		for _, names := range by {
			groups = append(groups, names[1:])
		}
		slices.Sort(groups)
		where := p.stored(about+"@example.org", about, "thread")
		if len(where) == 0 || where[0] != "INBOX" {
			return fmt.Sprintf("M is in %v", where)
		}
		return strings.Join(append(groups, where[1:]...), " ")
	}
}

// email is what REST says of a mail that arrived.
func (p *powered) email(about string) gatewaytest.Answer {
	p.Helper()
	_, a := p.g.Do("GET", "/emails/"+about+"@example.org?email="+gatewaytest.Account, p.g.Keys.Domain, nil)
	return a
}

// leaves sends a mail over REST.
func (p *powered) leaves(about string, change map[string]any) func() string {
	p.Helper()
	p.give(change)
	status, a := p.g.Do("POST", "/emails", p.g.Keys.Domain, map[string]any{
		"from": gatewaytest.Account, "to": []string{"a@example.com", "b@example.com"}, "subject": about, "text": "plain\n", "headers": map[string]string{"X-Old": "1"},
	})
	if status != 200 {
		if strings.Contains(p.shown("Sent"), about) {
			p.Error("what was refused is in Sent")
		}
		return func() string { return strconv.Itoa(status) }
	}
	return func() string {
		return strings.Join(slices.Concat([]string{"200"}, p.stored(a.Str("id"), "", "outbound"), p.changed(a.Str("id"))), " ")
	}
}

// changed is what is different of a mail that left: as it is kept, and as it was carried.
func (p *powered) changed(id string) (marks []string) {
	p.Helper()
	_, a := p.g.Do("GET", "/emails/"+id+"?email="+gatewaytest.Account, p.g.Keys.Domain, nil)
	whole := raw(p.T, p.g, id, gatewaytest.Account)
	add := func(is bool, mark string) {
		if is {
			marks = append(marks, mark)
		}
	}
	old := fieldOf(whole, "X-Old")
	add(old == "", "-X-Old")
	add(old != "" && old != "1", "X-Old="+old)
	add(fieldOf(whole, "Subject") == "Checked", "subject")
	add(strings.Contains(whole, "other words") && !strings.Contains(whole, "plain\r\n"), "body")
	add(strings.Contains(fmt.Sprint(a["tags"]), "checked"), "tag")
	if a.Str("last_event") == "held" {
		_, q := p.g.Do("GET", "/queue?email_id="+id, p.g.Keys.Domain, nil)
		add(true, "held")
		add(q.Str("data.0.held_until") != "", "until")
		return marks
	}
	all := p.mx.Mail()
	at := slices.IndexFunc(all, func(m gatewaytest.Mail) bool { return fieldOf(m.Data, "Message-ID") == fieldOf(whole, "Message-ID") })
	if at < 0 {
		return append(marks, "not yet carried")
	}
	for _, to := range []string{"a@example.com", "b@example.com"} {
		add(!slices.Contains(all[at].To, to), "without "+to)
	}
	if all[at].Data != strings.TrimSuffix(whole, "\r\n")+"\r\n" { // SMTP ends the last line
		add(true, fmt.Sprintf("kept as %q, carried as %q", whole, all[at].Data))
	}
	return marks
}

// submits sends the like over SMTP.
func (p *powered) submits(about string) (code string) {
	p.Helper()
	chat := p.g.Dial(p, "submissions")
	chat.Script("S: 220 \nC: EHLO client.example\nS~ 250 \nC: AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00centerleap\x00"+p.g.Keys.Domain)) + "\nS: 235 " +
		"\nC: MAIL FROM:<" + gatewaytest.Account + ">\nS: 250 \nC: RCPT TO:<a@example.com>\nS: 250 \nC: RCPT TO:<b@example.com>\nS: 250 \nC: DATA\nS: 354 ")
	chat.Raw(fmt.Sprintf("From: %s\r\nTo: a@example.com, b@example.com\r\nSubject: %s\r\nX-Old: 1\r\n\r\nplain\r\n.\r\n", gatewaytest.Account, about))
	return chat.Script(`S: \d\d\d `)[:3]
}

// ticks waits for a turn, in which the plugin sends a mail: if it ends well.
func (p *powered) ticks(about string, change map[string]any) func() string {
	p.Helper()
	p.give(change)
	p.clock.set(p.clock.now().Add(61e9))
	p.g.Ticks.Wake()
	return func() string {
		if slices.ContainsFunc(p.mx.Mail(), func(m gatewaytest.Mail) bool { return fieldOf(m.Data, "Subject") == about }) {
			return "sent"
		}
		_, a := p.g.Do("GET", "/plugins/"+p.id+"/logs?limit=10", p.g.Keys.Account, nil)
		list, _ := a["data"].([]any) // the newest first
		for i := 1; i < len(list); i++ {
			was, then := gatewaytest.Answer(list[i].(map[string]any)), gatewaytest.Answer(list[i-1].(map[string]any))
			if was.Str("text") == about && was.Str("hook") == "tick" && then.Str("level") == "error" && strings.Contains(then.Str("text"), "verdict") {
				return "failed"
			}
		}
		return "not yet"
	}
}

// stored is where a mail is, what it is marked with, and what the plugins did at a hook;
// nothing if it is nowhere. gone is a subject that IMAP must not have then.
func (p *powered) stored(id, gone, hook string) (marks []string) {
	p.Helper()
	status, a := p.g.Do("GET", "/emails/"+id+"/trace?email="+gatewaytest.Account, p.g.Keys.Domain, nil)
	if status == 404 {
		for _, folder := range []string{"INBOX", "Junk"} {
			if strings.Contains(p.shown(folder), `"`+gone+`"`) {
				marks = append(marks, "in IMAP's "+folder)
			}
		}
		return marks
	}
	var steps []string
	old, told, asked := false, false, false
	list, _ := a["data"].([]any)
	for _, v := range list {
		e := gatewaytest.Answer(v.(map[string]any))
		switch {
		case e.Str("type") == "stored":
			folder, flags := e.Str("stored.folder"), marksOf(e.At("stored.labels"), e.At("stored.flags"))
			steps = append(steps, p.differs(folder, flags)...)
			usual := "old"
			if hook == "outbound" {
				usual = `\Seen`
			}
			if i := slices.Index(flags, usual); i >= 0 {
				flags, old = slices.Delete(flags, i, i+1), true
			}
			marks = append([]string{folder}, flags...)
		case e.Str("plugin.hook") != hook:
		case e.Str("plugin.name") == "powers":
			asked = true
			if e.Str("plugin.error") != "" && strings.Contains(e.Str("plugin.error")+fmt.Sprint(e.At("plugin.logs")), "verdict is refused") {
				steps = append(steps, "failed")
			}
		case strings.HasPrefix(e.Str("plugin.name"), "after"):
			told = true
			if score := e.Str("plugin.logs.1.text"); score != "0" {
				steps = append(steps, "score="+score)
			}
		}
	}
	if !old {
		steps = append(steps, "-old")
	}
	if !asked {
		steps = append(steps, "not yet asked")
	}
	if !told && hook != "event" {
		steps = append(steps, "final")
	}
	if len(marks) > 0 && strings.Contains(p.shown(marks[0]), "X-New: 1") {
		steps = append(steps, "X-New")
	}
	return append(marks, steps...)
}

// marksOf is a list of labels and one of flags, in order.
func marksOf(labels, flags any) (all []string) {
	for _, v := range []any{labels, flags} {
		list, _ := v.([]any)
		for _, one := range list {
			all = append(all, one.(string))
		}
	}
	slices.Sort(all)
	return all
}

// differs is what IMAP says else of the newest mail of a folder; nothing if it agrees.
func (p *powered) differs(folder string, flags []string) []string {
	p.Helper()
	found := flagsOf.FindStringSubmatch(p.shown(folder))
	if found == nil {
		return []string{"not in IMAP"}
	}
	seen := slices.DeleteFunc(strings.Fields(found[1]), func(f string) bool { return f == `\Recent` })
	slices.Sort(seen)
	if slices.Equal(seen, flags) {
		return nil
	}
	return []string{fmt.Sprintf("but %v by IMAP", seen)}
}

var flagsOf = regexp.MustCompile(`FLAGS \(([^)]*)\)`)

// shown is what IMAP says of the newest mail of a folder.
func (p *powered) shown(folder string) (all string) {
	p.Helper()
	p.imap.Raw("s SELECT " + folder + "\r\nf FETCH * (FLAGS ENVELOPE BODY.PEEK[HEADER.FIELDS (X-Old X-New)])\r\n")
	selected := false
	for {
		line, ok := p.imap.Line()
		switch {
		case !ok:
			p.Fatal("IMAP ended")
		case strings.HasPrefix(line, "f "):
			return all
		case selected:
			all += line + "\n"
		}
		selected = selected || strings.HasPrefix(line, "s ")
	}
}

// fieldOf is a field of the header.
func fieldOf(message, name string) string {
	header, _, _ := strings.Cut(message, "\r\n\r\n")
	for line := range strings.SplitSeq(header, "\r\n") {
		if is, value, _ := strings.Cut(line, ": "); strings.EqualFold(is, name) {
			return value
		}
	}
	return ""
}
