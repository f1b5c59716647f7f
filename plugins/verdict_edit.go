package plugins

import (
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// What is changed of a message: fields that it gets, and of mail that leaves also its
// header, its text, who gets it, and when.

// threadFields say which message this is, and which it answers: a second one would have
// mail programs believe another than the gateway did.
var threadFields = []string{"message-id", "in-reply-to", "references"}

const (
	autoSubmitted = "auto-submitted"
	replyTo       = "reply-to"
)

// editHeader reads changes of the header. What the gateway writes itself, what says how
// a mail came and whom it is from and for, no plugin changes: see content.CheckHeaders.
func (g *guest) editHeader(v *gateway.Verdict, in *abi.Verdict) error {
	var named []gateway.HeaderField
	for _, h := range in.Headers {
		op, name := h.Op, strings.ToLower(h.Name)
		switch {
		case op != "add" && op != "set" && op != "delete":
			return bad("header operation %.40q; there are add, set and delete", op)
		case op != "add" && g.hook != gateway.HookOutbound:
			return bad("header operation %s: mail that arrives stays as it came, and gets fields added", op)
		case slices.Contains(threadFields, name):
			return bad("the header field %s can't be changed", h.Name)
		case name == autoSubmitted && (op != "add" || strings.HasPrefix(strings.ToLower(strings.TrimSpace(h.Value)), "no")):
			// It keeps programs from answering each other without end.
			return bad("the header field %s can't be taken back", h.Name)
		case name == replyTo && op != "add":
			var err error
			if h.Value, err = g.answersTo(op, h.Value); err != nil {
				return err
			}
		default:
			named = append(named, gateway.HeaderField{Name: h.Name, Value: h.Value})
		}
		if op == "add" {
			v.Headers = append(v.Headers, gateway.HeaderField{Name: h.Name, Value: h.Value})
			continue
		}
		edit := gateway.HeaderEdit{Set: op == "set", Name: h.Name, Value: h.Value}
		if !edit.Set {
			edit.Value = ""
		}
		v.Edits = append(v.Edits, edit)
	}
	if most := g.plugins.cfg.Limits.CustomHeaders; int64(len(in.Headers)) > most {
		return bad("%d header fields; at most %d are allowed", len(in.Headers), most)
	}
	if err := g.plugins.cfg.CheckHeaders(named); err != nil {
		return bad("%w", err)
	}
	return nil
}

// answersTo reads a new Reply-To: one address, as it then stands there.
func (g *guest) answersTo(op, value string) (string, error) {
	if op == "delete" {
		return "", nil
	}
	a, err := g.plugins.cfg.ParseAddress(value)
	if err != nil {
		return "", bad("Reply-To: %w", err)
	}
	return a.String(), nil
}

// rewrite reads a new text, and what else mail that leaves gets or loses.
func (g *guest) rewrite(v *gateway.Verdict, in *abi.Verdict) (err error) {
	lim := &g.plugins.cfg.Limits
	if (in.Subject != nil || in.Body != nil) && g.look.Via == "smtp" {
		return bad("subject and body of what its sender wrote himself stay: he may have signed it")
	}
	if in.Subject != nil {
		if err := subject("subject", *in.Subject); err != nil {
			return err
		}
		v.Subject = in.Subject
	}
	if in.Body != nil {
		b, err := g.texts("body", in.Body.Text, in.Body.HTML)
		if err != nil {
			return err
		}
		v.Body = &b
	}
	if int64(len(in.Tags)) > lim.Tags {
		return bad("%d tags; at most %d are allowed", len(in.Tags), lim.Tags)
	}
	for _, t := range in.Tags {
		if !gateway.ValidTag(t.Name) || !gateway.ValidTag(t.Value) {
			return bad("tag %.80q: name and value are 1 to %d letters, digits, _ or -", t.Name, gateway.TagLength)
		}
		v.Tags = append(v.Tags, gateway.Tag(t))
	}
	v.Remove, err = g.addresses("remove", in.Remove, lim.RecipientsSubmission)
	return err
}

// maxSubject bounds a subject, in bytes: a line of RFC 5322 section 2.1.1, twice; ours.
const maxSubject = 2 * 998

func subject(field, s string) error {
	if len(s) > maxSubject || hasControl(s) {
		return bad("%s is one line of at most %d bytes", field, maxSubject)
	}
	return nil
}

// texts reads a text in one or both of its forms.
func (g *guest) texts(field, text, html string) (b gateway.Body, err error) {
	if text == "" && html == "" {
		return b, bad("%s has no text", field)
	}
	if most := g.plugins.cfg.Limits.PluginBody; int64(len(text)+len(html)) > most {
		return b, tooLarge("%s may have %d bytes", field, most)
	}
	if strings.Contains(text, "\x00") || strings.Contains(html, "\x00") {
		return b, bad("%s has a NUL in it", field)
	}
	return gateway.Body{Text: text, HTML: html}, nil
}

// longestHold is how long mail may wait for its time; ours.
const longestHold = 366 * 24 * time.Hour

// hold reads when mail that is held leaves by itself.
func (g *guest) hold(v *gateway.Verdict, in *abi.Verdict) error {
	if in.Hold == nil {
		return nil
	}
	if v.Action != gateway.ActionHold {
		return bad("hold is for the action hold")
	}
	if in.Hold.Until == "" {
		return nil
	}
	until, err := time.Parse(time.RFC3339, in.Hold.Until)
	if err != nil {
		return bad("hold.until %.40q is no time of RFC 3339", in.Hold.Until)
	}
	if !until.After(g.now) || until.After(g.now.Add(longestHold)) {
		return bad("hold.until %s is not within a year from now", in.Hold.Until)
	}
	v.Until = until.UTC().Truncate(time.Millisecond)
	return nil
}
