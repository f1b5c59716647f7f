package mailauth

import (
	"context"
	"strings"

	"github.com/centerleap/postern/gateway/resolve"
)

// walk is a DNS Tree Walk, RFC 9989 section 4.10: the records between a domain and its
// top-level domain, the longest name first.
type walk struct {
	start string
	found []placed
	class resolve.Class // that of a question that failed, which ended the walk; else Found
}

// placed is a record and whose it is.
type placed struct {
	domain string
	record
}

// steps are the domains that a walk asks for: at most eight, RFC 9989 section 4.10.
func steps(domain string) []string {
	labels := strings.Split(domain, ".")
	out := []string{domain}
	for n := min(len(labels)-1, 7); n > 0; n-- {
		out = append(out, strings.Join(labels[len(labels)-n:], "."))
	}
	return out
}

// walkFrom asks step by step, until psd= ends it or a question fails.
func (c *Checker) walkFrom(ctx context.Context, domain string) walk {
	w := walk{start: domain, class: resolve.Found}
	for _, at := range steps(domain) {
		r, found, class := c.recordOf(ctx, at)
		if class != resolve.Found {
			w.class = class
			return w
		}
		if found {
			w.found = append(w.found, placed{at, r})
			if r.psd != 'u' {
				return w
			}
		}
	}
	return w
}

// recordOf asks for the record of one domain. Several are none. class is Found unless
// the question failed.
func (c *Checker) recordOf(ctx context.Context, domain string) (r record, found bool, class resolve.Class) {
	ans := c.cfg.Resolver.TXT(ctx, "_dmarc."+domain)
	if ans.Class != resolve.Found {
		if ans.Class.Empty() {
			return r, false, resolve.Found
		}
		return r, false, ans.Class
	}
	n := 0
	for _, txt := range ans.Records {
		if one, ok := parseRecord(txt); ok {
			r = one
			n++
		}
	}
	return r, n == 1, resolve.Found
}

// organization is the Organizational Domain of where the walk started, RFC 9989 section
// 4.10.2.
func (w walk) organization() string {
	for _, p := range w.found {
		switch {
		case p.psd == 'n':
			return p.domain
		case p.psd == 'y' && p.domain != w.start:
			return below(w.start, p.domain)
		}
	}
	if n := len(w.found); n > 0 {
		return w.found[n-1].domain
	}
	return w.start
}

// below is the domain one label below parent on the way to domain.
func below(domain, parent string) string {
	labels := strings.Split(strings.TrimSuffix(domain, "."+parent), ".")
	return labels[len(labels)-1] + "." + parent
}

// policy is the record that applies to where the walk started, RFC 9989 section 4.10.1:
// its own, that of its organization, or that of the public suffix above.
func (w walk) policy() (placed, bool) {
	org := w.organization()
	for _, p := range w.found {
		if p.domain == w.start || p.domain == org || p.psd == 'y' {
			return p, true
		}
	}
	return placed{}, false
}
