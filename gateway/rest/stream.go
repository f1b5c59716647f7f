package rest

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// mailStream tells what happens to an account, or to a domain or the instance as a whole.
type mailStream struct {
	follower gateway.Follower
	follow   func(context.Context) (gateway.Follower, error)
	read     func(context.Context, gateway.ID) (mailbox.Item, error)
	document func(context.Context, *gateway.Event) ([]byte, error) // what webhooks are told
	of       streamed
	folders  map[string]bool // of new_email
	types    map[gateway.EventType]bool
	fresh    bool             // new_email is told
	lost     bool             // the client's last event is not in the feed any more
	seen     gateway.Position // what the client has of the event behind that, when it resumes within one
}

// streamEmails follows a mailbox. Source: API guide, "Real-Time Streaming".
func (s *Server) streamEmails(k *call) error {
	if k.c.Query("token") != "" && k.ticket == nil {
		return gateway.Fieldf(gateway.InvalidParameter, "token", "a token stands in for a key: show one of them")
	}
	types, err := k.streamedTypes()
	if err != nil {
		return err
	}
	of, err := s.streamedOf(k, types)
	if err != nil {
		return err
	}
	if k.row.Account = of.account; k.session != nil && of.domain != 0 {
		k.session.ActFor(of.domain, of.account)
	}
	st := &mailStream{of: of}
	if err := st.choose(k, types); err != nil {
		return err
	}
	if of.account != 0 {
		if st.folders, err = s.streamFolders(k, of.scope, of.email); err != nil {
			return err
		}
	}
	st.follow = func(ctx context.Context) (gateway.Follower, error) {
		return s.cfg.Streams.Follow(ctx, of.scope, of.domain, of.account)
	}
	st.read = func(ctx context.Context, id gateway.ID) (mailbox.Item, error) {
		return s.cfg.Mail.Get(ctx, of.scope, mailbox.Ref{ID: id})
	}
	st.document = func(ctx context.Context, e *gateway.Event) ([]byte, error) { return s.Document(ctx, of.scope, e) }
	e, err := s.events(k)
	if err != nil {
		return err
	}
	if err := st.resume(s, k); err != nil {
		e.release()
		return err
	}
	return e.stream(k, st)
}

// choose notes what is to be told. What webhooks are told of is told in whatever folder it
// happens, so a token, which is for folders, opens none of it.
func (st *mailStream) choose(k *call, types []gateway.EventType) error {
	st.types = make(map[gateway.EventType]bool, len(types))
	for _, t := range types {
		switch {
		case t == newEmail:
			st.fresh = true
		case k.ticket != nil:
			return gateway.Fieldf(gateway.InvalidParameter, "events", "a token opens a stream of new_email; show a key to follow %s", t)
		default:
			st.types[t] = true
		}
	}
	return nil
}

// streamFolders reads the folders to follow: INBOX unless others are named.
func (s *Server) streamFolders(k *call, scope gateway.Scope, email string) (map[string]bool, error) {
	var names []string
	if v := k.c.Query("folders"); v != "" {
		names = strings.Split(v, ",")
	}
	if k.ticket != nil {
		return k.ticketFolders(names)
	}
	return setOf(s.cfg.Mail.Followed(k.ctx, scope, email, names))
}

// setOf is a list as a set.
func setOf(names []string, err error) (map[string]bool, error) {
	set := make(map[string]bool, len(names))
	for _, name := range names {
		set[name] = true
	}
	return set, err
}

// lastEvent is the id of the last event that a client has seen; "" of a new one.
func (k *call) lastEvent() string { return k.c.Get("Last-Event-ID", k.c.Query("last_event_id")) }

// resume begins to follow: from where the client was, or from now.
func (st *mailStream) resume(s *Server, k *call) (err error) {
	last := k.lastEvent()
	if last == "" {
		st.follower, err = st.follow(k.ctx)
		return err
	}
	after, seen, known := parseEventPlace(last)
	if known {
		st.follower, err = s.cfg.Streams.Resume(k.ctx, st.of.scope, st.of.domain, st.of.account, after)
	}
	if !known || errors.Is(err, gateway.ErrTrimmed) {
		st.lost = true
		st.follower, err = st.follow(k.ctx)
		return err
	}
	st.seen = seen
	return err
}

// streamMail is the data of new_email; what follows timestamp is ours. Of an email that
// is gone already there is only email_id.
type streamMail struct {
	Email          string          `json:"email"`
	Mailbox        string          `json:"mailbox"`
	UID            uint32          `json:"uid"`
	Timestamp      string          `json:"timestamp"`
	ID             *string         `json:"id"`
	EmailID        string          `json:"email_id"`
	ThreadID       *string         `json:"thread_id"`
	From           *string         `json:"from"`
	Subject        *string         `json:"subject"`
	Preview        *string         `json:"preview"`
	Authentication *authentication `json:"authentication"`
	Sequence       uint64          `json:"sequence"`
}

// told is what a stream tells of an email, so that a client need not ask for it.
func (st *mailStream) told(ctx context.Context, n *gateway.Event) (streamMail, error) {
	m := streamMail{Email: st.of.email, Mailbox: n.Folder, UID: n.UID, Timestamp: stamp(n.At), EmailID: n.Email.String(), Sequence: n.Sequence}
	it, err := st.read(ctx, n.Email)
	if gateway.KindOf(err) == gateway.NotFound {
		return m, nil
	} else if err != nil {
		return m, err
	}
	shown := itemOf(&it)
	m.ID, m.ThreadID, m.From, m.Subject, m.Preview = &shown.ID, &shown.ThreadID, &shown.From, &shown.Subject, &shown.Preview
	m.Authentication = authenticationOf(it.Message)
	return m, nil
}

func (st *mailStream) at() uint64 { return st.follower.At() }

func (st *mailStream) wake() <-chan struct{} { return st.follower.Wake() }

func (st *mailStream) close() { st.follower.Close() }

func (st *mailStream) greet(e *events) error {
	if st.lost {
		st.resync(e)
	}
	id := strconv.FormatUint(st.at(), 10)
	if st.seen.Sequence != 0 {
		id = eventPlace(st.seen)
	}
	e.writeAs(id, "connected", moment{Email: st.of.email, Domain: st.of.name, Timestamp: e.now()})
	return nil
}

func (st *mailStream) news(e *events) error {
	for {
		n, err := st.some(e)
		if err != nil || n == 0 {
			return err
		}
		if err := e.flush(); err != nil {
			return err
		}
	}
}

// some writes the next events, and returns how many were looked at.
func (st *mailStream) some(e *events) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	found, err := st.follower.Next(ctx, eventsAtOnce)
	if errors.Is(err, gateway.ErrTrimmed) {
		return 0, st.begin(e)
	} else if err != nil {
		return 0, err
	}
	for i := range found {
		if err := st.tell(e, &found[i]); err != nil {
			return 0, err
		}
	}
	return len(found), nil
}

// tell writes what is told of one event. Only the last of it has the event's own number: a
// client that is cut off before it goes on within the event.
func (st *mailStream) tell(e *events, n *gateway.Event) error {
	fresh := st.fresh && n.Type == gateway.EventReceived && st.folders[n.Folder]
	if st.types[n.Type] {
		if err := st.tellAs(e, n, fresh); err != nil {
			return err
		}
	}
	if !fresh {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	m, err := st.told(ctx, n)
	if err == nil {
		e.write(n.Sequence, newEmail, m)
	}
	return err
}

// tellAs writes an event as webhooks are told it, of each entry that it is about. There may
// be thousands, and each may be long: so each goes out by itself, and the client may go on
// behind any of them. more says that something else is told of the event behind.
func (st *mailStream) tellAs(e *events, n *gateway.Event, more bool) error {
	uids := n.UIDs
	if len(uids) == 0 {
		uids = []uint32{n.UID}
	}
	one := *n
	for i, uid := range uids {
		p := gateway.Position{Sequence: n.Sequence, Part: uint32(i) + 1} //nolint:gosec // as many as a commit holds
		if st.seen.Sequence == n.Sequence && p.Part <= st.seen.Part {
			continue
		}
		one.UID, one.UIDs = uid, nil
		doc, err := st.documentOf(&one)
		if gateway.KindOf(err) == gateway.NotFound && err != nil {
			continue
		} else if err != nil {
			return err
		}
		id := eventPlace(p)
		if !more && i == len(uids)-1 {
			id = strconv.FormatUint(n.Sequence, 10)
		}
		e.put(id, string(n.Type), doc)
		if err := e.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (st *mailStream) documentOf(n *gateway.Event) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	return st.document(ctx, n)
}

// begin follows anew from now, after the feed was cut behind the follower.
func (st *mailStream) begin(e *events) error {
	ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
	defer cancel()
	f, err := st.follow(ctx)
	if err != nil {
		return err
	}
	st.follower.Close()
	st.follower = f
	st.resync(e)
	return nil
}

// resync tells the client that events were lost to age.
func (st *mailStream) resync(e *events) {
	e.write(st.at(), "resync", moment{Reason: "the events after your last one are no longer kept; list again", Timestamp: e.now()})
}
