package sdk

import (
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/centerleap/postern/sdk/abi"
)

// Verdict is what a hook decides. Its methods return a Verdict with something added.
type Verdict struct{ doc abi.Verdict }

func act(action string) Verdict { return Verdict{abi.Verdict{Action: action}} }

// Accept takes the message that arrives. For the thread hook: it goes where it would
// go anyway.
func Accept() Verdict { return act(abi.Accept) }

// Reject refuses it for good: code is 550 to 559, or 0 for 550; text is one line for
// its sender.
func Reject(code int, text string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Reject, SMTP: &abi.SMTP{Code: code, Text: text}}}
}

// Tempfail asks its sender to try again later.
func Tempfail(text string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Tempfail, SMTP: &abi.SMTP{Text: text}}}
}

// Quarantine files it in Junk.
func Quarantine(reason string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Quarantine, Reason: reason}}
}

// Discard drops it; its sender hears that all is well. Permission discard.
func Discard() Verdict { return act(abi.Discard) }

// Allow lets mail leave.
func Allow() Verdict { return act(abi.Allow) }

// Deny refuses mail that wants to leave; its sender is told text at once.
func Deny(text string) Verdict {
	return Verdict{abi.Verdict{Action: abi.Deny, SMTP: &abi.SMTP{Text: text}}}
}

// Hold keeps mail that wants to leave until somebody releases it.
func Hold(reason string) Verdict { return Verdict{abi.Verdict{Action: abi.Hold, Reason: reason}} }

// Join puts the message into a conversation of its mailbox; one that there is not
// (any more) changes nothing. Permission thread.
func Join(threadID string) Verdict {
	return Verdict{abi.Verdict{Thread: &abi.ThreadMove{Op: "join", ThreadID: threadID}}}
}

// NewThread starts a conversation with the message: NewThreadID. Permission thread.
func NewThread() Verdict { return Verdict{abi.Verdict{Thread: &abi.ThreadMove{Op: "new"}}} }

// Folder files the message there; the folder is made if there is none.
func (v Verdict) Folder(name string) Verdict {
	v.doc.Folder = name
	return v
}

// Label adds labels, which are IMAP keywords: 1 to 64 letters, digits and marks.
func (v Verdict) Label(labels ...string) Verdict {
	v.doc.Labels = append(slices.Clone(v.doc.Labels), labels...)
	return v
}

// Flag sets flags: \Seen, \Flagged or \Answered.
func (v Verdict) Flag(flags ...string) Verdict {
	v.doc.Flags = append(slices.Clone(v.doc.Flags), flags...)
	return v
}

// AddHeader adds a header field: to the stored copy of mail that arrives, to mail that
// leaves before it is signed. Permission headers.
func (v Verdict) AddHeader(name, value string) Verdict {
	v.doc.Headers = append(slices.Clone(v.doc.Headers), abi.HeaderEdit{Op: "add", Name: name, Value: value})
	return v
}

// Score says how sure the plugin is.
func (v Verdict) Score(score float64) Verdict {
	v.doc.Score = score
	return v
}

// Reason says why, for the tenant.
func (v Verdict) Reason(text string) Verdict {
	v.doc.Reason = text
	return v
}

// Final is the last word: no plugin after this one is asked.
func (v Verdict) Final() Verdict {
	v.doc.Final = true
	return v
}

// appendJSON writes the verdict document. By hand: encoding/json costs a guest more
// than all else a filter does.
func (v Verdict) appendJSON(b []byte) []byte {
	d := &v.doc
	w := objectWriter{b: append(b, '{')}
	w.text(`"action":`, d.Action)
	if d.SMTP != nil {
		w.object(`"smtp":`, func(w *objectWriter) {
			w.number(`"code":`, float64(d.SMTP.Code))
			w.text(`"text":`, d.SMTP.Text)
		})
	}
	w.text(`"folder":`, d.Folder)
	w.texts(`"labels":`, d.Labels)
	w.texts(`"flags":`, d.Flags)
	w.headers(d.Headers)
	if d.Thread != nil {
		w.object(`"thread":`, func(w *objectWriter) {
			w.text(`"op":`, d.Thread.Op)
			w.text(`"thread_id":`, d.Thread.ThreadID)
		})
	}
	w.number(`"score":`, d.Score)
	w.text(`"reason":`, d.Reason)
	if d.Final {
		w.name(`"final":`)
		w.b = append(w.b, "true"...)
	}
	return append(w.b, '}')
}

// objectWriter writes the members of one JSON object; empty ones are left out.
type objectWriter struct {
	b    []byte
	some bool // a member is written
}

// name writes the name of a member as it stands in JSON: quoted, with its colon.
func (w *objectWriter) name(quoted string) {
	if w.some {
		w.b = append(w.b, ',')
	}
	w.some = true
	w.b = append(w.b, quoted...)
}

func (w *objectWriter) text(name, v string) {
	if v != "" {
		w.name(name)
		w.b = appendText(w.b, v)
	}
}

func (w *objectWriter) number(name string, v float64) {
	if v != 0 && !math.IsNaN(v) && !math.IsInf(v, 0) { // JSON has no words for these
		w.name(name)
		w.b = strconv.AppendFloat(w.b, v, 'g', -1, 64)
	}
}

func (w *objectWriter) texts(name string, list []string) {
	for i, v := range list {
		if i == 0 {
			w.name(name)
			w.b = append(w.b, '[')
		} else {
			w.b = append(w.b, ',')
		}
		w.b = appendText(w.b, v)
	}
	if len(list) > 0 {
		w.b = append(w.b, ']')
	}
}

func (w *objectWriter) object(name string, fill func(*objectWriter)) {
	w.name(name)
	w.b = append(w.b, '{')
	in := objectWriter{b: w.b}
	fill(&in)
	w.b = in.b
	w.b = append(w.b, '}')
}

func (w *objectWriter) headers(list []abi.HeaderEdit) {
	for i, h := range list {
		if i == 0 {
			w.name(`"headers":`)
			w.b = append(w.b, '[', '{')
		} else {
			w.b = append(w.b, ',', '{')
		}
		in := objectWriter{b: w.b}
		in.text(`"op":`, h.Op)
		in.text(`"name":`, h.Name)
		in.text(`"value":`, h.Value)
		w.b = in.b
		w.b = append(w.b, '}')
	}
	if len(list) > 0 {
		w.b = append(w.b, ']')
	}
}

const hex = "0123456789abcdef"

// appendText writes a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	if plain(s) {
		return append(append(b, s...), '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// plain reports whether a text is ASCII that JSON has no other way to write.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
