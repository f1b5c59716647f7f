package resolve

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Class says how a question ended. Callers switch on it.
type Class uint8

// The classes. NXDomain and NoData are answers too: there is nothing, says DNS.
const (
	Found     Class = iota // there are records
	NXDomain               // no such name, and so none below it: RFC 8020
	NoData                 // the name exists, such records don't: RFC 2308 section 2.2
	Temporary              // no usable answer; another time there may be one
	Bogus                  // an answer that can't be true: DNSSEC says so, or it is over a limit
)

var classes = [...]string{"found", "nxdomain", "nodata", "temporary", "bogus"}

// String is the class in one word, for logs.
func (c Class) String() string {
	if int(c) < len(classes) {
		return classes[c]
	}
	return "unknown"
}

// Empty reports whether DNS said that there is nothing.
func (c Class) Empty() bool { return c == NXDomain || c == NoData }

// Answer is what DNS said. Records are there only if Class is Found, and are the
// caller's own.
type Answer[T any] struct {
	Records []T
	Class   Class
	// Authentic is the AD bit of all that led here: the server has checked it with
	// DNSSEC. It is worth what the way to the server is.
	Authentic bool
	TTL       time.Duration // how long it holds from now on; at most gateway.DNSKept
	Name      string        // whose records they are: what the name is an alias of, or itself
	Err       error         // why not Found, for people and logs
}

// MX is a mail host.
type MX struct {
	Preference uint16
	Host       string
}

// question is what is asked: a clean name and a type of records.
type question struct {
	name string
	of   uint16
}

// reply is an answer before it has a type: one of its lists is filled. It is shared by
// all who asked, and never changed.
type reply struct {
	class     Class
	authentic bool
	ttl       time.Duration
	name      string
	err       error

	texts []string
	mx    []MX
	addrs []netip.Addr
	hosts []string
}

func answer[T any](rep reply, records []T) Answer[T] {
	return Answer[T]{
		Records: append([]T(nil), records...), Class: rep.class, Authentic: rep.authentic,
		TTL: rep.ttl, Name: rep.name, Err: rep.err,
	}
}

// errBudget is what a mail meets that makes us ask without end.
var errBudget = errors.New("too many questions to DNS for one mail")

type budgetKey struct{}

// Limit gives all that is asked with the context at most n questions together, of any
// Resolver and whether remembered or not. Those past it are Temporary.
func Limit(ctx context.Context, n int64) context.Context {
	left := new(atomic.Int64)
	left.Store(n)
	return context.WithValue(ctx, budgetKey{}, left)
}

type ageKey struct{}

// NoOlder has what is asked with the context answered from memory only if that is not
// older than age: for who wants to know whether something has changed. An age keeps
// those who ask again and again from asking DNS each time.
func NoOlder(ctx context.Context, age time.Duration) context.Context {
	return context.WithValue(ctx, ageKey{}, age)
}

func oldest(ctx context.Context) time.Duration {
	if age, ok := ctx.Value(ageKey{}).(time.Duration); ok {
		return age
	}
	return gateway.DNSKept
}

func spend(ctx context.Context) bool {
	left, limited := ctx.Value(budgetKey{}).(*atomic.Int64)
	return !limited || left.Add(-1) >= 0
}
