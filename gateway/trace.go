package gateway

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Trace is which part plugins had in what became of a message.
type Trace struct {
	Steps   []Step // in their order
	LeftOut int    // steps that there was no room for
}

// Turn is one thing that became of a delivery: that something holds it or lets it go, an
// attempt, or what was heard of it later.
type Turn struct {
	At      time.Time
	State   DeliveryState // that it took; queued also if it is tried again
	Held    HeldReason    // what holds it or, if it is held no longer, held it
	Attempt int           // which one ended so; 0: none did
	Code    int           // SMTP reply code
	Text    string
	Host    string // the one that was asked last; empty if none was
	TLS     string // of the connection to it; empty if it was in the clear
	Phase   string // how far the attempt came, in the courier's words
}

// Name is what a turn is called.
func (n *Turn) Name() string {
	switch {
	case n.Attempt > 0:
		return "attempt"
	case n.Held != "" && n.State == DeliveryQueued:
		return "released"
	case n.State == DeliveryQueued:
		return "delivery_delayed" // another host says so
	}
	return string(n.State) // held, canceled, suppressed, bounced, complained
}

// briefText is what a trace keeps of a text that a plugin writes, in bytes; ours: enough
// to know it again.
const briefText = 200

// Brief is a verdict as a trace keeps it: of long texts only the start, and a digest by
// which another one is told apart.
func (v Verdict) Brief() Verdict {
	v.Until = v.Until.Truncate(time.Millisecond)
	if v.Body != nil {
		b := v.Body.brief()
		v.Body = &b
	}
	if v.Reply != nil {
		r := *v.Reply
		r.Body = r.brief()
		v.Reply = &r
	}
	return v
}

func (b Body) brief() Body { return Body{briefly(b.Text), briefly(b.HTML)} }

func briefly(text string) string {
	if len(text) <= briefText {
		return text
	}
	sum := sha256.Sum256([]byte(text))
	return fmt.Sprintf("%s [%d bytes, sha256 %x]", strings.ToValidUTF8(text[:briefText], ""), len(text), sum[:6])
}

// Same reports whether two verdicts come to the same.
func (v *Verdict) Same(w *Verdict) bool {
	return v.Action == w.Action && v.Code == w.Code && v.Text == w.Text && v.Until.Equal(w.Until) &&
		v.Folder == w.Folder && v.Flags == w.Flags && slices.Equal(v.Labels, w.Labels) && slices.Equal(v.Unlabel, w.Unlabel) &&
		slices.Equal(v.Redirect, w.Redirect) && v.Keep == w.Keep &&
		slices.Equal(v.Headers, w.Headers) && slices.Equal(v.Edits, w.Edits) && equal(v.Subject, w.Subject) && equal(v.Body, w.Body) &&
		slices.Equal(v.Tags, w.Tags) && slices.Equal(v.Remove, w.Remove) && equal(v.Reply, w.Reply) &&
		v.Thread.Join == w.Thread.Join && v.Thread.New == w.Thread.New && slices.Equal(v.Thread.Merge, w.Thread.Merge) && slices.Equal(v.Thread.Take, w.Thread.Take) &&
		v.Score == w.Score && v.Final == w.Final
}

// equal compares what pointers lead to.
func equal[T comparable](a, b *T) bool {
	return a == b || a != nil && b != nil && *a == *b
}
