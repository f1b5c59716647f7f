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
	var in abi.Verdict
	if err := json.Unmarshal(doc, &in); err != nil {
		return v, fmt.Errorf("verdict: %w: %w", abi.BadArgument, err)
	}
	g.reason = in.Reason
	if err := g.act(&v, &in); err != nil {
		return v, err
	}
	if g.hook == gateway.HookThread {
		return v, g.moveThread(&v, &in)
	}
	if in.Thread != nil {
		return v, fmt.Errorf("verdict: %w: thread is for the thread hook", abi.BadArgument)
	}
	if g.hook == gateway.HookInbound {
		return v, g.file(&v, &in)
	}
	if in.Folder != "" || len(in.Labels)+len(in.Flags) > 0 {
		return v, fmt.Errorf("verdict: %w: folder, labels and flags are for the inbound hook", abi.BadArgument)
	}
	return v, g.addHeaders(&v, &in)
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
}

// maxReplyText bounds what a sender is told, RFC 5321 section 4.5.3.1.5.
const maxReplyText = 400

// act reads the action, and what the sender of refused mail is told.
func (g *guest) act(v *gateway.Verdict, in *abi.Verdict) error {
	action, ok := actions[g.hook][in.Action]
	if !ok {
		return fmt.Errorf("verdict: %w: the %s hook has no action %.40q", abi.BadArgument, g.hook, in.Action)
	}
	if action == gateway.ActionDiscard && !g.may(abi.PermitDiscard) {
		return fmt.Errorf("verdict: %w: discard", abi.Denied)
	}
	v.Action, v.Final = action, in.Final
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
		return fmt.Errorf("verdict: %w: code %d, which is not from %d to %d", abi.BadArgument, c, least, least+9)
	}
	if t := in.SMTP.Text; len(t) > maxReplyText || hasControl(t) {
		return fmt.Errorf("verdict: %w: the text for the sender is one line of at most %d bytes", abi.BadArgument, maxReplyText)
	}
	v.Code, v.Text = in.SMTP.Code, in.SMTP.Text
	return nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// flags are what a plugin may set.
var flags = map[string]gateway.Flags{`\seen`: gateway.Seen, `\flagged`: gateway.Flagged, `\answered`: gateway.Answered}

// file reads where a copy goes and what it is marked with.
func (g *guest) file(v *gateway.Verdict, in *abi.Verdict) error {
	if int64(len(in.Folder)) > g.plugins.cfg.Limits.MailboxName || hasControl(in.Folder) {
		return fmt.Errorf("verdict: %w: folder %.80q", abi.BadArgument, in.Folder)
	}
	v.Folder = gateway.FoldMailbox(in.Folder)
	for _, f := range in.Flags {
		flag, ok := flags[strings.ToLower(f)]
		if !ok {
			return fmt.Errorf(`verdict: %w: flag %.80q; there are \Seen, \Flagged and \Answered`, abi.BadArgument, f)
		}
		v.Flags |= flag
	}
	dropped := 0
	for _, l := range in.Labels {
		switch most := g.plugins.cfg.Limits.Labels; {
		case !gateway.ValidLabel(l):
			return fmt.Errorf("verdict: %w: label %.80q", abi.BadArgument, l)
		case slices.Contains(v.Labels, l):
		case int64(len(v.Labels)) >= most:
			dropped++
		default:
			v.Labels = append(v.Labels, l)
		}
	}
	if dropped > 0 {
		g.Log(2, fmt.Sprintf("%d labels are over the limit of %d and are dropped", dropped, g.plugins.cfg.Limits.Labels))
	}
	return g.addHeaders(v, in)
}

// threadFields say which message this is, and which it answers: a second one would have
// mail programs believe another than the gateway did.
var threadFields = []string{"message-id", "in-reply-to", "references"}

func (g *guest) addHeaders(v *gateway.Verdict, in *abi.Verdict) error {
	if len(in.Headers) > 0 && !g.may(abi.PermitHeaders) {
		return fmt.Errorf("verdict: %w: headers", abi.Denied)
	}
	for _, h := range in.Headers {
		if h.Op != "add" {
			return fmt.Errorf("verdict: %w: header operation %.40q; there is add", abi.BadArgument, h.Op)
		}
		if slices.Contains(threadFields, strings.ToLower(h.Name)) {
			return fmt.Errorf("verdict: %w: the header field %s can't be added", abi.BadArgument, h.Name)
		}
		v.Headers = append(v.Headers, gateway.HeaderField{Name: h.Name, Value: h.Value})
	}
	if err := g.plugins.cfg.CheckHeaders(v.Headers); err != nil {
		return fmt.Errorf("verdict: %w: %w", abi.BadArgument, err)
	}
	return nil
}

// moveThread reads the choice of a conversation.
func (g *guest) moveThread(v *gateway.Verdict, in *abi.Verdict) (err error) {
	if in.Thread == nil {
		return nil
	}
	if !g.may(abi.PermitThread) {
		return fmt.Errorf("verdict: %w: thread", abi.Denied)
	}
	switch in.Thread.Op {
	case "new":
		v.Thread.New = true
	case "join":
		if v.Thread.Join, err = gateway.ParseID(in.Thread.ThreadID); err != nil {
			return fmt.Errorf("verdict: %w: thread id %.80q", abi.BadArgument, in.Thread.ThreadID)
		}
	default:
		return fmt.Errorf("verdict: %w: thread operation %.40q; there are join and new", abi.BadArgument, in.Thread.Op)
	}
	return nil
}
