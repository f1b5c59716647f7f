package plugins

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// judge turns a verdict document into what the gateway acts on. An error says why
// it may not: the plugin has no such permission, or it makes no sense.
func (g *guest) judge(doc []byte) (v gateway.Verdict, err error) {
	in, err := g.read(doc)
	if err != nil {
		return v, err
	}
	g.reason = cut(in.Reason, g.plugins.cfg.Limits.PluginLogLine)
	if err := g.mayHave(in); err != nil {
		return v, err
	}
	for _, field := range []func(*gateway.Verdict, *abi.Verdict) error{
		g.act, g.file, g.redirect, g.editHeader, g.rewrite, g.hold, g.reply, g.moveThread,
	} {
		if err := field(&v, in); err != nil {
			return gateway.Verdict{}, err
		}
	}
	return v, nil
}

// document is a verdict whose texts are still as they came: they have a limit of their own.
type document struct {
	abi.Verdict
	Body  json.RawMessage `json:"body"`
	Reply json.RawMessage `json:"reply"`
}

// escaped is how much longer a text may be in JSON, where some letters take two bytes.
const escaped = 2

// read decodes a document, of which texts and everything else are bounded.
func (g *guest) read(doc []byte) (*abi.Verdict, error) {
	lim := &g.plugins.cfg.Limits
	texts := escaped * lim.PluginBody
	if int64(len(doc)) > lim.PluginVerdict+texts {
		return nil, tooLarge("a verdict may have %d bytes", lim.PluginVerdict)
	}
	var in document
	if err := json.Unmarshal(doc, &in); err != nil {
		return nil, bad("%w", err)
	}
	both := int64(len(in.Body) + len(in.Reply))
	if both > texts || int64(len(doc))-both > lim.PluginVerdict {
		return nil, tooLarge("a verdict may have %d bytes, and %d more of body or reply", lim.PluginVerdict, texts)
	}
	for _, part := range []struct {
		raw  json.RawMessage
		into any
	}{{in.Body, &in.Verdict.Body}, {in.Reply, &in.Verdict.Reply}} {
		if len(part.raw) == 0 {
			continue
		}
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return nil, bad("%w", err)
		}
	}
	return &in.Verdict, nil
}

func bad(format string, args ...any) error {
	return fmt.Errorf("verdict: %w: %w", abi.BadArgument, fmt.Errorf(format, args...))
}

func tooLarge(format string, args ...any) error {
	return fmt.Errorf("verdict: %w: %w", abi.TooLarge, fmt.Errorf(format, args...))
}

var (
	arriving  = []gateway.Hook{gateway.HookInbound}
	leaving   = []gateway.Hook{gateway.HookOutbound}
	passing   = []gateway.Hook{gateway.HookInbound, gateway.HookOutbound}
	filing    = []gateway.Hook{gateway.HookInbound, gateway.HookEvent}
	threading = []gateway.Hook{gateway.HookThread}
	waiting   = []gateway.Hook{gateway.HookInbound, gateway.HookOutbound, gateway.HookThread} // somebody does, for the answer
)

// verdictFields are what a verdict may hold at which hook, and the permission that it
// needs. Source: the table of the contract, in package abi.
var verdictFields = []struct {
	name   string
	given  func(*abi.Verdict) bool
	hooks  []gateway.Hook
	permit string
}{
	{"smtp", func(v *abi.Verdict) bool { return v.SMTP != nil }, passing, ""},
	{"folder", func(v *abi.Verdict) bool { return v.Folder != "" }, filing, ""},
	{"labels", func(v *abi.Verdict) bool { return len(v.Labels) > 0 }, filing, ""},
	{"unlabel", func(v *abi.Verdict) bool { return len(v.Unlabel) > 0 }, filing, ""},
	{"flags", func(v *abi.Verdict) bool { return len(v.Flags) > 0 }, filing, ""},
	{"redirect", func(v *abi.Verdict) bool { return len(v.Redirect) > 0 }, arriving, abi.PermitRedirect},
	{"keep", func(v *abi.Verdict) bool { return v.Keep }, arriving, ""},
	{"headers", func(v *abi.Verdict) bool { return len(v.Headers) > 0 }, passing, abi.PermitHeaders},
	{"subject", func(v *abi.Verdict) bool { return v.Subject != nil }, leaving, abi.PermitBody},
	{"body", func(v *abi.Verdict) bool { return v.Body != nil }, leaving, abi.PermitBody},
	{"tags", func(v *abi.Verdict) bool { return len(v.Tags) > 0 }, leaving, ""},
	{"remove", func(v *abi.Verdict) bool { return len(v.Remove) > 0 }, leaving, abi.PermitRcpt},
	{"reply", func(v *abi.Verdict) bool { return v.Reply != nil }, filing, abi.PermitReply},
	{"hold", func(v *abi.Verdict) bool { return v.Hold != nil }, leaving, ""},
	{"thread", func(v *abi.Verdict) bool { return v.Thread != nil }, threading, abi.PermitThread},
	{"score", func(v *abi.Verdict) bool { return v.Score != 0 }, passing, ""},
	{"final", func(v *abi.Verdict) bool { return v.Final }, waiting, ""},
}

// mayHave holds a verdict to its hook and to what the plugin was granted.
func (g *guest) mayHave(in *abi.Verdict) error {
	for _, f := range verdictFields {
		switch {
		case !f.given(in):
		case !slices.Contains(f.hooks, g.hook):
			return bad("%s has no meaning at the %s hook", f.name, g.hook)
		case f.permit != "" && !g.may(f.permit):
			return fmt.Errorf("verdict: %w: %s", abi.Denied, f.permit)
		}
	}
	return nil
}

// actions are what each hook may do, and what the gateway calls it.
var actions = map[gateway.Hook]map[string]gateway.Action{
	gateway.HookInbound: {
		"": gateway.ActionAccept, abi.Accept: gateway.ActionAccept, abi.Reject: gateway.ActionReject, abi.Tempfail: gateway.ActionTempfail,
		abi.Quarantine: gateway.ActionQuarantine, abi.Discard: gateway.ActionDiscard,
	},
	gateway.HookOutbound: {
		"": gateway.ActionAccept, abi.Allow: gateway.ActionAccept, abi.Accept: gateway.ActionAccept, abi.Deny: gateway.ActionDeny, abi.Hold: gateway.ActionHold,
	},
	gateway.HookThread: {"": gateway.ActionAccept, abi.Accept: gateway.ActionAccept},
	gateway.HookEvent:  {"": gateway.ActionAccept, abi.Accept: gateway.ActionAccept},
	gateway.HookTick:   {"": gateway.ActionAccept, abi.Accept: gateway.ActionAccept},
}

const (
	// maxReplyText bounds what a sender is told, RFC 5321 section 4.5.3.1.5.
	maxReplyText = 400
	// maxScore bounds a score, so that the sum of all is a number; ours.
	maxScore = 1e6
)

// act reads the action, what the sender of refused mail is told, and the score.
func (g *guest) act(v *gateway.Verdict, in *abi.Verdict) error {
	action, ok := actions[g.hook][in.Action]
	if !ok {
		return bad("the %s hook has no action %.40q", g.hook, in.Action)
	}
	if action == gateway.ActionDiscard && !g.may(abi.PermitDiscard) {
		return fmt.Errorf("verdict: %w: discard", abi.Denied)
	}
	if in.Score > maxScore || in.Score < -maxScore {
		return bad("a score is from %g to %g", -maxScore, maxScore)
	}
	v.Action, v.Final, v.Score = action, in.Final, in.Score
	switch action {
	case gateway.ActionReject, gateway.ActionTempfail, gateway.ActionDeny:
	default: // nobody is refused, so there is nobody to tell
		return nil
	}
	if in.SMTP == nil {
		return nil
	}
	// Codes that speak of one message: others would end the sender's session.
	least := 550
	if action == gateway.ActionTempfail {
		least = 450
	}
	if c := in.SMTP.Code; c != 0 && (c < least || c > least+9) {
		return bad("code %d is not from %d to %d", c, least, least+9)
	}
	if t := in.SMTP.Text; len(t) > maxReplyText || hasControl(t) {
		return bad("the text for the sender is one line of at most %d bytes", maxReplyText)
	}
	v.Code, v.Text = in.SMTP.Code, in.SMTP.Text
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// moveThread reads the choice of a conversation.
func (g *guest) moveThread(v *gateway.Verdict, in *abi.Verdict) (err error) {
	if in.Thread == nil {
		return nil
	}
	move, c := in.Thread, &v.Thread
	with, err := g.ids(move.With)
	if err != nil {
		return err
	}
	if move.ThreadID != "" {
		if c.Join, err = gateway.ParseID(move.ThreadID); err != nil {
			return bad("thread id %.80q", move.ThreadID)
		}
	}
	needs := func(thread, list bool) error {
		if !thread && !c.Join.IsZero() || list != (len(with) > 0) {
			return bad("the thread operation %s with thread_id %.80q and %d ids in with", move.Op, move.ThreadID, len(with))
		}
		return nil
	}
	switch move.Op {
	case "join":
		if c.Join.IsZero() {
			return bad("to join takes a thread_id")
		}
		return needs(true, false)
	case "new":
		c.New = true
		return needs(false, false)
	case "merge":
		c.Merge = with
		return needs(true, true)
	case "split":
		c.New, c.Take = true, with
		return needs(false, true)
	}
	return bad("thread operation %.40q; there are join, new, merge and split", move.Op)
}

// ids reads a list of ids, each once.
func (g *guest) ids(texts []string) (all []gateway.ID, err error) {
	if most := g.plugins.cfg.Limits.PluginThreadIDs; int64(len(texts)) > most {
		return nil, bad("thread.with has %d ids; at most %d are moved at once", len(texts), most)
	}
	for _, text := range texts {
		id, err := gateway.ParseID(text)
		if err != nil || id.IsZero() {
			return nil, bad("thread.with: id %.80q", text)
		}
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all, nil
}
