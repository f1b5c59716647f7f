package inbound

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// checked is a Checker that finds this out, and remembers what it was asked about.
type checked struct {
	Checked
	err  error
	env  gateway.Envelope
	read string
}

func (c *checked) Check(_ context.Context, env gateway.Envelope, message io.Reader) (*Checked, error) {
	raw, err := io.ReadAll(message)
	c.env, c.read = env, string(raw)
	return &c.Checked, errors.Join(err, c.err)
}

var outside = gateway.Envelope{ReturnPath: "p@y.test", Recipients: []string{"ann@x.test", "ben@x.test"}, RemoteIP: "192.0.2.1", Helo: "h.test"}

func results(dmarc string, policy gateway.Disposition) Checked {
	return Checked{Auth: gateway.AuthResults{DMARC: gateway.AuthResult{Result: dmarc, Domain: "y.test"}, Policy: policy}, Field: []byte("Authentication-Results: mx.test\r\n")}
}

// What a domain wants done with forged mail is done as far as the operator allows, and a
// plugin has the last word about what is taken.
func TestDispose(t *testing.T) {
	const none, quarantine, reject = gateway.DispositionNone, gateway.DispositionQuarantine, gateway.DispositionReject
	tests := []struct {
		mode   DMARC
		dmarc  string
		policy gateway.Disposition
		want   gateway.Disposition
		folder string // of the first copy; the other is Archive, where a plugin wants it
	}{
		{"", "fail", reject, quarantine, "Junk"},
		{DMARCJunk, "fail", reject, quarantine, "Junk"},
		{DMARCJunk, "fail", quarantine, quarantine, "Junk"},
		{DMARCJunk, "fail", none, none, "INBOX"},
		{DMARCJunk, "fail", "", none, "INBOX"},
		{DMARCJunk, "pass", reject, none, "INBOX"},
		{DMARCJunk, "temperror", "", none, "INBOX"},
		{DMARCJunk, "permerror", reject, none, "INBOX"},
		{DMARCJunk, "none", "", none, "INBOX"},
		{DMARCEnforce, "fail", reject, reject, ""},
		{DMARCEnforce, "fail", quarantine, quarantine, "Junk"},
		{DMARCEnforce, "fail", none, none, "INBOX"},
		{DMARCEnforce, "pass", reject, none, "INBOX"},
		{DMARCEnforce, "temperror", reject, none, "INBOX"},
		{DMARCOff, "fail", reject, none, "INBOX"},
		{DMARCOff, "fail", quarantine, none, "INBOX"},
	}
	for _, tt := range tests {
		m, c := &memory{}, &checked{Checked: results(tt.dmarc, tt.policy)}
		hooks := verdicts{1: {}, 2: {Folder: "Archive"}}
		err := receiver(t, m, func(cfg *Config) { cfg.Checker, cfg.DMARC, cfg.Hooks = c, tt.mode, hooks }).Receive(t.Context(), outside, strings.NewReader(arriving))
		if tt.want == reject {
			e := gateway.AsError(err)
			if r := e.Kind.Reply(); r.SMTP != 550 || r.Enhanced != [3]int{5, 7, 1} || !strings.Contains(e.Message, "y.test") || len(m.filed)+len(m.kept) > 0 {
				t.Errorf("%+v: %v, filed %v, remembered %v", tt, err, m.filed, m.kept)
			}
			continue
		}
		if err != nil || len(m.filed) != 1 {
			t.Errorf("%+v: %v, filed %v", tt, err, m.filed)
			continue
		}
		f := m.filed[0]
		if f.Message.Auth.Disposition != tt.want || f.Message.Auth.Policy != tt.policy || f.Copies[0].Folder != tt.folder || f.Copies[1].Folder != "Archive" {
			t.Errorf("%+v: %+v, %s and %s", tt, f.Message.Auth, f.Copies[0].Folder, f.Copies[1].Folder)
		}
	}
}

// The check sees what arrived; what is stored and described lacks the fields that pretend
// to be ours, and is written anew only if there are any.
func TestDisown(t *testing.T) {
	const (
		ours  = "Authentication-Results: mx.test;\r\n\tdmarc=pass\r\n"
		other = "Authentication-Results: else.test; dmarc=pass\r\n"
		rest  = "From: p@y.test\r\nSubject: s\r\n"
		text  = "\r\nhello"
	)
	for name, tt := range map[string]struct{ arrived, stored string }{
		"none":            {other + rest + text, other + rest + text},
		"the first":       {ours + other + rest + text, other + rest + text},
		"in the middle":   {other + ours + rest + text, other + rest + text},
		"the last":        {rest + ours + text, rest + text},
		"several":         {ours + ours + rest + ours + text, rest + text},
		"nothing else":    {ours + text, text},
		"without a body":  {rest + ours, rest},
		"a body like one": {rest + "\r\n" + ours, rest + "\r\n" + ours},
	} {
		m, c := &memory{}, &checked{Checked: results("pass", "")}
		head, _, _ := strings.Cut(tt.arrived, "\r\n\r\n")
		for at := 0; ; {
			i := strings.Index(head[at:]+"\r\n", ours)
			if i < 0 {
				break
			}
			c.Claims = append(c.Claims, Span{int64(at + i), int64(at + i + len(ours))})
			if at += i + len(ours); at >= len(head) {
				break
			}
		}
		if err := receiver(t, m, func(cfg *Config) { cfg.Checker = c }).Receive(t.Context(), outside, strings.NewReader(tt.arrived)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		f := m.filed[0].Message
		stored := m.bodies[f.Blob.ID-1]
		if c.read != tt.arrived || stored.String() != tt.stored || f.Blob.Size != int64(len(tt.stored)) {
			t.Errorf("%s: checked %q, stored %q of %d", name, c.read, stored, f.Blob.Size)
		}
		p := f.Content.Parts[0]
		if f.Content.HeaderSize != p.BodyAt || p.BodyAt+p.BodySize != f.Blob.Size {
			t.Errorf("%s: described as %d and %d+%d of %d", name, f.Content.HeaderSize, p.BodyAt, p.BodySize, f.Blob.Size)
		}
		if want := 1 + min(len(c.Claims), 1); len(m.bodies) != want || !m.bodies[0].closed || !stored.closed {
			t.Errorf("%s: %d bodies were written, want %d", name, len(m.bodies), want)
		}
	}
}

// Who is asked, and what becomes of mail whose check fails.
func TestAuthenticate(t *testing.T) {
	m, c := &memory{}, &checked{Checked: results("pass", "")}
	r := receiver(t, m, func(cfg *Config) { cfg.Checker = c })
	if err := r.Receive(t.Context(), outside, strings.NewReader(arriving)); err != nil || c.env.RemoteIP != outside.RemoteIP || c.env.Helo != outside.Helo || c.env.ReturnPath != outside.ReturnPath {
		t.Errorf("asked about %+v, %v", c.env, err)
	}
	c.read = ""
	if err := r.Receive(t.Context(), gateway.Envelope{Recipients: []string{"ann@x.test"}, Author: "x.test"}, strings.NewReader(arriving)); err != nil || c.read != "" {
		t.Errorf("from inside: %v, asked about %q", err, c.read)
	}
	f := m.filed[1]
	if a := f.Message.Auth; a.DMARC != (gateway.AuthResult{Result: "pass", Reason: "local", Domain: "x.test"}) || !a.FromAligned || a.Disposition != gateway.DispositionNone {
		t.Errorf("from inside: %+v", a)
	}
	if !strings.Contains(string(f.Copies[0].Prefix), "\r\nAuthentication-Results: mx.test;\r\n\tspf=pass reason=\"local\";\r\n") {
		t.Errorf("from inside:\n%s", f.Copies[0].Prefix)
	}
	c.err = errors.New("the disk")
	err := r.Receive(t.Context(), outside, strings.NewReader(arriving))
	if gateway.KindOf(err) != gateway.Internal || len(m.filed) != 2 || !m.bodies[2].closed {
		t.Errorf("the check failed: %v, %d filed", err, len(m.filed))
	}
}
