package inbound

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// memory is a Store of one domain with two accounts.
type memory struct {
	body  bytes.Buffer
	filed []*gateway.Filing
	known bool
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

type body struct{ *bytes.Buffer }

func (b body) Seal() (gateway.Blob, error) {
	return gateway.Blob{Domain: 1, ID: 1, Size: int64(b.Len())}, nil
}
func (b body) Close() error { return nil }

func (m *memory) CreateBlob(context.Context, gateway.Scope, gateway.DomainID, int64) (gateway.BlobWriter, error) {
	m.body.Reset()
	return body{&m.body}, nil
}

func (m *memory) OpenBlob(context.Context, gateway.Scope, gateway.Blob, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(m.body.Bytes())), nil
}

func (m *memory) Deliver(_ context.Context, _ gateway.Scope, f *gateway.Filing) error {
	m.filed = append(m.filed, f)
	return nil
}

// verdicts answers by the account's number.
type verdicts map[gateway.AccountID]gateway.Verdict

func (v verdicts) Inbound(_ context.Context, _ gateway.Scope, _ *gateway.Message, c *gateway.Copy) (gateway.Verdict, error) {
	if got, ok := v[c.Account]; ok {
		return got, nil
	}
	return gateway.Verdict{}, errors.New("the hook failed")
}

func receive(t *testing.T, m *memory, h Hooks, env gateway.Envelope) error {
	t.Helper()
	r, err := New(Config{
		Store: m, Hooks: h, System: gateway.NewScope(gateway.LevelInstance, 0, 0, gateway.ID{}), Hostname: "mx.test", Limits: gateway.DefaultLimits(),
		Internal: func(d gateway.DomainID) gateway.Scope {
			return gateway.NewScope(gateway.LevelDomain, d, 0, gateway.ID{})
		},
		Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return r.Receive(t.Context(), env, strings.NewReader("From: p@y.test\r\nSubject: s\r\n\r\nhello"))
}

func TestReceiveHooks(t *testing.T) {
	both := gateway.Envelope{Recipients: []string{"ann@x.test", "ben@x.test"}, RemoteIP: "192.0.2.1"}
	no := gateway.Verdict{Action: gateway.ActionReject, Text: "not wanted"}
	later := gateway.Verdict{Action: gateway.ActionTempfail, Text: "busy"}
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
		{"one rejects, one says later", verdicts{1: no, 2: later}, 452, "busy", 0},
		{"one rejects, one accepts", verdicts{1: no, 2: {}}, 250, "", 2},
		{"one discards, one accepts", verdicts{1: gone, 2: {}}, 250, "", 1},
		{"both discard", verdicts{1: gone, 2: gone}, 250, "", 0},
		{"a hook fails", verdicts{1: {}}, 451, "", 0},
	} {
		m := &memory{}
		err := receive(t, m, tt.hooks, both)
		code, text := 250, ""
		if err != nil {
			code, text = gateway.KindOf(err).Reply().SMTP, gateway.AsError(err).Message
		}
		copies := 0
		for _, f := range m.filed {
			copies += len(f.Copies)
		}
		if code != tt.want || copies != tt.copies || tt.text != "" && text != tt.text {
			t.Errorf("%s: %d %q, %d copies, want %d %q, %d", tt.name, code, text, copies, tt.want, tt.text, tt.copies)
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
	want := "Return-Path: <p@y.test>\r\nDelivered-To: ann@x.test\r\nReceived: from h.test ([IPv6:2001:db8::1]) by mx.test\r\n\twith ESMTP id "
	if got := string(m.filed[0].Copies[0].Prefix); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "dmarc=none reason=\"not checked\"\r\n") {
		t.Errorf("trace fields:\n%s", got)
	}
	m = &memory{known: true}
	if err := receive(t, m, nil, gateway.Envelope{Recipients: []string{"ann@x.test"}, Delivery: gateway.ID{1}}); err != nil || len(m.filed) != 0 {
		t.Errorf("a delivery that was received before: %v, filed %v", err, m.filed)
	}
}
