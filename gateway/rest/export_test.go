package rest

import (
	"bufio"
	"context"
	"net"

	"github.com/centerleap/postern/gateway"
)

// Route is a row of the table, for tests that go through all of them.
type Route struct {
	Method, Path, Operation string
	Open                    bool
	route                   *route
}

// Allows reports whether the route is for a key.
func (r Route) Allows(k *gateway.Key) bool { return r.route.allows(k) }

// Routes are all rows of the table.
func Routes() (all []Route) {
	for i := range routes {
		r := &routes[i]
		all = append(all, Route{r.Method, r.Path, r.Operation, r.Who == open, r})
	}
	return all
}

// Operation is the name of the route that answers a request; "" if none does.
func Operation(method, path string) string {
	for i := range routes { // words come before ids, as in the router
		if routes[i].Method == method && matches(routes[i].Path, path) {
			return routes[i].Operation
		}
	}
	return ""
}

// ResendRoutes are those under /resend.
func ResendRoutes() (all []Route) {
	for i := range resendRoutes {
		r := &resendRoutes[i]
		all = append(all, Route{r.Method, r.Path, r.Operation, r.Who == open, r})
	}
	return all
}

// PutEvent writes an event to a stream, and does not flush.
func PutEvent(c net.Conn, w *bufio.Writer, data []byte) {
	(&events{conn: c, w: w}).put("1", "email.received", data)
}

// TellParts writes an event of several entries to a stream, behind what a client with the
// id last has seen of it.
func TellParts(c net.Conn, n *gateway.Event, last string, document func(uid uint32) ([]byte, error)) error {
	st := &mailStream{types: map[gateway.EventType]bool{n.Type: true}}
	_, st.seen, _ = parseEventPlace(last)
	st.document = func(_ context.Context, e *gateway.Event) ([]byte, error) { return document(e.UID) }
	return st.tell(&events{conn: c, w: bufio.NewWriter(c)}, n)
}

// ParseEventPlace reads the id of an event.
var ParseEventPlace = parseEventPlace
