package rest

import (
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// authenticate finds the caller and whether the route is for them.
func (s *Server) authenticate(k *call, local bool) error {
	if k.route.Who == open {
		return nil
	}
	if local {
		k.scope = s.cfg.Local
		return nil
	}
	if err := s.cfg.Keys.Allow(k.row.IP); err != nil {
		return err
	}
	session, err := s.recognise(k)
	if err != nil {
		if known, ok := keys.Refused(err); ok {
			k.note(&known)
		}
		if kind := gateway.KindOf(err); kind == gateway.InvalidKey && k.ticket == nil { // which nobody guesses
			s.cfg.Keys.Failed(k.row.IP)
		}
		return err
	}
	key := session.Key()
	k.session, k.scope = session, session.Scope()
	k.note(&key)
	if err := k.confine(); err != nil {
		return err
	}
	k.used = key.Used
	if k.left, err = s.cfg.Keys.Count(key.ID, k.route.Class); err != nil {
		return err
	}
	if !k.route.allows(&key) {
		e := gateway.Errorf(gateway.Restricted, "this key may not do that")
		if key.Permission == gateway.SendOnly {
			e.Message = "a send-only key can send emails and nothing else"
		}
		return e
	}
	return nil
}

// note puts the key into the row of the log.
func (k *call) note(key *gateway.Key) {
	k.row.Key, k.row.KeyPrefix = key.ID, key.Prefix
	k.row.Domain, k.row.Account = key.Domain, key.Account
}

// bearer takes the token out of an Authorization field; the scheme ignores case,
// RFC 9110 section 11.1.
func bearer(v string) gateway.Secret {
	scheme, token, ok := strings.Cut(strings.TrimSpace(v), " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return gateway.Secret(strings.TrimSpace(token))
}

// mailScope is the scope for routes about one domain's mail: an instance key
// says which by email or domain.
func (s *Server) mailScope(k *call) (gateway.Scope, error) {
	return s.mailScopeOf(k, k.c.Query("email"))
}

// mailScopeOf is mailScope where the address stands in the body.
func (s *Server) mailScopeOf(k *call, email string) (gateway.Scope, error) {
	name := k.c.Query("domain")
	if k.scope.Level() != gateway.LevelInstance {
		return k.scope, s.ownDomain(k, name)
	}
	if email != "" {
		_, host := gateway.SplitAddress(email)
		if name != "" && !strings.EqualFold(name, host) {
			return k.scope, gateway.Fieldf(gateway.InvalidParameter, "domain", "email is of another domain; leave domain out")
		}
		name = host
	}
	if name == "" {
		return k.scope, gateway.Fieldf(gateway.MissingField, "email", "with an instance key, say whose mail: add ?email=address or ?domain=name")
	}
	return s.within(k, name)
}

// domainScope is the scope for routes about one domain: an instance key names it.
func (s *Server) domainScope(k *call) (gateway.Scope, error) {
	name := k.c.Query("domain")
	if k.scope.Level() != gateway.LevelInstance {
		return k.scope, s.ownDomain(k, name)
	}
	if name == "" {
		return k.scope, gateway.Fieldf(gateway.MissingField, "domain", "with an instance key, say which domain: add ?domain=name")
	}
	return s.within(k, name)
}

// ownDomain refuses a key of a domain that names another one: it would get its own
// without a word.
func (s *Server) ownDomain(k *call, name string) error {
	if name == "" {
		return nil
	}
	d, err := s.cfg.Domains.ByID(k.ctx, k.scope, k.scope.Domain())
	if err == nil && !strings.EqualFold(name, d.Name) && name != d.UUID.String() {
		err = gateway.Fieldf(gateway.Restricted, "domain", "the key belongs to %s", d.Name)
	}
	return err
}

// ownEmail is mailScope for routes that look at no mailbox: an address in the query is
// still one that the key may name.
func (s *Server) ownEmail(k *call) (gateway.Scope, gateway.AccountID, error) {
	sc, err := s.mailScope(k)
	email := k.c.Query("email")
	if err != nil || email == "" {
		return sc, 0, err
	}
	a, err := s.cfg.Mail.Account(k.ctx, sc, email)
	if err != nil {
		return sc, 0, err
	}
	return sc, a.ID, nil
}

// within narrows an instance key to a domain.
func (s *Server) within(k *call, name string) (gateway.Scope, error) {
	d, err := s.cfg.Domains.Get(k.ctx, k.scope, name)
	if err != nil {
		return k.scope, err
	}
	k.row.Domain = d.ID
	return keys.Narrow(k.scope, d.ID, 0)
}

// optionalScope is mailScope where an instance key may name no domain: it then
// means the instance itself.
func (s *Server) optionalScope(k *call) (gateway.Scope, error) {
	if k.c.Query("email") == "" && k.c.Query("domain") == "" {
		return k.scope, nil
	}
	return s.mailScope(k)
}
