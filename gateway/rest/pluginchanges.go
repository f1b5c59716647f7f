package rest

import (
	"github.com/centerleap/postern/gateway"
)

// changesShape is what a verdict would change of the message, and have sent because of it.
type changesShape struct {
	Folder    *string       `json:"folder"`
	Labels    []string      `json:"labels"`
	Unlabel   []string      `json:"unlabel"`
	Flags     []string      `json:"flags"`
	Score     float64       `json:"score"`
	Redirect  []string      `json:"redirect"`
	Keep      bool          `json:"keep"`
	Headers   []headerShape `json:"headers"`
	Edits     []editShape   `json:"header_edits"`
	Subject   *string       `json:"subject"`
	Body      *bodyChange   `json:"body"`
	Tags      []gateway.Tag `json:"tags"`
	Remove    []string      `json:"remove"`
	HoldUntil *string       `json:"hold_until"`
	Reply     *replyChange  `json:"reply"`
	Thread    *threadChange `json:"thread"`
}

type editShape struct {
	Op    string  `json:"op"`
	Name  string  `json:"name"`
	Value *string `json:"value"`
}

type bodyChange struct {
	Text *string `json:"text"`
	HTML *string `json:"html"`
}

type replyChange struct {
	From    *string `json:"from"`
	Subject *string `json:"subject"`
	bodyChange
}

type threadChange struct {
	Op       string   `json:"op"`
	ThreadID *string  `json:"thread_id"`
	With     []string `json:"with"`
}

func changesOf(v *gateway.Verdict) changesShape {
	out := changesShape{
		Folder: orNull(v.Folder), Labels: listed(v.Labels), Unlabel: listed(v.Unlabel), Flags: flagNames(v.Flags), Score: v.Score,
		Redirect: listed(v.Redirect), Keep: v.Keep, Headers: []headerShape{}, Edits: []editShape{},
		Subject: v.Subject, Tags: v.Tags, Remove: listed(v.Remove), HoldUntil: stampOrNull(v.Until), Thread: threadOf(&v.Thread),
	}
	if v.Action == gateway.ActionQuarantine {
		junk := gateway.Junk
		out.Folder = &junk
	}
	if out.Tags == nil {
		out.Tags = []gateway.Tag{}
	}
	for _, h := range v.Headers {
		out.Headers = append(out.Headers, headerShape(h))
	}
	for _, e := range v.Edits {
		edit := editShape{Op: "delete", Name: e.Name}
		if e.Set {
			edit.Op, edit.Value = "set", &e.Value
		}
		out.Edits = append(out.Edits, edit)
	}
	if v.Body != nil {
		out.Body = &bodyChange{orNull(v.Body.Text), orNull(v.Body.HTML)}
	}
	if r := v.Reply; r != nil {
		out.Reply = &replyChange{orNull(r.From), orNull(r.Subject), bodyChange{orNull(r.Text), orNull(r.HTML)}}
	}
	return out
}

// flagNames are flags as IMAP calls them.
func flagNames(flags gateway.Flags) []string {
	names := []string{}
	for _, f := range []struct {
		flag gateway.Flags
		name string
	}{{gateway.Seen, `\Seen`}, {gateway.Flagged, `\Flagged`}, {gateway.Answered, `\Answered`}} {
		if flags.Has(f.flag) {
			names = append(names, f.name)
		}
	}
	return names
}

// threadOf is a choice as the plugin made it; nil if it made none.
func threadOf(c *gateway.ThreadChoice) *threadChange {
	out := &threadChange{ThreadID: idOrNull(c.Join), With: []string{}}
	switch {
	case c.None():
		return nil
	case len(c.Take) > 0:
		out.Op = "split"
	case c.New:
		out.Op = "new"
	case len(c.Merge) > 0:
		out.Op = "merge"
	default:
		out.Op = "join"
	}
	for _, ids := range [][]gateway.ID{c.Take, c.Merge} {
		for _, id := range ids {
			out.With = append(out.With, id.String())
		}
	}
	return out
}
