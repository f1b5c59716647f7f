package mailauth

import (
	"strings"

	"github.com/centerleap/postern/gateway"
)

// Disposition is what a domain's owner wants done with mail that fails.
type Disposition = gateway.Disposition

// The dispositions, as short as records have them.
const (
	DoNothing  = gateway.DispositionNone
	Quarantine = gateway.DispositionQuarantine
	Reject     = gateway.DispositionReject
)

// weight orders dispositions.
func weight(d Disposition) int {
	switch d {
	case Reject:
		return 2
	case Quarantine:
		return 1
	}
	return 0
}

// lowered is what test mode makes of a disposition, RFC 9989 section 4.7: one less.
func lowered(d Disposition) Disposition {
	if d == Reject {
		return Quarantine
	}
	return DoNothing
}

// record is a DMARC Policy Record. Tags that are absent are as their defaults say; a
// disposition that is absent is empty.
type record struct {
	p, sp, np             Disposition
	strictDKIM, strictSPF bool
	psd                   byte // 'y', 'n' or 'u'
	test                  bool
	broken                bool // p is no disposition, or sp or np are something else
	wantsReports          bool // rua names somebody
}

// parseRecord reads a record by RFC 9989 section 4.8. It is false for what is none: v=
// has to come first and be exactly DMARC1. What is wrong behind that counts as absent,
// and of a tag that stands twice the first counts.
func parseRecord(txt string) (r record, ok bool) {
	r.psd = 'u'
	head, rest, _ := strings.Cut(txt, ";")
	name, version, _ := strings.Cut(head, "=")
	if lower(wsp(name)) != "v" || wsp(version) != "DMARC1" || strings.TrimLeft(name, " \t") != name {
		return record{}, false
	}
	seen := make(map[string]bool)
	for item := range strings.SplitSeq(rest, ";") {
		name, value, found := strings.Cut(item, "=")
		name, value = lower(wsp(name)), wsp(value)
		if !found || seen[name] || len(seen) == maxTags {
			continue
		}
		seen[name] = true
		r.set(name, value)
	}
	if r.p == "" {
		r.broken = true
	}
	return r, true
}

func (r *record) set(name, value string) {
	switch name {
	case "p":
		r.p = r.disposition(value)
	case "sp":
		r.sp = r.disposition(value)
	case "np":
		r.np = r.disposition(value)
	case "adkim":
		r.strictDKIM = lower(value) == "s"
	case "aspf":
		r.strictSPF = lower(value) == "s"
	case "t":
		r.test = lower(value) == "y"
	case "psd":
		if v := lower(value); v == "y" || v == "n" {
			r.psd = v[0]
		}
	case "rua":
		r.wantsReports = namesSomebody(value)
	}
}

func (r *record) disposition(v string) Disposition {
	switch d := Disposition(lower(v)); d {
	case DoNothing, Quarantine, Reject:
		return d
	}
	r.broken = true
	return ""
}

// namesSomebody reports whether a list of URIs has one with a scheme and something
// behind it.
func namesSomebody(list string) bool {
	for uri := range strings.SplitSeq(list, ",") {
		scheme, rest, found := strings.Cut(wsp(uri), ":")
		if found && rest != "" && isTagName(strings.NewReplacer("+", "", "-", "", ".", "").Replace(scheme)) && !strings.ContainsAny(rest, " \t") {
			return true
		}
	}
	return false
}

func wsp(s string) string { return strings.Trim(s, " \t") }
