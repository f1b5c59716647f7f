package dashboard

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

const (
	// cookieName binds the cookie to this host, to https or loopback, and to all
	// paths: RFC 6265bis section 4.1.3.2.
	cookieName = "__Host-postern"
	// idleTime ends a sign-in that nobody uses, signinTime any. Ours: a working day and
	// a week.
	idleTime   = 12 * time.Hour
	signinTime = 7 * 24 * time.Hour
	// visitorsPerKey and visitorsKept bound the sign-ins; past them the one that was
	// used longest ago ends. Ours.
	visitorsPerKey = 20
	visitorsKept   = 10_000
	// oncesKept is how many of a sign-in's forms are remembered as sent. Ours.
	oncesKept = 100
	// onceBytes is how long the id of a form may be; ours have 43. Longer ones would have
	// us keep what somebody makes up.
	onceBytes = 64
)

// signin is a browser that has shown a key. Like the sessions of the other doors it
// lives in this process and holds the key's session, which ends it with the key; after
// a restart people sign in again.
type signin struct {
	session *keys.Session
	digest  [sha256.Size]byte // of its cookie
	began   time.Time
	ended   chan struct{} // closed when it is over: by a sign-out, or with its key

	mu     sync.Mutex
	used   time.Time
	at     string            // the domain it looked at last
	tail   *tail             // its stream of events; nil if it has none
	notice string            // told by the next page, once
	sent   map[string]string // forms that were sent, by their one-use id, and what became of them
	order  []string
}

// visitors are all of them, by the digest of their cookie: who reads our memory does
// not get in.
type visitors struct {
	mu  sync.Mutex
	all map[[sha256.Size]byte]*signin
}

// token is a name that nobody guesses: 256 bits.
func token() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // it never fails: crypto/rand
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// add begins a sign-in and returns its cookie. The sign-in closes the session.
func (s *visitors) add(session *keys.Session, now time.Time) string {
	name := token()
	digest := sha256.Sum256([]byte(name))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = make(map[[sha256.Size]byte]*signin)
	}
	s.makeRoom(session.Key().ID, now)
	s.all[digest] = &signin{session: session, digest: digest, began: now, ended: make(chan struct{}), used: now, sent: make(map[string]string)}
	session.OnEnd(func() { s.remove(digest) })
	return name
}

// makeRoom ends what is over, and the oldest of a key, or of all, that has too many.
func (s *visitors) makeRoom(key gateway.ID, now time.Time) {
	var oldestOfKey, oldest [sha256.Size]byte
	of := 0
	for digest, in := range s.all {
		if in.over(now) {
			s.drop(digest)
			continue
		}
		if o := s.all[oldest]; o == nil || in.usedAt().Before(o.usedAt()) {
			oldest = digest
		}
		if in.session.Key().ID == key {
			if of++; s.all[oldestOfKey] == nil || in.usedAt().Before(s.all[oldestOfKey].usedAt()) {
				oldestOfKey = digest
			}
		}
	}
	if of >= visitorsPerKey {
		s.drop(oldestOfKey)
	}
	if len(s.all) >= visitorsKept {
		s.drop(oldest)
	}
}

func (s *visitors) drop(digest [sha256.Size]byte) {
	if in := s.all[digest]; in != nil {
		delete(s.all, digest)
		in.session.Close()
		close(in.ended)
	}
}

func (s *visitors) remove(digest [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(digest)
}

// find is the sign-in of a cookie; nil for none, or one that has ended.
func (s *visitors) find(cookie string, now time.Time) *signin {
	if cookie == "" {
		return nil
	}
	return s.at(sha256.Sum256([]byte(cookie)), now)
}

// at is find for who knows the cookie's digest.
func (s *visitors) at(digest [sha256.Size]byte, now time.Time) *signin {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.all[digest]
	if in == nil || in.over(now) || in.session.Err() != nil {
		s.drop(digest)
		return nil
	}
	in.mu.Lock()
	in.used = now
	in.mu.Unlock()
	return in
}

// end is a sign-out: of this browser, or of all that showed the key.
func (s *visitors) end(cookie string, everywhere bool) {
	digest := sha256.Sum256([]byte(cookie))
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.all[digest]
	s.drop(digest)
	if in == nil || !everywhere {
		return
	}
	for other, o := range s.all {
		if o.session.Key().ID == in.session.Key().ID {
			s.drop(other)
		}
	}
}

func (in *signin) over(now time.Time) bool {
	return now.Sub(in.usedAt()) >= idleTime || now.Sub(in.began) >= signinTime
}

func (in *signin) usedAt() time.Time {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.used
}

// visit remembers the domain that an operator looks at.
func (in *signin) visit(name string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.at = name
}

func (in *signin) visited() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.at
}

// tell leaves a line for the page that comes next.
func (in *signin) tell(line string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.notice = line
}

func (in *signin) told() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	line := in.notice
	in.notice = ""
	return line
}

// once reports whether the form of an id is sent for the first time; if not, what
// became of it then: a page that is loaded again does nothing twice.
func (in *signin) once(id string) (earlier string, first bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if earlier, known := in.sent[id]; known || id == "" || len(id) > onceBytes {
		return earlier, false
	}
	if len(in.order) == oncesKept {
		delete(in.sent, in.order[0])
		in.order = in.order[1:]
	}
	in.sent[id], in.order = "", append(in.order, id)
	return "", true
}

// became notes what a form has made; "" is nothing, and it may be sent again.
func (in *signin) became(id, what string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, kept := in.sent[id]; !kept {
		return // others came since
	}
	if what != "" {
		in.sent[id] = what
		return
	}
	delete(in.sent, id)
	in.order = slices.DeleteFunc(in.order, func(o string) bool { return o == id })
}

// setCookie gives a browser its sign-in. Strict: no page of another site opens ours
// signed in. Secure: browsers take it over plain http from loopback alone.
func setCookie(c *fiber.Ctx, value string, age time.Duration) {
	c.Cookie(&fiber.Cookie{
		Name: cookieName, Value: value, Path: "/", MaxAge: int(age / time.Second), Secure: true, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode,
	})
}
