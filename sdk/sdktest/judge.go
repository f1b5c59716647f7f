package sdktest

import (
	"fmt"
	"slices"

	"github.com/centerleap/postern/sdk/abi"
)

// actions are those of each hook.
var actions = map[string][]string{
	abi.HookInbound:  {"", abi.Accept, abi.Reject, abi.Tempfail, abi.Quarantine, abi.Discard},
	abi.HookOutbound: {"", abi.Allow, abi.Accept, abi.Deny, abi.Hold},
	abi.HookThread:   {"", abi.Accept},
	abi.HookEvent:    {"", abi.Accept},
	abi.HookTick:     {"", abi.Accept},
}

// members are those of a verdict that not every hook takes, or that need a permission.
var members = []struct {
	name   string
	hooks  []string
	permit string
	there  func(*abi.Verdict) bool
}{
	{"discard", []string{abi.HookInbound}, abi.PermitDiscard, func(v *abi.Verdict) bool { return v.Action == abi.Discard }},
	{"smtp", passing, "", func(v *abi.Verdict) bool { return v.SMTP != nil }},
	{"folder", afterwards, "", func(v *abi.Verdict) bool { return v.Folder != "" }},
	{"labels", afterwards, "", func(v *abi.Verdict) bool { return len(v.Labels) > 0 }},
	{"unlabel", afterwards, "", func(v *abi.Verdict) bool { return len(v.Unlabel) > 0 }},
	{"flags", afterwards, "", func(v *abi.Verdict) bool { return len(v.Flags) > 0 }},
	{"redirect", []string{abi.HookInbound}, abi.PermitRedirect, func(v *abi.Verdict) bool { return len(v.Redirect) > 0 }},
	{"keep", []string{abi.HookInbound}, "", func(v *abi.Verdict) bool { return v.Keep }},
	{"headers", passing, abi.PermitHeaders, func(v *abi.Verdict) bool { return len(v.Headers) > 0 }},
	{"headers to set or delete", []string{abi.HookOutbound}, "", func(v *abi.Verdict) bool {
		return slices.ContainsFunc(v.Headers, func(h abi.HeaderEdit) bool { return h.Op != "add" })
	}},
	{"subject", []string{abi.HookOutbound}, abi.PermitBody, func(v *abi.Verdict) bool { return v.Subject != nil }},
	{"body", []string{abi.HookOutbound}, abi.PermitBody, func(v *abi.Verdict) bool { return v.Body != nil }},
	{"tags", []string{abi.HookOutbound}, "", func(v *abi.Verdict) bool { return len(v.Tags) > 0 }},
	{"remove", []string{abi.HookOutbound}, abi.PermitRcpt, func(v *abi.Verdict) bool { return len(v.Remove) > 0 }},
	{"reply", afterwards, abi.PermitReply, func(v *abi.Verdict) bool { return v.Reply != nil }},
	{"hold", []string{abi.HookOutbound}, "", func(v *abi.Verdict) bool { return v.Hold != nil }},
	{"thread", []string{abi.HookThread}, abi.PermitThread, func(v *abi.Verdict) bool { return v.Thread != nil }},
	{"score", passing, "", func(v *abi.Verdict) bool { return v.Score != 0 }},
	{"final", []string{abi.HookInbound, abi.HookOutbound, abi.HookThread}, "", func(v *abi.Verdict) bool { return v.Final }},
}

var (
	afterwards = []string{abi.HookInbound, abi.HookEvent} // of mail that is kept
	passing    = []string{abi.HookInbound, abi.HookOutbound}
)

// judge says what of a verdict the hook may not say.
func (h *Host) judge(v *abi.Verdict) error {
	hook := h.event.Hook
	if !slices.Contains(actions[hook], v.Action) {
		return fmt.Errorf("the %s hook has no action %q", hook, v.Action)
	}
	for _, m := range members {
		switch {
		case !m.there(v):
		case !slices.Contains(m.hooks, hook):
			return fmt.Errorf("%s: not for the %s hook", m.name, hook)
		case m.permit != "" && !h.may(m.permit):
			return fmt.Errorf("%s: the manifest does not ask for the permission %s", m.name, m.permit)
		}
	}
	return beside(v)
}

// beside says what of a verdict its action leaves no place for.
func beside(v *abi.Verdict) error {
	kept := v.Action == "" || v.Action == abi.Accept
	switch {
	case len(v.Redirect) > 0 && !kept:
		return fmt.Errorf("redirect together with the action %s", v.Action)
	case v.Reply != nil && !kept:
		return fmt.Errorf("reply together with the action %s", v.Action)
	}
	return nil
}
