package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Every Kind has a row, and its columns agree on whether trying again helps.
func TestKinds(t *testing.T) {
	temporary := map[string]bool{"SERVERBUG": true, "INUSE": true, "LIMIT": true, "UNAVAILABLE": true}
	names := make(map[string]Kind)
	for _, k := range Kinds() {
		r := k.Reply()
		if r.Name == "" || r.Status < 400 || r.SMTP < 400 || r.IMAP == "" {
			t.Errorf("kind %d has no full row: %+v", k, r)
		}
		if other, taken := names[r.Name]; taken {
			t.Errorf("%s is the name of %d and %d", r.Name, other, k)
		}
		names[r.Name] = k
		if r.Enhanced[0] != r.SMTP/100 {
			t.Errorf("%s: SMTP %d, enhanced %v", r.Name, r.SMTP, r.Enhanced)
		}
		again := r.Status >= 500 || r.Status == 429 || k == IdempotencyRunning
		if again == r.Permanent() || temporary[r.IMAP] == r.Permanent() {
			t.Errorf("%s: HTTP %d, SMTP %d and IMAP %s disagree on trying again", r.Name, r.Status, r.SMTP, r.IMAP)
		}
	}
	if Kind(200).Reply() != Internal.Reply() {
		t.Error("an unknown kind is not internal")
	}
}

func TestKindOf(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want Kind
	}{
		{"plain error", io.ErrUnexpectedEOF, Internal},
		{"an Error", Errorf(NotFound, "x"), NotFound},
		{"wrapped", fmt.Errorf("outbound/store: %w", Errorf(TooLarge, "x")), TooLarge},
		{"with a cause", Errorf(TooLarge, "x: %w", io.EOF), TooLarge},
	} {
		if got := KindOf(tt.err); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if !errors.Is(Errorf(TooLarge, "x: %w", io.EOF), io.EOF) {
		t.Error("the cause is lost")
	}
	if e := AsError(io.EOF); strings.Contains(e.Message, "EOF") {
		t.Errorf("a client sees %q", e.Message)
	}
}

// Each limit has its unit, source and field, and the numbers are the guide's.
func TestLimitTable(t *testing.T) {
	seen := make(map[string]bool)
	var zero Limits
	for _, row := range LimitTable {
		if seen[row.Name] || row.Unit == "" || row.Source == "" || row.Default <= 0 || row.Field == nil {
			t.Errorf("row %q is not whole, or stands twice", row.Name)
		}
		seen[row.Name] = true
		if *row.Field(&zero)++; *row.Field(&zero) != 1 {
			t.Errorf("row %q shares its field", row.Name)
		}
	}
	l := DefaultLimits()
	if l.KeyMessages != 1000 || l.Recipients != 50 || l.Attachments != 10 || l.AttachmentBytes != 25<<20 || l.Batch != 100 {
		t.Errorf("the guide's numbers: %+v", l)
	}
}

// A secret does not print, however it is asked to.
func TestSecret(t *testing.T) {
	s := Secret("bm_live_0123456789")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", s, "in", struct{ K Secret }{s})
	j, err := json.Marshal(map[string]any{"k": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), fmt.Sprintf("%v", struct{ K Secret }{s}), string(j), log.String()} {
		if strings.Contains(out, "0123") {
			t.Errorf("the secret shows in %s", out)
		}
	}
}

func TestID(t *testing.T) {
	id := ID{0x01, 0xff, 15: 0xab}
	for _, s := range []string{id.String(), strings.ToUpper(id.String())} {
		if got, err := ParseID(s); err != nil || got != id {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "x", id.String() + "0", strings.Replace(id.String(), "-", "0", 1), strings.Replace(id.String(), "f", "g", 1)} {
		if _, err := ParseID(s); err == nil {
			t.Errorf("%q is taken for an id", s)
		}
	}
}

func TestScope(t *testing.T) {
	all, dom, acc := NewScope(LevelInstance, 0, 0, ID{}), NewScope(LevelDomain, 1, 0, ID{}), NewScope(LevelAccount, 1, 2, ID{})
	for _, tt := range []struct {
		s       Scope
		d       DomainID
		a       AccountID
		domain  bool
		touches bool
		covers  bool
	}{
		{all, 1, 2, true, true, true},
		{dom, 1, 2, true, true, true},
		{acc, 1, 2, false, true, true},
		{dom, 2, 2, false, false, false},
		{acc, 1, 3, false, true, false},
		{acc, 2, 2, false, false, false},
		{Scope{}, 0, 0, false, false, false},
		{dom, 0, 0, false, false, false},
		{acc, 1, 0, false, true, false},
	} {
		if tt.s.CoversDomain(tt.d) != tt.domain || tt.s.TouchesDomain(tt.d) != tt.touches || tt.s.Covers(tt.d, tt.a) != tt.covers {
			t.Errorf("%+v on %d/%d: %v %v %v", tt.s, tt.d, tt.a, tt.s.CoversDomain(tt.d), tt.s.TouchesDomain(tt.d), tt.s.Covers(tt.d, tt.a))
		}
	}
}

func TestUsageWindow(t *testing.T) {
	at := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	u := Usage{Opened: at, Messages: 5}
	if u.At(at.Add(Window-time.Millisecond)).Messages != 5 || u.At(at.Add(Window)).Messages != 0 {
		t.Error("the window does not end after its hour")
	}
}
