package domains

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/resolve"
)

// world plays store, DNS and reader for one domain, by a scripted clock.
type world struct {
	Store
	*testing.T
	d *Domains

	mu    sync.Mutex
	dom   gateway.Domain
	check gateway.DomainCheck
	rows  []string
	clock time.Time
	texts map[string][]string // by name
	mx    []string
	fails map[string]bool // by name, or "MX"
	asked int
	taken bool // somebody else has the lease
	fault error
}

const (
	us   = "mail.example"
	name = "a.test"
)

func newWorld(t *testing.T) *world {
	w := &world{T: t, clock: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC), fails: map[string]bool{}}
	w.dom = gateway.Domain{ID: 7, UUID: gateway.ID{1}, Name: name, Status: gateway.DomainNotStarted}
	w.texts, w.mx = map[string][]string{}, nil
	var err error
	w.d, err = New(Config{
		Store: w, Limits: gateway.DefaultLimits(), Hostname: us, System: keys.System(), Resolver: w, Reader: w,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Now: func() time.Time { return w.clock },
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) DomainByName(context.Context, gateway.Scope, string) (*gateway.Domain, error) {
	return w.Domain(w.Context(), gateway.Scope{}, 0)
}

func (w *world) Domain(context.Context, gateway.Scope, gateway.DomainID) (*gateway.Domain, error) {
	dom := w.dom
	return &dom, w.fault
}

func (w *world) SigningKeys(context.Context, gateway.Scope, gateway.DomainID) ([]gateway.SigningKey, error) {
	return []gateway.SigningKey{{Selector: "s", Algorithm: "ed25519", Public: make([]byte, ed25519.PublicKeySize)}}, nil
}

func (w *world) DomainCheck(context.Context, gateway.Scope, gateway.DomainID) (*gateway.DomainCheck, error) {
	c := w.check
	return &c, nil
}

func (w *world) CheckDomain(_ context.Context, _ gateway.Scope, _ gateway.DomainID, change func(*gateway.Domain, *gateway.DomainCheck) *gateway.Activity) (*gateway.Domain, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if row := change(&w.dom, &w.check); row != nil {
		w.rows = append(w.rows, row.Reason)
	}
	dom := w.dom
	return &dom, nil
}

func (w *world) DueDomains(context.Context, gateway.Scope, int) ([]gateway.DomainID, error) {
	if w.check.Due.IsZero() || w.check.Due.After(w.clock) {
		return nil, nil
	}
	return []gateway.DomainID{7}, nil
}

func (w *world) Lease(context.Context, gateway.Scope, string, time.Duration) (gateway.Lease, error) {
	if w.taken {
		return nil, gateway.Errorf(gateway.InvalidState, "somebody else does that")
	}
	return w, nil
}

// Renew and Release implement gateway.Lease.
func (w *world) Renew(context.Context) error   { return nil }
func (w *world) Release(context.Context) error { return nil }

func (w *world) TXT(_ context.Context, of string) resolve.Answer[string] {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked++
	switch all := w.texts[of]; {
	case w.fails[of]:
		return resolve.Answer[string]{Class: resolve.Temporary}
	case all == nil:
		return resolve.Answer[string]{Class: resolve.NXDomain}
	default:
		return resolve.Answer[string]{Class: resolve.Found, Records: slices.Clone(all)}
	}
}

func (w *world) MX(context.Context, string) (ans resolve.Answer[resolve.MX]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ans.Class = resolve.NoData; w.fails["MX"] {
		ans.Class = resolve.Temporary
	}
	for i, host := range w.mx {
		ans.Class, ans.Records = resolve.Found, append(ans.Records, resolve.MX{Preference: uint16(i), Host: host})
	}
	return ans
}

func (w *world) Addresses(context.Context, string) resolve.Answer[netip.Addr] {
	switch {
	case w.fails[us]:
		return resolve.Answer[netip.Addr]{Class: resolve.Temporary}
	case w.texts[us] == nil:
		return resolve.Answer[netip.Addr]{Class: resolve.NXDomain}
	}
	return resolve.Answer[netip.Addr]{Class: resolve.Found, Records: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}}
}

// IsSPF, SPF, IsDMARC and HasKey implement Reader; a record of this world that allows an
// address names it.
func (w *world) IsSPF(txt string) bool { return strings.HasPrefix(txt, "v=spf1") }

func (w *world) SPF(_ context.Context, ip netip.Addr, _, _ string) (string, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch txt := w.texts[name][0]; {
	case strings.Contains(txt, "tempfail"):
		return "temperror", ""
	case strings.Contains(txt, ip.String()):
		return "pass", ""
	}
	return "fail", "the client is not in the SPF record"
}

func (w *world) IsDMARC(txt string) (is, valid bool) {
	return strings.HasPrefix(txt, "v=DMARC1"), strings.Contains(txt, "p=none")
}

func (w *world) HasKey(txt string, _ gateway.SigningKey) error {
	if txt != "key" {
		return errors.New("it is another key")
	}
	return nil
}

// publish makes the domain's DNS what it should be.
func (w *world) publish() {
	w.texts = map[string][]string{
		"_postern." + name: {"other", ownership + w.dom.UUID.String()}, name: {"v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all", "other"},
		"s._domainkey." + name: {"key"}, "_dmarc." + name: {"v=DMARC1; p=none"}, us: {"has addresses"},
	}
	w.mx = []string{"backup.example", "MAIL.example."}
}

func (w *world) verify() gateway.DomainStatus {
	w.Helper()
	dom, err := w.d.Verify(w.Context(), keys.System(), name, false)
	if err != nil {
		w.Fatal(err)
	}
	return dom.Status
}

// pass lets time pass, with a look each minute.
func (w *world) pass(long time.Duration) {
	w.Helper()
	for end := w.clock.Add(long); w.clock.Before(end); {
		w.clock = w.clock.Add(time.Minute)
		if err := w.d.CheckDue(w.Context()); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) is(want gateway.DomainStatus, due time.Duration) {
	w.Helper()
	got := time.Duration(-1)
	if !w.check.Due.IsZero() {
		got = w.check.Due.Sub(w.clock)
	}
	if w.dom.Status != want || got > due || due >= 0 && got < 0 {
		w.Errorf("%s, due in %s; want %s within %s", w.dom.Status, got, want, due)
	}
}

const never = -1

// What is found of each record, for every way in which it can be wrong.
func TestLook(t *testing.T) {
	key, own, dmarc := "s._domainkey."+name, "_postern."+name, "_dmarc."+name
	for _, tt := range []struct {
		name, record string
		change       func(w *world)
		want         gateway.RecordStatus
		reason, seen string
	}{
		{"ownership", ofOwnership, func(*world) {}, gateway.RecordVerified, "", "[postern-domain=01000000-0000-0000-0000-000000000000]"},
		{"no ownership", ofOwnership, func(w *world) { delete(w.texts, own) }, gateway.RecordPending, notThere, "[]"},
		{"another's ownership", ofOwnership, func(w *world) { w.texts[own] = []string{"postern-domain=x"} }, gateway.RecordFailed, "something else", "[postern-domain=x]"},
		{"ownership, DNS fails", ofOwnership, func(w *world) { w.fails[own] = true }, gateway.RecordPending, dnsFails, "[]"},
		{"SPF", ofSPF, func(*world) {}, gateway.RecordVerified, "", "[v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all]"},
		{"no SPF among the texts", ofSPF, func(w *world) { w.texts[name] = []string{"other"} }, gateway.RecordPending, notThere, "[]"},
		{"two SPF", ofSPF, func(w *world) { w.texts[name] = []string{"v=spf1 a", "v=spf1 b"} }, gateway.RecordFailed, "several", "[v=spf1 a v=spf1 b]"},
		{"SPF for one address only", ofSPF, func(w *world) { w.texts[name] = []string{"v=spf1 ip4:192.0.2.1"} }, gateway.RecordFailed, "fail for 2001:db8::1, which is mail.example", "[v=spf1 ip4:192.0.2.1]"},
		{"SPF that can't be followed", ofSPF, func(w *world) { w.texts[name] = []string{"v=spf1 tempfail"} }, gateway.RecordPending, dnsFails, "[v=spf1 tempfail]"},
		{"our address unknown", ofSPF, func(w *world) { w.fails[us] = true }, gateway.RecordPending, dnsFails, "[v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all]"},
		{"no address of ours, mx", ofSPF, func(w *world) { delete(w.texts, us); w.texts[name] = []string{"v=spf1 +MX -all"} }, gateway.RecordVerified, "", "[v=spf1 +MX -all]"},
		{"no address of ours, no mx", ofSPF, func(w *world) { delete(w.texts, us); w.texts[name] = []string{"v=spf1 -mx"} }, gateway.RecordFailed, "has no address", "[v=spf1 -mx]"},
		{"DKIM", ofDKIM, func(*world) {}, gateway.RecordVerified, "", "[key]"},
		{"another key", ofDKIM, func(w *world) { w.texts[key] = []string{"x\x1b[31m\xff"} }, gateway.RecordFailed, "another key", "[x\ufffd[31m\ufffd]"},
		{"two keys", ofDKIM, func(w *world) { w.texts[key] = []string{"key", "key"} }, gateway.RecordFailed, "several", "[key key]"},
		{"DMARC", ofDMARC, func(*world) {}, gateway.RecordVerified, "", "[v=DMARC1; p=none]"},
		{"DMARC without a policy", ofDMARC, func(w *world) { w.texts[dmarc] = []string{"v=DMARC1"} }, gateway.RecordFailed, "no valid p=", "[v=DMARC1]"},
		{"two DMARC", ofDMARC, func(w *world) { w.texts[dmarc] = []string{"v=DMARC1; p=none", "v=DMARC1; p=none"} }, gateway.RecordFailed, "several", "[v=DMARC1; p=none v=DMARC1; p=none]"},
		{"no DMARC", ofDMARC, func(w *world) { w.texts[dmarc] = []string{"x"} }, gateway.RecordFailed, "no DMARC record", "[x]"},
		{"MX", ofMX, func(*world) {}, gateway.RecordVerified, "", "[0 backup.example 1 MAIL.example.]"},
		{"no MX", ofMX, func(w *world) { w.mx = nil }, gateway.RecordPending, notThere, "[]"},
		{"another MX", ofMX, func(w *world) { w.mx = []string{"mx.example", "xmail.example"} }, gateway.RecordFailed, "none of them is mail.example", "[0 mx.example 1 xmail.example]"},
		{"MX, DNS fails", ofMX, func(w *world) { w.mx, w.fails["MX"] = nil, true }, gateway.RecordPending, dnsFails, "[]"},
		{"many of them, and long", ofOwnership, func(w *world) { w.texts[own] = slices.Repeat([]string{strings.Repeat("y", 5000)}, 50) }, gateway.RecordFailed, "something else", fmt.Sprint(slices.Repeat([]string{strings.Repeat("y", mostSeenBytes)}, mostSeen))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			w.publish()
			tt.change(w)
			w.verify()
			records, err := w.d.Records(t.Context(), keys.System(), &w.dom)
			if err != nil || len(records) != 5 {
				t.Fatalf("%v, %v", records, err)
			}
			for _, r := range records {
				switch {
				case r.Record != tt.record:
				case r.Status != tt.want || !strings.Contains(r.Reason, tt.reason) || tt.reason == "" && r.Reason != "" || fmt.Sprint(r.Seen) != tt.seen:
					t.Errorf("%s, %q, seen %v; want %s, %q, %s", r.Status, r.Reason, r.Seen, tt.want, tt.reason, tt.seen)
				}
			}
		})
	}
}

// A domain's life, by the clock: it waits, gives up, is asked again, becomes verified,
// loses its records for a while, and for too long.
func TestLife(t *testing.T) {
	w := newWorld(t)
	w.pass(time.Hour)
	w.is(gateway.DomainNotStarted, never)
	if w.asked > 0 {
		t.Errorf("%d questions before anybody asked", w.asked)
	}
	if got := w.verify(); got != gateway.DomainPending {
		t.Errorf("without records: %s", got)
	}
	w.asked = 0
	w.pass(47 * time.Hour)
	w.is(gateway.DomainPending, pendingEvery)
	if looks := w.asked / 4; looks < 550 || looks > 565 {
		t.Errorf("%d looks in 47 hours, want one in 5 minutes", looks)
	}
	w.pass(2 * time.Hour)
	w.is(gateway.DomainFailed, never)
	w.publish()
	w.pass(time.Hour)
	w.is(gateway.DomainFailed, never) // nobody asks
	w.mx = nil
	if got := w.verify(); got != gateway.DomainPartial || !w.dom.Sends() || w.dom.Receives() {
		t.Errorf("without an MX: %s", got)
	}
	w.publish()
	w.pass(6 * time.Minute)
	w.is(gateway.DomainVerified, sureEvery)
	w.asked = 0
	w.pass(10 * sureEvery)
	if looks := w.asked / 4; looks != 10 {
		t.Errorf("%d looks in 10 days", looks)
	}
	delete(w.texts, "_postern."+name)
	w.pass(3 * sureEvery)
	w.is(gateway.DomainVerified, sureEvery)
	w.publish()
	w.pass(sureEvery) // it is back in time
	delete(w.texts, "_postern."+name)
	w.pass(3 * sureEvery)
	w.is(gateway.DomainVerified, sureEvery)
	w.verify() // asking makes it no worse
	w.is(gateway.DomainVerified, sureEvery)
	w.pass(sureEvery)
	w.is(gateway.DomainFailed, never)
	want := []string{
		"pending, before not_started, by its DNS records", "failed, before pending, by its DNS records", "partially_verified, before failed, by its DNS records",
		"verified, before partially_verified, by its DNS records", "failed, before verified, by its DNS records",
	}
	if !slices.Equal(w.rows, want) {
		t.Errorf("rows %q, want %q", w.rows, want)
	}
}

// A domain whose MX goes elsewhere may still send; one whose DNS fails stays what it is,
// for however long.
func TestLosesOnlyWhatIsGone(t *testing.T) {
	w := newWorld(t)
	w.publish()
	w.verify()
	for _, at := range []string{"_postern." + name, "s._domainkey." + name, "MX"} {
		w.fails[at] = true
	}
	w.mx = nil
	w.pass(10 * sureEvery)
	w.is(gateway.DomainVerified, sureEvery)
	clear(w.fails)
	w.mx = []string{"mx.elsewhere.example"}
	w.pass(5 * sureEvery)
	w.is(gateway.DomainPartial, sureEvery)
	w.fails["_postern."+name] = true
	w.pass(5 * sureEvery)
	w.is(gateway.DomainPartial, sureEvery)
	clear(w.fails)
	delete(w.texts, "s._domainkey."+name)
	w.pass(5 * sureEvery)
	w.is(gateway.DomainFailed, never)
}

// A domain that is certainly not its tenant's any more loses what it may, whatever else
// DNS does not say.
func TestLosesDespiteFailures(t *testing.T) {
	w := newWorld(t)
	w.publish()
	w.verify()
	delete(w.texts, "_postern."+name)
	w.mx, w.fails["MX"], w.fails["s._domainkey."+name] = nil, true, true
	w.pass(5 * sureEvery)
	w.is(gateway.DomainFailed, never)
}

// What an operator says stands: it is shown what is there, and nothing follows.
func TestLocalStands(t *testing.T) {
	w := newWorld(t)
	w.verify()
	if _, err := w.d.Verify(t.Context(), keys.Internal(7), name, true); gateway.KindOf(err) != gateway.Restricted {
		t.Errorf("by a domain: %v", err)
	}
	if dom, err := w.d.Verify(t.Context(), keys.System(), name, true); err != nil || dom.Status != gateway.DomainVerified || !dom.Local {
		t.Errorf("%+v, %v", dom, err)
	}
	w.is(gateway.DomainVerified, never)
	w.verify()
	w.is(gateway.DomainVerified, never)
	if len(w.check.Records) != 5 || w.check.Records[0].Status != gateway.RecordPending {
		t.Errorf("%+v", w.check)
	}
	if want := "verified, before pending, by the operator"; w.rows[len(w.rows)-1] != want {
		t.Errorf("rows %q", w.rows)
	}
}

// Without somebody to ask nothing changes, and who asks is told. A round ends with what
// fails, and isn't begun while another process does it.
func TestCheckDue(t *testing.T) {
	w := newWorld(t)
	w.verify()
	w.clock, w.asked = w.clock.Add(time.Hour), 0
	w.taken = true
	if err := w.d.CheckDue(t.Context()); err != nil || w.asked > 0 {
		t.Errorf("with the lease elsewhere: %v, %d questions", err, w.asked)
	}
	w.taken, w.fault = false, errors.New("no disk")
	if err := w.d.CheckDue(t.Context()); !errors.Is(err, w.fault) {
		t.Errorf("%v", err)
	}
	w.fault = gateway.Errorf(gateway.NotFound, "deleted")
	if err := w.d.CheckDue(t.Context()); err != nil {
		t.Errorf("of a deleted domain: %v", err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	w.fault = nil
	if err := w.d.CheckDue(ctx); !errors.Is(err, context.Canceled) || w.check.Due.After(w.clock) {
		t.Errorf("cut off: %v, %+v", err, w.check)
	}
	w.d.cfg.Resolver = nil
	before := w.dom.Status
	if _, err := w.d.Verify(t.Context(), keys.System(), name, false); gateway.KindOf(err) != gateway.InvalidState || w.dom.Status != before {
		t.Errorf("without a resolver: %v, %s", err, w.dom.Status)
	}
	if err := w.d.Run(ctx); err != nil {
		t.Error(err)
	}
}
