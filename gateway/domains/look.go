package domains

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/resolve"
)

// Resolver is the part of DNS that looking at a domain's records needs;
// *resolve.Resolver is one.
type Resolver interface {
	TXT(ctx context.Context, name string) resolve.Answer[string]
	MX(ctx context.Context, name string) resolve.Answer[resolve.MX]
	Addresses(ctx context.Context, name string) resolve.Answer[netip.Addr]
}

// Reader reads what is published as those do who get the domain's mail; the room that
// checks arriving mail does.
type Reader interface {
	IsSPF(txt string) bool
	// SPF says whether a host with that address may send for a domain: a result of RFC
	// 7208 section 2.6, and why.
	SPF(ctx context.Context, ip netip.Addr, host, domain string) (result, reason string)
	// IsDMARC reports whether a text is a policy record, and whether it is valid.
	IsDMARC(txt string) (is, valid bool)
	// HasKey says why a text is not the record of a key of ours; nil if it is.
	HasKey(txt string, k gateway.SigningKey) error
}

const (
	// lookTime bounds looking at one domain; ours: half of what a request has.
	lookTime = 30 * time.Second
	// lookAge is how old an answer of DNS may be; ours. Who asks for a look has just
	// changed something; who asks again and again shall not make us ask DNS as often.
	lookAge = 10 * time.Second
	// mostSeen and mostSeenBytes bound what is kept of what is there; ours.
	mostSeen      = 5
	mostSeenBytes = 1024
	// mostAddresses is how many of our own addresses SPF is asked about; ours.
	mostAddresses = 4
)

// look asks DNS for each record, all beside each other.
func (d *Domains) look(ctx context.Context, dom *gateway.Domain, records []Record) []gateway.RecordCheck {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	ctx = resolve.Limit(resolve.NoOlder(ctx, lookAge), d.cfg.Limits.DNSQuestions)
	out := make([]gateway.RecordCheck, len(records))
	var wait sync.WaitGroup
	for i, r := range records {
		wait.Go(func() {
			c := d.lookAt(ctx, dom, r)
			c.Record, c.Name = r.Record, r.Name
			out[i] = c
		})
	}
	wait.Wait()
	return out
}

func (d *Domains) lookAt(ctx context.Context, dom *gateway.Domain, r Record) gateway.RecordCheck {
	if r.Record == ofMX {
		return d.lookAtMX(ctx, r)
	}
	ans := d.cfg.Resolver.TXT(ctx, r.Name)
	if c, ok := nothing(ans.Class); !ok {
		return c
	}
	switch r.Record {
	case ofSPF:
		return d.judgeSPF(ctx, dom, ans.Records)
	case ofDKIM:
		return d.judgeKey(r.key, ans.Records)
	case ofDMARC:
		return d.judgeDMARC(ans.Records)
	}
	for _, txt := range ans.Records {
		if strings.TrimSpace(txt) == r.Value {
			return verified(txt)
		}
	}
	return failed("it says something else", ans.Records...)
}

// nothing is what a record is that was not found; false if one was. That DNS fails says
// nothing about the record, so it waits as well.
func nothing(c resolve.Class) (gateway.RecordCheck, bool) {
	switch {
	case c == resolve.Found:
		return gateway.RecordCheck{}, true
	case c.Empty():
		return gateway.RecordCheck{Status: gateway.RecordPending, Reason: notThere}, false
	}
	return gateway.RecordCheck{Status: gateway.RecordPending, Reason: dnsFails}, false
}

// Reasons that are more than words: what is not there fails a domain in the end, what
// could not be asked doesn't.
const (
	notThere = "there is no such record"
	dnsFails = "DNS fails for now"
)

func verified(seen ...string) gateway.RecordCheck {
	return gateway.RecordCheck{Status: gateway.RecordVerified, Seen: shown(seen)}
}

func failed(reason string, seen ...string) gateway.RecordCheck {
	return gateway.RecordCheck{Status: gateway.RecordFailed, Reason: reason, Seen: shown(seen)}
}

// shown is what somebody published, fit for a page and a terminal.
func shown(all []string) (out []string) {
	for _, s := range all[:min(len(all), mostSeen)] {
		s = strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return unicode.ReplacementChar
		}, strings.ToValidUTF8(s[:min(len(s), mostSeenBytes)], string(unicode.ReplacementChar)))
		out = append(out, s)
	}
	return out
}

func (d *Domains) lookAtMX(ctx context.Context, r Record) gateway.RecordCheck {
	ans := d.cfg.Resolver.MX(ctx, r.Name)
	if c, ok := nothing(ans.Class); !ok {
		return c
	}
	var seen []string
	ours := false
	for _, mx := range ans.Records {
		seen = append(seen, fmt.Sprintf("%d %s", mx.Preference, mx.Host))
		ours = ours || strings.EqualFold(strings.TrimSuffix(mx.Host, "."), d.cfg.Hostname)
	}
	if !ours {
		return failed("none of them is "+d.cfg.Hostname, seen...)
	}
	return verified(seen...)
}

// judgeSPF asks whether each address of ours may send for the domain, whatever the words
// are that allow it. Without addresses a record that allows the domain's mail hosts does,
// since we are to be one.
func (d *Domains) judgeSPF(ctx context.Context, dom *gateway.Domain, texts []string) gateway.RecordCheck {
	var records []string
	for _, txt := range texts {
		if d.cfg.Reader.IsSPF(txt) {
			records = append(records, txt)
		}
	}
	switch len(records) {
	case 0:
		return gateway.RecordCheck{Status: gateway.RecordPending, Reason: notThere}
	case 1:
	default:
		return failed("there are several, which counts as an error", records...)
	}
	ours := d.cfg.Resolver.Addresses(ctx, d.cfg.Hostname)
	if ours.Class.Empty() {
		if allowsMX(records[0]) {
			return verified(records...)
		}
		return failed(d.cfg.Hostname+" has no address, and mx is not in it", records...)
	} else if ours.Class != resolve.Found {
		return gateway.RecordCheck{Status: gateway.RecordPending, Reason: dnsFails, Seen: shown(records)}
	}
	for _, ip := range ours.Records[:min(len(ours.Records), mostAddresses)] {
		switch result, reason := d.cfg.Reader.SPF(ctx, ip, d.cfg.Hostname, dom.Name); result {
		case "pass":
		case "temperror":
			return gateway.RecordCheck{Status: gateway.RecordPending, Reason: dnsFails, Seen: shown(records)}
		default:
			return failed(strings.TrimSpace(fmt.Sprintf("%s for %s, which is %s. %s", result, ip, d.cfg.Hostname, reason)), records...)
		}
	}
	return verified(records...)
}

// allowsMX reports whether a term of an SPF record lets the domain's mail hosts send.
func allowsMX(txt string) bool {
	for term := range strings.FieldsSeq(strings.ToLower(txt)) {
		if term == "mx" || term == "+mx" {
			return true
		}
	}
	return false
}

// judgeKey wants one record: of several nobody knows which one counts, RFC 6376 section
// 3.6.2.2.
func (d *Domains) judgeKey(k gateway.SigningKey, texts []string) gateway.RecordCheck {
	if len(texts) != 1 {
		return failed("there are several", texts...)
	}
	if err := d.cfg.Reader.HasKey(texts[0], k); err != nil {
		return failed(err.Error(), texts...)
	}
	return verified(texts...)
}

// judgeDMARC takes any policy: which one is for the domain's owner to say.
func (d *Domains) judgeDMARC(texts []string) gateway.RecordCheck {
	var records []string
	good := false
	for _, txt := range texts {
		if is, valid := d.cfg.Reader.IsDMARC(txt); is {
			records, good = append(records, txt), valid
		}
	}
	switch {
	case len(records) == 0:
		return failed("it is no DMARC record", texts...)
	case len(records) > 1:
		return failed("there are several, which count as none", records...)
	case !good:
		return failed("it has no valid p=", records...)
	}
	return verified(records...)
}
