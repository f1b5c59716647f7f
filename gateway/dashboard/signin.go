package dashboard

import (
	"context"
	"crypto/sha256"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// signInPage is what the form shows.
type signInPage struct {
	Next    string
	Problem string
}

func (d *Dashboard) signInForm(v *visit) error {
	return d.show(v, fiber.StatusOK, "signin", "Sign in", signInPage{Next: within(v.c.Query("next"))})
}

// signIn opens a session with a key. All that is wrong with a key sounds the same, and
// counts against the network as at the other doors.
func (d *Dashboard) signIn(v *visit) error {
	page := signInPage{Next: within(v.field("next"))}
	session, err := d.openKey(v, gateway.Secret(v.field("key")))
	if err == nil {
		return d.admit(v, session, page.Next)
	}
	e := gateway.AsError(err)
	if e.Kind == gateway.Internal {
		return err
	}
	reply := e.Kind.Reply()
	v.row.Error, v.row.Reason, page.Problem = reply.Name, e.Message, e.Message
	if e.Reason != "" {
		v.row.Reason = e.Reason
	}
	return d.show(v, reply.Status, "signin", "Sign in", page)
}

// openKey recognises a key that may use the dashboard.
func (d *Dashboard) openKey(v *visit, secret gateway.Secret) (*keys.Session, error) {
	if err := d.cfg.Keys.Allow(v.row.IP); err != nil {
		return nil, err
	}
	session, err := d.cfg.Keys.Open(v.ctx, secret)
	if err != nil {
		if known, ok := keys.Refused(err); ok {
			v.note(&known)
		}
		if gateway.KindOf(err) == gateway.InvalidKey {
			d.cfg.Keys.Failed(v.row.IP)
		}
		return nil, err
	}
	key := session.Key()
	v.note(&key)
	if key.Permission != gateway.FullAccess {
		session.Close()
		return nil, gateway.Errorf(gateway.Restricted, "a send-only key can't sign in; show one with full access")
	}
	return session, nil
}

// note puts a key into the row of the log.
func (v *visit) note(key *gateway.Key) {
	v.row.Key, v.row.KeyPrefix, v.row.Domain, v.row.Account = key.ID, key.Prefix, key.Domain, key.Account
}

// admit begins a sign-in under a new name, whatever the browser had before.
func (d *Dashboard) admit(v *visit, session *keys.Session, next string) error {
	d.visitors.end(v.c.Cookies(cookieName), false)
	name := d.visitors.add(session, d.clock())
	v.signin = d.visitors.find(name, d.clock())
	setCookie(v.c, name, signinTime)
	return v.redirect(next)
}

func (d *Dashboard) signOut(v *visit) error {
	d.visitors.end(v.c.Cookies(cookieName), v.field("everywhere") != "")
	setCookie(v.c, "", -time.Second)
	return v.redirect("/sign-in")
}

// within is a path of the dashboard to go on to, without the prefix: never another
// site's, whatever next says.
func within(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, prefix+"/") || strings.ContainsAny(next, "\\\r\n") {
		return "/"
	}
	return strings.TrimPrefix(u.RequestURI(), prefix)
}

// linkTime is how long a link that was printed leads in. Source: the start-up contract.
const linkTime = 10 * time.Minute

// linksKept bounds the links that wait for their one use. Ours.
const linksKept = 100

// links lead in once each, in the name of a key.
type links struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]link
}

type link struct {
	domain  gateway.DomainID
	key     gateway.ID
	expires time.Time
}

// Link makes a path that signs in the holder of a key, once, within ten minutes.
func (d *Dashboard) Link(key *gateway.Key) string {
	now, name := d.clock(), token()
	d.links.mu.Lock()
	defer d.links.mu.Unlock()
	if d.links.all == nil {
		d.links.all = make(map[[sha256.Size]byte]link)
	}
	for digest, l := range d.links.all {
		if !l.expires.After(now) || len(d.links.all) >= linksKept {
			delete(d.links.all, digest)
		}
	}
	d.links.all[sha256.Sum256([]byte(name))] = link{key.Domain, key.ID, now.Add(linkTime)}
	return prefix + "/link/" + name
}

// linkForm asks for a click: what looks at links before people do, or a page that is
// loaded ahead, must not use one up.
func (d *Dashboard) linkForm(v *visit) error {
	return d.show(v, fiber.StatusOK, "link", "Sign in", v.param("token"))
}

func (d *Dashboard) followLink(v *visit) error {
	session, err := d.useLink(v.ctx, v.param("token"))
	if err != nil {
		return err
	}
	key := session.Key()
	v.note(&key)
	return d.admit(v, session, "/")
}

func (d *Dashboard) useLink(ctx context.Context, name string) (*keys.Session, error) {
	digest := sha256.Sum256([]byte(name))
	d.links.mu.Lock()
	l, ok := d.links.all[digest]
	delete(d.links.all, digest)
	d.links.mu.Unlock()
	if !ok || !l.expires.After(d.clock()) {
		return nil, gateway.Errorf(gateway.Gone, "the link was used, or its ten minutes are over; sign in with a key")
	}
	return d.cfg.Keys.OpenFor(ctx, l.domain, l.key)
}
