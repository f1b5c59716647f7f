// Does what the script in its configuration says; conformance_test.go tells what there is.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/centerleap/postern/sdk"
)

func init() {
	sdk.Inbound(decides)
	sdk.Outbound(decides)
	sdk.Thread(decides)
	sdk.OnEvent(func(m *sdk.Message) error { return (&player{m: m, happened: true}).play() })
	sdk.OnTick(func() error { return (&player{}).play() })
}

func main() {}

func decides(m *sdk.Message) sdk.Verdict {
	p := &player{m: m}
	if err := p.play(); err != nil {
		panic(err)
	}
	return p.v
}

// calls is how many an instance remembers: always one.
var calls int

// player is one call.
type player struct {
	m        *sdk.Message
	happened bool // it is the event hook, in which the message itself is asked
	done     error
	v        sdk.Verdict
	letter   *sdk.Mail
}

func (p *player) play() error {
	for line := range strings.SplitSeq(sdk.Config("script"), "\n") {
		if line == "" {
			continue
		}
		a := strings.Split(line, "\t")
		for i, word := range a {
			if name, found := strings.CutPrefix(word, "$"); found {
				a[i] = sdk.Config(name)
			}
		}
		if p.write(a) || p.afterwards(a) || p.decide(a) || p.edit(a) || remember(a) || p.look(a) || p.tell(a) || ask(a) {
			continue
		}
		if err := others(a); err != nil {
			return err
		}
	}
	return p.done
}

func say(text string) { sdk.Log.Info(text) }

func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		panic(err)
	}
	return n
}

func outcome(err error) {
	if err != nil {
		say(err.Error())
		return
	}
	say("ok")
}

// afterwards is what an event hook may ask for.
func (p *player) afterwards(a []string) bool {
	if !p.happened {
		return false
	}
	switch a[0] {
	case "label":
		p.done = p.m.Label(a[1])
	case "unlabel":
		p.done = p.m.Unlabel(a[1])
	case "flag":
		p.done = p.m.Flag(a[1])
	case "folder":
		p.done = p.m.MoveTo(a[1])
	case "reply":
		p.done = p.m.Reply(sdk.Text(a[1]))
	default:
		return false
	}
	return true
}

func (p *player) decide(a []string) bool {
	switch a[0] {
	case "accept":
		p.v = sdk.Accept()
	case "reject":
		p.v = sdk.Reject(int(number(a[1])), a[2])
	case "tempfail":
		p.v = sdk.Tempfail(a[1])
	case "quarantine":
		p.v = sdk.Quarantine(a[1])
	case "discard":
		p.v = sdk.Discard()
	case "allow":
		p.v = sdk.Allow()
	case "deny":
		p.v = sdk.Deny(a[1])
	case "hold":
		p.v = sdk.Hold(a[1])
	case "hold_until":
		p.v = sdk.HoldUntil(a[1], time.UnixMilli(number(a[2])))
	case "join":
		p.v = sdk.Join(a[1])
	case "new_thread":
		p.v = sdk.NewThread()
	case "merge":
		p.v = sdk.Merge(a[1], a[2:]...)
	case "split":
		p.v = sdk.Split(a[1:]...)
	default:
		return false
	}
	return true
}

func (p *player) edit(a []string) bool {
	switch a[0] {
	case "folder":
		p.v = p.v.Folder(a[1])
	case "label":
		p.v = p.v.Label(a[1])
	case "unlabel":
		p.v = p.v.Unlabel(a[1])
	case "flag":
		p.v = p.v.Flag(a[1])
	case "redirect":
		p.v = p.v.Redirect(a[1])
	case "keep":
		p.v = p.v.Keep()
	case "add_header":
		p.v = p.v.AddHeader(a[1], a[2])
	case "set_header":
		p.v = p.v.SetHeader(a[1], a[2])
	case "delete_header":
		p.v = p.v.DeleteHeader(a[1])
	case "set_subject":
		p.v = p.v.Subject(a[1])
	case "body":
		p.v = p.v.Body(a[1], a[2])
	case "tag":
		p.v = p.v.Tag(a[1], a[2])
	case "remove":
		p.v = p.v.Remove(a[1])
	case "reply":
		p.v = p.v.Reply(sdk.Text(a[1]))
	case "reply_html":
		p.v = p.v.Reply(sdk.HTML(a[1]).Text(a[2]).Subject(a[3]).From(a[4]))
	case "score":
		score, err := strconv.ParseFloat(a[1], 64)
		if err != nil {
			panic(err)
		}
		p.v = p.v.Score(score)
	case "reason":
		p.v = p.v.Reason(a[1])
	case "reason_kv":
		v, _ := sdk.KV.Get(a[1])
		p.v = p.v.Reason(string(v))
	case "final":
		p.v = p.v.Final()
	default:
		return false
	}
	return true
}

func (p *player) write(a []string) bool {
	l := p.letter
	switch {
	case a[0] == "mail":
		p.letter = &sdk.Mail{To: []string{a[1]}}
		return true
	case l == nil:
		return false
	}
	switch a[0] {
	case "from":
		l.From = a[1]
	case "to":
		l.To = append(l.To, a[1])
	case "cc":
		l.Cc = append(l.Cc, a[1])
	case "bcc":
		l.Bcc = append(l.Bcc, a[1])
	case "reply_to":
		l.ReplyTo = append(l.ReplyTo, a[1])
	case "subject":
		l.Subject = a[1]
	case "text":
		l.Text = a[1]
	case "html":
		l.HTML = a[1]
	case "header":
		if l.Headers == nil {
			l.Headers = map[string]string{}
		}
		l.Headers[a[1]] = a[2]
	case "tag":
		l.Tags = append(l.Tags, sdk.Tag{Name: a[1], Value: a[2]})
	case "in_reply_to":
		l.InReplyTo = a[1]
	case "reference":
		l.References = append(l.References, a[1])
	default:
		outcome(sdk.Send(*l))
		p.letter = nil
	}
	return true
}

func remember(a []string) bool {
	switch a[0] {
	case "kv_get":
		v, found := sdk.KV.Get(a[1])
		if !found {
			v = []byte("nothing")
		}
		say(string(v))
	case "kv_sum":
		v, _ := sdk.KV.Get(a[1])
		h := fnv.New32a()
		h.Write(v)
		say(fmt.Sprint(len(v), " ", h.Sum32()))
	case "kv_put":
		outcome(sdk.KV.Put(a[1], []byte(a[2]), number(a[3])))
	case "kv_fill":
		v := make([]byte, number(a[2]))
		for i := range v {
			v[i] = byte(i)
		}
		outcome(sdk.KV.Put(a[1], v, 0))
	case "kv_delete":
		outcome(sdk.KV.Delete(a[1]))
	case "kv_incr":
		if n, err := sdk.KV.Incr(a[1], number(a[2]), number(a[3])); err != nil {
			outcome(err)
		} else {
			say(strconv.FormatInt(n, 10))
		}
	case "kv_list":
		list(a[1])
	default:
		return false
	}
	return true
}

func list(prefix string) {
	var keys []string
	for key, err := range sdk.KV.List(prefix) {
		if err != nil {
			outcome(err)
			return
		}
		keys = append(keys, key)
	}
	say(strings.Join(keys, ","))
}

func people(list ...sdk.Address) string {
	var all []string
	for _, a := range list {
		all = append(all, a.Name+" <"+a.Addr+">")
	}
	return strings.Join(all, ", ")
}

// look reads one thing of the message.
func (p *player) look(a []string) bool {
	m := p.m
	switch a[0] {
	case "subject":
		say(m.Subject())
	case "subject_contains":
		say(strconv.FormatBool(m.SubjectContains(a[1:]...)))
	case "header":
		say(m.Header(a[1]))
	case "header_at":
		say(m.HeaderAt(a[1], int(number(a[2]))))
	case "header_count":
		say(strconv.Itoa(m.HeaderCount(a[1])))
	case "has_header":
		say(strconv.FormatBool(m.HasHeader(a[1])))
	case "from":
		say(people(m.From()))
	case "to":
		say(people(m.To()...))
	case "cc":
		say(people(m.Cc()...))
	case "recipients":
		say(strings.Join(m.Recipients(), ", "))
	case "auth":
		r := m.Auth()
		say(fmt.Sprint(r.SPF, " ", r.DKIM, " ", r.DMARC, " ", r.FromAligned, " ", r.Disposition))
	case "reply_ok":
		say(strconv.FormatBool(m.ReplyOK()))
	case "dry_run":
		say(strconv.FormatBool(m.DryRun()))
	case "text":
		say(m.Text(int(number(a[1]))))
	case "labels":
		say(strings.Join(m.Labels(), ", "))
	case "flags":
		say(strings.Join(m.Flags(), ", "))
	case "score_so_far":
		say(strconv.FormatFloat(m.Score(), 'g', -1, 64))
	case "attempt":
		say(strconv.Itoa(m.Attempt()))
	default:
		return false
	}
	return true
}

// tell reads more of it.
func (p *player) tell(a []string) bool {
	m := p.m
	switch a[0] {
	case "reply_to":
		var all []string
		for _, a := range m.ReplyTo() {
			all = append(all, a.Addr)
		}
		say(strings.Join(all, ", "))
	case "references":
		say(strings.Join(m.References(), ", "))
	case "in_reply_to":
		say(m.InReplyTo())
	case "size":
		say(strconv.FormatInt(m.Size(), 10))
	case "id":
		say(m.ID())
	case "domain":
		say(m.Domain())
	case "message_id":
		say(m.MessageID())
	case "mailbox":
		say(m.Mailbox())
	case "thread_id":
		say(m.ThreadID())
	case "new_thread_id":
		say(m.NewThreadID())
	case "via":
		say(m.Via())
	case "in_folder":
		say(m.Folder())
	case "type":
		say(m.Type())
	case "event_id":
		say(m.EventID())
	case "detail":
		say(m.Detail())
	case "event":
		e, err := m.Event()
		if err != nil {
			outcome(err)
			return true
		}
		var values, types []string
		for _, f := range e.Headers {
			values = append(values, f[1])
		}
		for _, part := range e.Parts {
			types = append(types, part.Type)
		}
		say(strings.Join([]string{e.Subject, strings.Join(values, ","), e.Text, strings.Join(types, ",")}, "|"))
	case "conversation":
		c, err := m.Thread()
		if err != nil {
			outcome(err)
			return true
		}
		var texts []string
		for _, said := range c.Messages {
			texts = append(texts, said.Text)
		}
		say(strings.Join([]string{c.ThreadID, c.Subject, strconv.Itoa(c.Count), strings.Join(texts, ",")}, "|"))
	case "part":
		part(m.Part(int(number(a[1]))), make([]byte, number(a[2])), int(number(a[3])))
	default:
		return false
	}
	return true
}

// part reads a part with so much room, and hashes each so-manieth byte of what there was
// room for.
func part(from io.Reader, room []byte, step int) {
	h, size := fnv.New32a(), 0
	for {
		n, err := from.Read(room)
		size += n
		for i := 0; i < n; i += step {
			h.Write(room[i : i+1])
		}
		if errors.Is(err, io.EOF) {
			say(fmt.Sprint(size, " ", h.Sum32()))
			return
		}
		if err != nil {
			outcome(err)
			return
		}
	}
}

func ask(a []string) bool {
	var r *sdk.Response
	var err error
	switch a[0] {
	case "http":
		r, err = sdk.HTTP.Do(sdk.Request{Method: a[1], URL: a[2], Header: [][2]string{{a[3], a[4]}}, Body: []byte(a[5])})
	case "http_get":
		r, err = sdk.HTTP.Get(a[1])
	case "post_json":
		r, err = sdk.HTTP.PostJSON(a[1], json.RawMessage(a[2]), a[3])
	default:
		return false
	}
	switch {
	case err != nil:
		outcome(err)
	case a[0] == "http":
		body, err := r.Bytes()
		if err != nil {
			panic(err)
		}
		say(fmt.Sprint(r.Status, "|", r.Header("x-answer"), "|", string(body)))
	default:
		say(r.String(a[len(a)-1]))
	}
	return true
}

func others(a []string) error {
	switch a[0] {
	case "log":
		map[string]func(string){"debug": sdk.Log.Debug, "info": sdk.Log.Info, "warn": sdk.Log.Warn, "error": sdk.Log.Error}[a[1]](a[2])
	case "config":
		say(sdk.Config(a[1]))
	case "secret":
		say(sdk.Secret(a[1]))
	case "now":
		say(strconv.FormatInt(sdk.Now().UnixMilli(), 10))
	case "scheduled":
		say(moment(sdk.Tick().Scheduled))
	case "previous":
		say(moment(sdk.Tick().Previous))
	case "alloc":
		var items []string
		total := 0
		for i := range number(a[1]) {
			items = append(items, "item-"+strconv.FormatInt(i, 10))
		}
		for _, item := range items {
			total += len(item)
		}
		say(strconv.Itoa(total))
	case "calls":
		calls++
		say(strconv.Itoa(calls))
	case "fail":
		return errors.New(a[1])
	default:
		panic(strings.Join(a, " "))
	}
	return nil
}

// moment is a time as the contract writes it; empty if there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
