package inbound

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// memory is a Store of one domain with two accounts.
type memory struct {
	bodies []*body // by id, from 1
	filed  []*gateway.Filing
	kept   []gateway.PluginWrite // of mail that was not filed
	known  bool
	joins  []gateway.Thread
}

func (m *memory) DomainByName(_ context.Context, _ gateway.Scope, name string) (*gateway.Domain, error) {
	if name != "x.test" {
		return nil, gateway.Errorf(gateway.NotFound, "no such domain")
	}
	return &gateway.Domain{ID: 1, Name: name, Status: gateway.DomainVerified}, nil
}

func (m *memory) Account(_ context.Context, _ gateway.Scope, _ gateway.DomainID, email string) (*gateway.Account, error) {
	for i, name := range []string{"ann@x.test", "ben@x.test"} {
		if strings.EqualFold(email, name) {
			return &gateway.Account{Domain: 1, ID: gateway.AccountID(i + 1), Email: name}, nil
		}
	}
	return nil, gateway.Errorf(gateway.NotFound, "no such account")
}

func (m *memory) Received(context.Context, gateway.Scope, gateway.ID) (gateway.Outcome, bool, error) {
	return gateway.Outcome{}, m.known, nil
}

// body is one of its bodies.
type body struct {
	bytes.Buffer
	id     uint64
	closed bool
}

func (b *body) Seal() (gateway.Blob, error) {
	return gateway.Blob{Domain: 1, ID: b.id, Size: int64(b.Len())}, nil
}

func (b *body) Close() error {
	b.closed = true
	return nil
}

func (m *memory) CreateBlob(context.Context, gateway.Scope, gateway.DomainID, int64) (gateway.BlobWriter, error) {
	b := &body{id: uint64(len(m.bodies) + 1)}
	m.bodies = append(m.bodies, b)
	return b, nil
}

func (m *memory) OpenBlob(_ context.Context, _ gateway.Scope, b gateway.Blob, off, _ int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.bodies[b.ID-1].Bytes()[off:])), nil
}

func (m *memory) Deliver(_ context.Context, _ gateway.Scope, f *gateway.Filing) error {
	m.filed = append(m.filed, f)
	return nil
}

func (m *memory) Candidates(context.Context, gateway.Scope, gateway.AccountID, *gateway.ThreadFacts) ([]gateway.Thread, error) {
	return m.joins, nil
}

func (m *memory) Conversation(context.Context, gateway.Scope, gateway.ID, int) (gateway.Thread, []*gateway.Message, error) {
	return gateway.Thread{}, nil, gateway.Errorf(gateway.NotFound, "no such thread")
}

func (m *memory) RemindPlugins(_ context.Context, _ gateway.Scope, e gateway.Effects) error {
	m.kept = append(m.kept, e.KV...)
	return nil
}

// verdicts answers by the account's number; 0 is the domain's. Each call
// remembers something.
type verdicts map[gateway.AccountID]gateway.Verdict

func (v verdicts) Inbound(_ context.Context, _ gateway.Scope, look *gateway.Look) (gateway.Verdict, error) {
	look.Effects.KV = append(look.Effects.KV, gateway.PluginWrite{Key: look.Mailbox})
	if got, ok := v[look.Account]; ok || look.Account == 0 {
		return got, nil
	}
	return gateway.Verdict{}, errors.New("the hook failed")
}

// Thread joins the second candidate, starts a new one without any, and has no
// opinion with one.
func (v verdicts) Thread(_ context.Context, _ gateway.Scope, look *gateway.Look) (gateway.ThreadChoice, error) {
	found, err := look.Candidates()
	switch len(found) {
	case 0:
		return gateway.ThreadChoice{New: true}, err
	case 1:
		return gateway.ThreadChoice{}, err
	}
	return gateway.ThreadChoice{Join: found[1].ID}, err
}

// plain finds nothing out.
type plain struct{}

func (plain) Check(context.Context, gateway.Envelope, io.Reader) (*Checked, error) {
	none := gateway.AuthResult{Result: "none"}
	return &Checked{Auth: gateway.AuthResults{SPF: none, DKIM: none, DMARC: none}, Field: []byte("Authentication-Results: mx.test; none\r\n")}, nil
}

const arriving = "From: p@y.test\r\nSubject: s\r\n\r\nhello"

func receive(t *testing.T, m *memory, h Hooks, env gateway.Envelope) error {
	t.Helper()
	return receiver(t, m, func(c *Config) { c.Hooks = h }).Receive(t.Context(), env, strings.NewReader(arriving))
}

func receiver(t *testing.T, m *memory, change func(*Config)) *Receiver {
	t.Helper()
	cfg := Config{
		Store: m, Checker: plain{}, System: gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}), Hostname: "mx.test", Limits: gateway.DefaultLimits(),
		Internal: func(d gateway.DomainID) gateway.Scope {
			return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
		},
		Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
	}
	change(&cfg)
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReceiveHooks(t *testing.T) {
	both := gateway.Envelope{Recipients: []string{"ann@x.test", "ben@x.test"}, RemoteIP: "192.0.2.1"}
	no := gateway.Verdict{Action: gateway.ActionReject, Text: "not wanted"}
	later := gateway.Verdict{Action: gateway.ActionTempfail, Text: "busy"}
	coded := gateway.Verdict{Action: gateway.ActionReject, Code: 554}
	gone := gateway.Verdict{Action: gateway.ActionDiscard}
	for _, tt := range []struct {
		name   string
		hooks  verdicts
		want   int // SMTP code; 250 for accepted
		text   string
		copies int
	}{
		{"both accept", verdicts{1: {}, 2: {}}, 250, "", 2},
		{"both reject", verdicts{1: no, 2: no}, 550, "not wanted", 0},
		{"one rejects, one says later", verdicts{1: no, 2: later}, 451, "busy", 0},
		{"both reject with a code", verdicts{1: coded, 2: no}, 554, "", 0},
		{"the domain rejects", verdicts{0: no, 1: {}, 2: {}}, 550, "not wanted", 0},
		{"the domain has the last word", verdicts{0: {Final: true}, 1: no, 2: no}, 250, "", 2},
		{"one rejects, one accepts", verdicts{1: no, 2: {}}, 250, "", 2},
		{"one discards, one accepts", verdicts{1: gone, 2: {}}, 250, "", 1},
		{"both discard", verdicts{1: gone, 2: gone}, 250, "", 0},
		{"a hook fails", verdicts{1: {}}, 451, "", 0},
	} {
		m := &memory{}
		err := receive(t, m, tt.hooks, both)
		code, text := 250, ""
		if err != nil {
			e := gateway.AsError(err)
			code, text = cmp.Or(e.Code, e.Kind.Reply().SMTP), e.Message
		}
		copies := 0
		for _, f := range m.filed {
			copies += len(f.Copies)
		}
		if code != tt.want || copies != tt.copies || tt.text != "" && text != tt.text {
			t.Errorf("%s: %d %q, %d copies, want %d %q, %d", tt.name, code, text, copies, tt.want, tt.text, tt.copies)
		}
		remembered := len(m.kept) // by a commit of its own, or with the message
		for _, f := range m.filed {
			remembered += len(f.Effects.KV)
		}
		if failed := tt.want == 451 && text != "busy"; failed != (remembered == 0) {
			t.Errorf("%s: %d writes were remembered", tt.name, remembered)
		}
	}
}

func TestReceiveVerdict(t *testing.T) {
	m := &memory{}
	v := gateway.Verdict{
		Folder: "News", Labels: []string{"bulk"}, Flags: gateway.Seen,
		Headers: []gateway.HeaderField{{Name: "X-Score", Value: "5"}, {Name: "X-Why", Value: "gr\u00fcn"}},
	}
	if err := receive(t, m, verdicts{1: v}, gateway.Envelope{Recipients: []string{"ann@x.test"}}); err != nil {
		t.Fatal(err)
	}
	c := m.filed[0].Copies[0]
	if c.Folder != "News" || !c.MakeFolder || !c.Flags.Has(gateway.Seen) || len(c.Labels) != 1 {
		t.Errorf("the copy: %+v", c)
	}
	if want := "X-Score: 5\r\nX-Why: =?utf-8?q?gr=C3=BCn?=\r\n"; !strings.HasSuffix(string(c.Prefix), want) {
		t.Errorf("prefix:\n%s", c.Prefix)
	}
}

func TestReceiveThread(t *testing.T) {
	one, two := gateway.Thread{ID: gateway.ID{1}}, gateway.Thread{ID: gateway.ID{2}}
	for _, tt := range []struct {
		joins []gateway.Thread
		want  gateway.ThreadChoice
		told  bool // which thread it starts
	}{
		{nil, gateway.ThreadChoice{New: true}, true},
		{[]gateway.Thread{one}, gateway.ThreadChoice{}, false},
		{[]gateway.Thread{one, two}, gateway.ThreadChoice{Join: two.ID}, false},
	} {
		m := &memory{joins: tt.joins}
		if err := receive(t, m, verdicts{1: {}}, gateway.Envelope{Recipients: []string{"ann@x.test"}}); err != nil {
			t.Fatal(err)
		}
		if c := m.filed[0].Copies[0]; !reflect.DeepEqual(c.Thread, tt.want) || c.NewThread.IsZero() == tt.told {
			t.Errorf("%v: %+v", tt.joins, c)
		}
	}
}

func TestReceive(t *testing.T) {
	for _, tt := range []struct {
		name       string
		recipients []string
		want       int
		copies     int
	}{
		{"one", []string{"ann@x.test"}, 250, 1},
		{"the same account twice", []string{"ann@x.test", "ANN+tag@x.test"}, 250, 1},
		{"unknown", []string{"nobody@x.test"}, 550, 0},
		{"a domain that is not ours", []string{"a@y.test"}, 550, 0},
		{"two domains", []string{"ann@x.test", "a@y.test"}, 501, 0},
		{"nobody", nil, 501, 0},
	} {
		m := &memory{}
		err := receive(t, m, nil, gateway.Envelope{Recipients: tt.recipients, RemoteIP: "192.0.2.1", Helo: "h.test"})
		code := 250
		if err != nil {
			code = gateway.KindOf(err).Reply().SMTP
		}
		if code != tt.want || (tt.copies > 0) != (len(m.filed) == 1) || tt.copies > 0 && len(m.filed[0].Copies) != tt.copies {
			t.Errorf("%s: %d %v, filed %v", tt.name, code, err, m.filed)
		}
	}
	m := &memory{}
	if err := receive(t, m, nil, gateway.Envelope{ReturnPath: "p@y.test", Recipients: []string{"ann@x.test"}, RemoteIP: "2001:db8::1", Helo: "h.test"}); err != nil {
		t.Fatal(err)
	}
	want := "Return-Path: <p@y.test>\r\nDelivered-To: ann@x.test\r\nAuthentication-Results: mx.test; none\r\nReceived: from h.test ([IPv6:2001:db8::1]) by mx.test\r\n\twith ESMTP id "
	if got := string(m.filed[0].Copies[0].Prefix); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "Sun, 01 Mar 2026 12:00:00 +0000\r\n") {
		t.Errorf("trace fields:\n%s", got)
	}
	m = &memory{known: true}
	if err := receive(t, m, nil, gateway.Envelope{Recipients: []string{"ann@x.test"}, Delivery: gateway.ID{1}}); err != nil || len(m.filed) != 0 {
		t.Errorf("a delivery that was received before: %v, filed %v", err, m.filed)
	}
}
