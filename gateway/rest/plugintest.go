package rest

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// pluginTest says what to try a plugin on: one of email_id, raw and sample.
type pluginTest struct {
	Hook    gateway.Hook `json:"hook"`
	EmailID string       `json:"email_id"`
	Folder  string       `json:"folder"` // of a UID
	Raw     *string      `json:"raw"`
	Sample  string       `json:"sample"`
	Version string       `json:"version"`
	Event   string       `json:"event"` // of the event hook
}

// trialShape is what a plugin would do. Nothing of it was done.
type trialShape struct {
	Object      string       `json:"object"`
	PluginID    string       `json:"plugin_id"`
	Version     string       `json:"version"`
	SHA256      string       `json:"sha256"`
	Hook        gateway.Hook `json:"hook"`
	DryRun      bool         `json:"dry_run"`
	Verdict     verdictShape `json:"verdict"`
	Changes     changesShape `json:"changes"`
	Logs        []trialLine  `json:"logs"`
	KVWrites    []trialWrite `json:"kv_writes"`
	Sends       []trialSend  `json:"sends"`
	DurationUS  int64        `json:"duration_us"`
	HostCalls   int64        `json:"host_calls"`
	Fuel        int64        `json:"fuel"`
	MemoryBytes int64        `json:"memory_bytes"`
	Error       *string      `json:"error"`
}

type trialLine struct {
	Level string `json:"level"`
	Text  string `json:"text"`
}

type trialWrite struct {
	Key       string  `json:"key"`
	SizeBytes int     `json:"size_bytes"`
	ExpiresAt *string `json:"expires_at"`
}

// trialSend is a mail that it would have sent.
type trialSend struct {
	From    *string  `json:"from"`
	To      []string `json:"to"`
	Cc      []string `json:"cc"`
	Bcc     []string `json:"bcc"`
	Subject string   `json:"subject"`
	bodyChange
}

// testPlugin shows what a plugin would decide about a message, and does nothing of it.
func (s *Server) testPlugin(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	var in pluginTest
	if err := s.readJSON(k, &in); err != nil {
		return err
	}
	if in.Hook == "" {
		return gateway.Fieldf(gateway.MissingField, "hook", "say at which hook the plugin is to be asked")
	}
	p, err := s.cfg.Plugins.Get(k.ctx, sc, id)
	if err != nil {
		return err
	}
	look, err := s.lookFor(k, sc, p, &in)
	if err != nil {
		return err
	}
	out, err := s.cfg.Plugins.Try(k.ctx, sc, id, gateway.PluginTrial{Hook: in.Hook, Version: in.Version, Event: gateway.EventType(in.Event)}, look)
	if err != nil {
		return err
	}
	return k.json(trialOf(p, in.Hook, &out))
}

// lookFor finds or makes the message that a plugin is tried on.
func (s *Server) lookFor(k *call, sc gateway.Scope, p *gateway.Plugin, in *pluginTest) (*gateway.Look, error) {
	if in.Event != "" && (in.Hook != gateway.HookEvent || !slices.Contains(gateway.PluginEvents, gateway.EventType(in.Event))) {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "event", "event is for the event hook, and one of %q", gateway.PluginEvents)
	}
	given := 0
	for _, is := range []bool{in.EmailID != "", in.Raw != nil, in.Sample != ""} {
		if is {
			given++
		}
	}
	if in.Hook == gateway.HookTick {
		if given > 0 {
			return nil, gateway.Fieldf(gateway.InvalidParameter, "email_id", "the tick hook is about no message")
		}
		return s.cfg.Mail.LookAtEvent(k.ctx, sc, &gateway.Event{Domain: p.Domain, Account: p.Account})
	}
	if given != 1 {
		return nil, gateway.Fieldf(gateway.MissingField, "email_id", "name one message: by email_id, as raw, or a sample")
	}
	email := k.c.Query("email")
	if in.EmailID != "" {
		ref, err := parseRef(in.EmailID)
		if err != nil {
			return nil, err
		}
		ref.Email, ref.Folder = email, in.Folder
		it, err := s.cfg.Mail.Get(k.ctx, sc, ref)
		if err != nil {
			return nil, err
		}
		if k.row.Email = it.Message.ID; in.Hook == gateway.HookEvent {
			return s.cfg.Mail.LookAtLater(sc, it), nil
		}
		return s.cfg.Mail.LookAt(sc, it), nil
	}
	if email == "" && p.Account != 0 {
		a, err := s.cfg.Domains.AccountByID(k.ctx, sc, p.Domain, p.Account)
		if err != nil {
			return nil, err
		}
		email = a.Email
	}
	if in.Raw != nil {
		return s.cfg.Mail.LookAtRaw(k.ctx, sc, email, *in.Raw)
	}
	d, err := s.cfg.Domains.ByID(k.ctx, sc, p.Domain)
	if err != nil {
		return nil, err
	}
	raw := mailbox.Sample(in.Sample, cmp.Or(email, "somebody@"+d.Name))
	if raw == "" {
		return nil, gateway.Fieldf(gateway.InvalidParameter, "sample", "sample is one of %s", strings.Join(mailbox.Samples, ", "))
	}
	return s.cfg.Mail.LookAtRaw(k.ctx, sc, email, raw)
}

// TrialJSON is the answer of POST /plugins/:id/test about a plugin that was asked without a
// gateway.
func TrialJSON(p *gateway.Plugin, hook gateway.Hook, o *gateway.PluginOutcome) ([]byte, error) {
	return json.Marshal(trialOf(p, hook, o))
}

func trialOf(p *gateway.Plugin, hook gateway.Hook, o *gateway.PluginOutcome) trialShape {
	v := &o.Verdict
	out := trialShape{
		Object: "plugin_test", PluginID: p.ID.String(), Version: o.Version.Version, SHA256: hex.EncodeToString(o.Version.SHA256[:]), Hook: hook, DryRun: true,
		Verdict: verdictOf(hook, v, o.Reason), Changes: changesOf(v), Logs: linesOf(o.Lines), KVWrites: []trialWrite{}, Sends: []trialSend{},
		DurationUS: o.Took.Microseconds(), HostCalls: o.HostCalls, Fuel: o.Fuel, MemoryBytes: o.Memory, Error: orNull(o.Failure),
	}
	for _, w := range o.Writes {
		out.KVWrites = append(out.KVWrites, trialWrite{w.Key, len(w.Value), stampOrNull(w.Expires)})
	}
	for i := range o.Sends {
		c := &o.Sends[i].Mail
		out.Sends = append(out.Sends, trialSend{orNull(c.From.Addr), addrs(c.To), addrs(c.Cc), addrs(c.Bcc), c.Subject, bodyChange{orNull(c.Text), orNull(c.HTML)}})
	}
	return out
}
