package mailbox_test

import (
	"context"
	"encoding/base64"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
	"github.com/centerleap/postern/gateway/search"
)

// letter is a mail as its author knows it: the judge of searches never reads its bytes.
type letter struct {
	fields  [][2]string // decoded
	texts   []string
	raw     string
	flags   gateway.Flags
	labels  []string
	arrived time.Time
	sent    time.Time // midnight in UTC of the day as written; zero if there is none
	number  gateway.MessageNumber
	modSeq  uint64
	id      gateway.ID
	thread  gateway.ID
}

var (
	vocabulary = []string{"invoice", "Invoices", "void", "ship", "shipping", "Ångström", "ångström", "ΣΊΣΥΦΟΣ", "東京都", "東京", "x-1", "a.b", "the"}
	people     = []string{"ann@a.example", "Bob Voice <bob@b.example>", "zoe.ship@z.example"}
	keywords   = []string{"work", "later"}
	headers    = []string{"From", "To", "Cc", "Subject", "X-Mark", "Date"}
)

func pickOne[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func phrase(r *rand.Rand, most int) string {
	var words []string
	for range 1 + r.IntN(most) {
		words = append(words, pickOne(r, vocabulary))
	}
	return strings.Join(words, pickOne(r, []string{" ", " ", ", ", "-"}))
}

func newLetter(r *rand.Rand, day time.Time) *letter {
	l := &letter{arrived: day.Add(time.Duration(r.IntN(5*24)) * time.Hour), flags: gateway.Flags(r.IntN(32))}
	for _, k := range keywords {
		if r.IntN(3) == 0 {
			l.labels = append(l.labels, k)
		}
	}
	field := func(name, value string) { l.fields = append(l.fields, [2]string{name, value}) }
	field("From", pickOne(r, people))
	field("To", pickOne(r, people)+", "+pickOne(r, people))
	if r.IntN(3) == 0 {
		field("Cc", pickOne(r, people))
	}
	if r.IntN(8) > 0 {
		field("Subject", phrase(r, 3))
	}
	if r.IntN(4) == 0 {
		field("X-Mark", phrase(r, 2))
	}
	if r.IntN(6) > 0 {
		zone := time.FixedZone("", (r.IntN(27)-12)*3600)
		t := day.In(zone).Add(time.Duration(r.IntN(3*24)) * time.Hour)
		l.sent = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
		field("Date", t.Format(time.RFC1123Z))
	}
	var b strings.Builder
	for _, f := range l.fields {
		b.WriteString(f[0] + ": " + f[1] + "\r\n")
	}
	part := func(kind, text string, encoded bool) {
		l.texts = append(l.texts, text)
		b.WriteString("Content-Type: text/" + kind + "; charset=utf-8\r\n")
		l.fieldOfOne(len(l.texts) == 1 && !strings.Contains(b.String(), "--b\r\n"), "Content-Type", "text/"+kind+"; charset=utf-8")
		if encoded {
			b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(text)) + "\r\n")
			l.fieldOfOne(!strings.Contains(b.String(), "--b\r\n"), "Content-Transfer-Encoding", "base64")
			return
		}
		b.WriteString("\r\n" + strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
	}
	text := phrase(r, 6) + "\n" + phrase(r, 6)
	if r.IntN(3) > 0 {
		part("plain", text, r.IntN(2) == 0)
	} else {
		b.WriteString("Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n")
		l.fieldOfOne(true, "Content-Type", "multipart/alternative; boundary=b")
		part("plain", text, r.IntN(2) == 0)
		b.WriteString("--b\r\n")
		part("html", "<p class=void>"+phrase(r, 4)+"</p>", r.IntN(2) == 0)
		b.WriteString("--b--\r\n")
	}
	l.raw = b.String()
	return l
}

func (l *letter) fieldOfOne(ofMessage bool, name, value string) {
	if ofMessage {
		l.fields = append(l.fields, [2]string{name, value})
	}
}

func holds(text, part string) bool {
	return strings.Contains(strings.ToLower(text), strings.ToLower(part))
}

func (l *letter) body(part string) bool {
	return part == "" || slices.ContainsFunc(l.texts, func(t string) bool { return holds(t, part) })
}

func (l *letter) whole(part string) bool {
	return l.body(part) || slices.ContainsFunc(l.fields, func(f [2]string) bool { return holds(f[0]+": "+f[1], part) })
}

func (l *letter) field(name, part string) bool {
	return slices.ContainsFunc(l.fields, func(f [2]string) bool { return strings.EqualFold(f[0], name) && holds(f[1], part) })
}

// matches judges by RFC 9051 section 6.4.4, key by key.
func (l *letter) matches(c *mailbox.Criteria, i int) bool {
	all := true
	want := func(ok bool) { all = all && ok }
	for _, list := range c.Numbers {
		want(slices.ContainsFunc(list, func(r mailbox.Run) bool { return r.From <= i && i < r.To }))
	}
	want(l.flags&c.Has == c.Has && l.flags&c.Lacks == 0 && l.modSeq >= c.ModSeq)
	for _, k := range c.HasLabels {
		want(slices.Contains(l.labels, strings.ToLower(k)))
	}
	for _, k := range c.LacksLabels {
		want(!slices.Contains(l.labels, strings.ToLower(k)))
	}
	for _, n := range c.Larger {
		want(int64(len(l.raw)) > n)
	}
	for _, n := range c.Smaller {
		want(int64(len(l.raw)) < n)
	}
	for _, id := range c.Emails {
		want(l.id == id)
	}
	for _, id := range c.Threads {
		want(l.thread == id)
	}
	day := l.arrived.Truncate(24 * time.Hour)
	want(c.Since.IsZero() || !day.Before(c.Since))
	want(c.Before.IsZero() || day.Before(c.Before))
	want(c.SentSince.IsZero() || !l.sent.IsZero() && !l.sent.Before(c.SentSince))
	want(c.SentBefore.IsZero() || !l.sent.IsZero() && l.sent.Before(c.SentBefore))
	for _, h := range c.Headers {
		want(l.field(h.Name, h.Text))
	}
	for _, t := range c.Bodies {
		want(l.body(t))
	}
	for _, t := range c.Texts {
		want(l.whole(t))
	}
	for k := range c.Not {
		want(!l.matches(&c.Not[k], i))
	}
	for k := range c.Or {
		want(l.matches(&c.Or[k][0], i) || l.matches(&c.Or[k][1], i))
	}
	return all
}

// sought is a part of what letters are made of, cut anywhere.
func sought(r *rand.Rand) string {
	p := []rune(pickOne(r, []string{
		phrase(r, 1), phrase(r, 2), pickOne(r, people), "<p class=void>", ": ", "",
		"Subject: " + phrase(r, 1), "From: " + pickOne(r, people), "X-Mark: " + phrase(r, 1),
	}))
	from := r.IntN(len(p) + 1)
	p = p[from : from+r.IntN(len(p)-from+1)]
	if r.IntN(2) == 0 {
		return strings.ToUpper(string(p))
	}
	return string(p)
}

func newCriteria(r *rand.Rand, all []*letter, day time.Time, depth int) (c mailbox.Criteria) {
	for range 1 + r.IntN(3) {
		date := day.AddDate(0, 0, r.IntN(7)-1)
		l := pickOne(r, all)
		switch r.IntN(18) {
		case 0:
			var list []mailbox.Run
			for range r.IntN(3) {
				from := r.IntN(len(all))
				list = append(list, mailbox.Run{From: from, To: from + r.IntN(len(all)-from+1)})
			}
			c.Numbers = append(c.Numbers, list)
		case 1:
			c.Has |= 1 << r.IntN(5)
		case 2:
			c.Lacks |= 1 << r.IntN(5)
		case 3:
			c.HasLabels = append(c.HasLabels, strings.ToUpper(pickOne(r, keywords)))
		case 4:
			c.LacksLabels = append(c.LacksLabels, pickOne(r, keywords))
		case 5:
			c.ModSeq = l.modSeq
		case 6:
			c.Emails = append(c.Emails, l.id)
		case 7:
			c.Threads = append(c.Threads, l.thread)
		case 8:
			c.Larger = append(c.Larger, int64(len(l.raw)))
		case 9:
			c.Smaller = append(c.Smaller, int64(len(l.raw)))
		case 10:
			c.Since = date
		case 11:
			c.Before = date
		case 12:
			c.SentSince, c.SentBefore = date, date.AddDate(0, 0, 1)
		case 13:
			c.SentBefore = date
		case 14, 15:
			c.Headers = append(c.Headers, mailbox.HeaderText{Name: strings.ToUpper(pickOne(r, headers)), Text: sought(r)})
		case 16:
			c.Bodies = append(c.Bodies, sought(r))
		case 17:
			c.Texts = append(c.Texts, sought(r))
		}
	}
	if depth > 0 && r.IntN(2) == 0 {
		c.Not = append(c.Not, newCriteria(r, all, day, depth-1))
	}
	if depth > 0 && r.IntN(2) == 0 {
		c.Or = append(c.Or, [2]mailbox.Criteria{newCriteria(r, all, day, depth-1), newCriteria(r, all, day, depth-1)})
	}
	return c
}

// partIndex knows letters up to one, and is as unsure about them as an index may be.
func partIndex(r *rand.Rand, all []*letter, through int) mailbox.Index {
	named := map[string]search.Fields{"From": search.From, "To": search.To, "Cc": search.Cc, "Bcc": search.Bcc, "Subject": search.Subject}
	return func(_ context.Context, _ gateway.Scope, _ gateway.DomainID, _ gateway.AccountID, q search.Query) (f search.Found, _ error) {
		for _, l := range all[:through] {
			f.Through = l.number
			in := q.Fields&search.Body != 0 && l.body(q.Text)
			for _, field := range l.fields {
				bit, known := named[field[0]]
				if !known {
					bit = search.Header
				}
				in = in || q.Fields&search.Header != 0 && holds(field[0]+": "+field[1], q.Text) || q.Fields&bit != 0 && holds(field[1], q.Text)
			}
			if q.AnySpace { // it knows of each word where it may be
				in = !slices.ContainsFunc(strings.Fields(q.Text), func(word string) bool { return !l.whole(word) })
			}
			switch unsure := r.IntN(4) == 0; {
			case unsure || in && q.AnySpace:
				f.Maybe = append(f.Maybe, l.number)
			case in:
				f.Sure = append(f.Sure, l.number)
			}
		}
		return f, nil
	}
}
