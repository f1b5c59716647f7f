package courier

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Policy is an MTA-STS policy, RFC 8461 section 3.2: what a domain says about the TLS of
// its mail hosts.
type Policy struct {
	ID      string    // of the record that it was fetched for
	Mode    string    // enforce, testing or none
	Hosts   []string  // names, or *.name for one more label
	Fetched time.Time // when
	MaxAge  time.Duration
}

// The modes.
const (
	ModeEnforce = "enforce"
	ModeTesting = "testing"
	ModeNone    = "none"
)

// valid reports whether it still counts.
func (p Policy) valid(now time.Time) bool { return now.Before(p.Fetched.Add(p.MaxAge)) }

// match reports whether the policy names a host. The asterisk stands for one label:
// RFC 8461 section 4.1.
func (p Policy) match(host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(p.Hosts, func(pattern string) bool {
		if wild, ok := strings.CutPrefix(pattern, "*."); ok {
			return parent == wild
		}
		return pattern == host
	})
}

// recordID reads the id out of the TXT records of _mta-sts.<domain>. RFC 8461 section
// 3.1: other records may stand beside it, but not a second one.
func recordID(records []string) (id string, ok bool) {
	for _, r := range records {
		version, fields, found := strings.Cut(r, ";")
		if !found || strings.TrimRight(version, " \t") != "v=STSv1" {
			continue
		}
		if ok {
			return "", false
		}
		if id, ok = fieldID(fields); !ok {
			return "", false
		}
	}
	return id, ok
}

func fieldID(fields string) (id string, ok bool) {
	for field := range strings.SplitSeq(fields, ";") {
		field = strings.Trim(field, " \t")
		name, value, pair := strings.Cut(field, "=")
		switch {
		case field == "":
		case !pair || name == "" || value == "":
			return "", false
		case name == "id" && id == "":
			id = value
		}
	}
	return id, len(id) > 0 && len(id) <= 32 && strings.Trim(id, letters+digits) == ""
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
	// maxPolicyAge is the most that max_age says, RFC 8461 section 3.2: about a year.
	maxPolicyAge = 31557600 * time.Second
)

// parsePolicy reads a policy. RFC 8461 section 3.2: unknown fields are passed over, and of
// a field that stands twice the first counts, except for mx.
func parsePolicy(text string) (p Policy, ok bool) {
	seen := make(map[string]string)
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(strings.TrimSuffix(line, "\r"), " \t")
		if line == "" {
			continue
		}
		name, value, pair := strings.Cut(line, ":")
		if !pair || name == "" {
			return Policy{}, false
		}
		value = strings.TrimLeft(value, " \t")
		if name == "mx" {
			host, fine := policyHost(value)
			if !fine {
				return Policy{}, false
			}
			p.Hosts = append(p.Hosts, host)
		} else if _, twice := seen[name]; !twice {
			seen[name] = value
		}
	}
	p.Mode = seen["mode"]
	age, err := strconv.ParseUint(seen["max_age"], 10, 32)
	p.MaxAge = min(time.Duration(age)*time.Second, maxPolicyAge)
	switch {
	case seen["version"] != "STSv1", err != nil || len(seen["max_age"]) > 10:
		return Policy{}, false
	case p.Mode == ModeNone:
		return p, true
	}
	return p, (p.Mode == ModeEnforce || p.Mode == ModeTesting) && len(p.Hosts) > 0
}

func policyHost(pattern string) (string, bool) {
	name, wild := strings.CutPrefix(pattern, "*.")
	name, err := hostname(name)
	if wild {
		return "*." + name, err == nil
	}
	return name, err == nil
}
