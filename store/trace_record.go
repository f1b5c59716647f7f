package store

import (
	"math"
	"time"

	"github.com/centerleap/postern/gateway"
)

// encodeTrace writes what is known of a message and what is added, so many steps and bytes
// at most: of a step whose lines don't fit they are left out, then the step itself.
func encodeTrace(was *gateway.Trace, more []gateway.Step, steps, bytes int64) []byte {
	e := newRecord(256 * (len(was.Steps) + len(more)))
	kept, left := int64(len(was.Steps)), was.LeftOut
	for i := range was.Steps {
		e.message(1, func(e *encoder) { encodeStep(e, &was.Steps[i], true) })
	}
	for i := range more {
		s := &more[i]
		if kept < steps && (e.fits(bytes, s, true) || len(s.Lines) > 0 && e.fits(bytes, s, false)) {
			kept++
		} else {
			left++
		}
	}
	e.uint(2, uint64(left))
	return e.b
}

// fits appends a step if the record is no longer than most after it.
func (e *encoder) fits(most int64, s *gateway.Step, lines bool) bool {
	before := len(e.b)
	e.message(1, func(e *encoder) { encodeStep(e, s, lines) })
	if int64(len(e.b)) > most {
		e.b = e.b[:before]
		return false
	}
	return true
}

func decodeTrace(b []byte) (tr gateway.Trace, err error) {
	err = readRecord("trace", b, func(f field) error {
		switch f.n {
		case 1:
			s, err := decodeStep(f.b)
			tr.Steps = append(tr.Steps, s)
			return err
		case 2:
			tr.LeftOut = int(f.v)
		}
		return nil
	})
	return tr, err
}

func encodeStep(e *encoder, s *gateway.Step, lines bool) {
	e.time(1, s.At)
	e.text(2, string(s.Hook))
	e.uint(3, uint64(s.Account))
	e.id(4, s.Plugin)
	e.text(5, s.Name)
	e.text(6, s.Version)
	e.bytes(7, s.SHA256[:])
	if !s.Verdict.None() {
		v := s.Verdict.Brief()
		e.message(8, func(e *encoder) { encodeVerdict(e, &v) })
	}
	e.text(9, s.Reason)
	e.text(10, s.Failure)
	e.bool(11, s.Paused)
	e.int(12, s.Fuel)
	e.int(13, s.Calls)
	e.int(14, int64(s.Took))
	if lines {
		for i := range s.Lines {
			e.message(15, func(e *encoder) { e.uint(1, uint64(s.Lines[i].Level)); e.text(2, s.Lines[i].Text) })
		}
	}
	e.text(16, string(s.Event))
	e.uint(17, s.Sequence)
	e.text(18, s.Mailbox)
}

func decodeStep(b []byte) (s gateway.Step, err error) {
	err = readFields(b, func(f field) error {
		switch f.n {
		case 1:
			s.At = f.time()
		case 2:
			s.Hook = gateway.Hook(f.text())
		case 3:
			s.Account = gateway.AccountID(f.v)
		case 4:
			s.Plugin = f.id()
		case 5:
			s.Name = f.text()
		case 6:
			s.Version = f.text()
		case 7:
			copy(s.SHA256[:], f.b)
		case 8:
			return decodeVerdict(f.b, &s.Verdict)
		case 15:
			return decodeSaid(f.b, &s.Lines)
		default:
			readStepResult(&s, f)
		}
		return nil
	})
	if r := s.Verdict.Reply; r != nil {
		r.Plugin = s.Plugin // who answers
	}
	return s, err
}

func readStepResult(s *gateway.Step, f field) {
	switch f.n {
	case 9:
		s.Reason = f.text()
	case 10:
		s.Failure = f.text()
	case 11:
		s.Paused = f.bool()
	case 12:
		s.Fuel = f.int()
	case 13:
		s.Calls = f.int()
	case 14:
		s.Took = time.Duration(f.int())
	case 16:
		s.Event = gateway.EventType(f.text())
	case 17:
		s.Sequence = f.v
	case 18:
		s.Mailbox = f.text()
	}
}

func decodeSaid(b []byte, lines *[]gateway.PluginLine) error {
	var l gateway.PluginLine
	err := readFields(b, func(f field) error {
		switch f.n {
		case 1:
			l.Level = gateway.LineLevel(f.v)
		case 2:
			l.Text = f.text()
		}
		return nil
	})
	*lines = append(*lines, l)
	return err
}

func encodeVerdict(e *encoder, v *gateway.Verdict) {
	e.text(1, string(v.Action))
	e.int(2, int64(v.Code))
	e.text(3, v.Text)
	e.text(4, v.Folder)
	e.uint(5, uint64(v.Flags))
	e.texts(6, v.Labels)
	e.texts(7, v.Unlabel)
	e.texts(8, v.Redirect)
	e.bool(9, v.Keep)
	for _, h := range v.Headers {
		e.message(10, func(e *encoder) { e.text(1, h.Name); e.text(2, h.Value) })
	}
	for _, h := range v.Edits {
		e.message(11, func(e *encoder) { e.text(1, h.Name); e.text(2, h.Value); e.bool(3, h.Set) })
	}
	if v.Subject != nil {
		e.message(12, func(e *encoder) { e.text(1, *v.Subject) })
	}
	if v.Body != nil {
		e.message(13, func(e *encoder) { e.text(1, v.Body.Text); e.text(2, v.Body.HTML) })
	}
	encodeTags(e, 14, v.Tags)
	e.texts(15, v.Remove)
	e.time(16, v.Until)
	if r := v.Reply; r != nil {
		e.message(17, func(e *encoder) { e.text(1, r.Text); e.text(2, r.HTML); e.text(3, r.From); e.text(4, r.Subject) })
	}
	if !v.Thread.None() {
		e.message(18, func(e *encoder) { encodeChoice(e, &v.Thread) })
	}
	e.uint(19, math.Float64bits(v.Score))
	e.bool(20, v.Final)
}

func decodeVerdict(b []byte, v *gateway.Verdict) error {
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			v.Action = gateway.Action(f.text())
		case 2:
			v.Code = int(f.int())
		case 3:
			v.Text = f.text()
		case 4:
			v.Folder = f.text()
		case 5:
			v.Flags = gateway.Flags(f.v)
		case 6:
			v.Labels = append(v.Labels, f.text())
		case 7:
			v.Unlabel = append(v.Unlabel, f.text())
		case 8:
			v.Redirect = append(v.Redirect, f.text())
		case 9:
			v.Keep = f.bool()
		case 15:
			v.Remove = append(v.Remove, f.text())
		case 16:
			v.Until = f.time()
		case 19:
			v.Score = math.Float64frombits(f.v)
		case 20:
			v.Final = f.bool()
		default:
			return readVerdictParts(v, f)
		}
		return nil
	})
}

// readVerdictParts reads the nested records of a verdict.
func readVerdictParts(v *gateway.Verdict, f field) error {
	switch f.n {
	case 14:
		return decodeTag(f.b, &v.Tags)
	case 18:
		return decodeChoice(f.b, &v.Thread)
	}
	var text [5]string // by field number
	set := false
	err := readFields(f.b, func(f field) error {
		switch {
		case f.b == nil:
			set = f.bool()
		case int(f.n) < len(text):
			text[f.n] = f.text()
		}
		return nil
	})
	switch f.n {
	case 10:
		v.Headers = append(v.Headers, gateway.HeaderField{Name: text[1], Value: text[2]})
	case 11:
		v.Edits = append(v.Edits, gateway.HeaderEdit{Name: text[1], Value: text[2], Set: set})
	case 12:
		v.Subject = &text[1]
	case 13:
		v.Body = &gateway.Body{Text: text[1], HTML: text[2]}
	case 17:
		v.Reply = &gateway.AutoReply{From: text[3], Subject: text[4], Body: gateway.Body{Text: text[1], HTML: text[2]}}
	}
	return err
}

func encodeChoice(e *encoder, c *gateway.ThreadChoice) {
	e.id(1, c.Join)
	e.bool(2, c.New)
	for _, id := range c.Merge {
		e.id(3, id)
	}
	for _, id := range c.Take {
		e.id(4, id)
	}
}

func decodeChoice(b []byte, c *gateway.ThreadChoice) error {
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			c.Join = f.id()
		case 2:
			c.New = f.bool()
		case 3:
			c.Merge = append(c.Merge, f.id())
		case 4:
			c.Take = append(c.Take, f.id())
		}
		return nil
	})
}

func encodeTurn(e *encoder, t *gateway.Turn) {
	e.time(1, t.At)
	e.text(2, string(t.State))
	e.text(3, string(t.Held))
	e.int(4, int64(t.Attempt))
	e.int(5, int64(t.Code))
	e.text(6, t.Text)
	e.text(7, t.Host)
	e.text(8, t.TLS)
	e.text(9, t.Phase)
}

func decodeTurn(b []byte) (t gateway.Turn, err error) {
	err = readFields(b, func(f field) error {
		switch f.n {
		case 1:
			t.At = f.time()
		case 2:
			t.State = gateway.DeliveryState(f.text())
		case 3:
			t.Held = gateway.HeldReason(f.text())
		case 4:
			t.Attempt = int(f.int())
		case 5:
			t.Code = int(f.int())
		case 6:
			t.Text = f.text()
		case 7:
			t.Host = f.text()
		case 8:
			t.TLS = f.text()
		case 9:
			t.Phase = f.text()
		}
		return nil
	})
	return t, err
}
