package rest

import (
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// streamed is whose events a stream tells.
type streamed struct {
	scope   gateway.Scope
	domain  gateway.DomainID  // 0: the instance's own
	account gateway.AccountID // 0: what is of the domain as a whole
	email   string            // of the account
	name    string            // of the domain, if there is no account
}

// newEmail is the guide's name of what happens when an email arrives.
const newEmail = "new_email"

// ofMailbox reports whether a type is of what happens to a mailbox.
func ofMailbox(t gateway.EventType) bool {
	return t == newEmail || ofPart(t) || slices.Contains(gateway.WebhookEvents, t) && strings.HasPrefix(string(t), "email.")
}

// ofPart reports whether a type is told of a mailbox and of a domain, each its own.
func ofPart(t gateway.EventType) bool { return t == gateway.EventPluginDisabled }

// ofDomain reports whether a type is of what happens to a domain as a whole.
func ofDomain(t gateway.EventType) bool {
	return ofPart(t) || slices.Contains(gateway.WebhookEvents, t) && !ofMailbox(t)
}

func ofInstance(t gateway.EventType) bool { return slices.Contains(gateway.InstanceEvents, t) }

// streamedTypes reads what is to be told: new_email, unless types are named.
func (k *call) streamedTypes() (types []gateway.EventType, err error) {
	for name := range strings.SplitSeq(k.c.Query("events", newEmail), ",") {
		types = append(types, gateway.EventType(strings.TrimSpace(name)))
	}
	return types, hold(types, func(t gateway.EventType) bool { return ofMailbox(t) || ofDomain(t) || ofInstance(t) }, "a stream")
}

// streamedOf finds whose events they are: a mailbox's, unless none is named and none of
// the types is of one alone.
func (s *Server) streamedOf(k *call, types []gateway.EventType) (of streamed, err error) {
	needs := slices.ContainsFunc(types, func(t gateway.EventType) bool { return !ofDomain(t) && !ofInstance(t) })
	switch {
	case needs, k.ticket != nil, k.c.Query("email") != "", k.scope.Level() == gateway.LevelAccount:
		return s.mailboxOf(k, types)
	case k.scope.Level() == gateway.LevelInstance && k.c.Query("domain") == "":
		return streamed{scope: k.scope}, hold(types, ofInstance, "the instance; name a domain or an email")
	}
	if of.scope, err = s.domainScope(k); err != nil {
		return of, err
	}
	d, err := s.cfg.Domains.ByID(k.ctx, of.scope, of.scope.Domain())
	if err != nil {
		return of, err
	}
	of.domain, of.name = d.ID, d.Name
	return of, hold(types, ofDomain, "a domain")
}

// mailboxOf finds the mailbox that is named, or that of the key.
func (s *Server) mailboxOf(k *call, types []gateway.EventType) (of streamed, err error) {
	if of.scope, err = s.mailScope(k); err != nil {
		return of, err
	}
	a, err := s.cfg.Mail.Account(k.ctx, of.scope, k.c.Query("email"))
	if err != nil {
		return of, err
	}
	of.domain, of.account, of.email = a.Domain, a.ID, a.Email
	return of, hold(types, ofMailbox, "a mailbox")
}

// hold refuses types that are not told of whom a stream is about.
func hold(types []gateway.EventType, fit func(gateway.EventType) bool, whom string) error {
	for _, t := range types {
		if !fit(t) {
			return gateway.Fieldf(gateway.InvalidParameter, "events", "%.80q is no event of %s", string(t), whom)
		}
	}
	return nil
}
