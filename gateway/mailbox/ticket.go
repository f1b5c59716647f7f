package mailbox

import (
	"context"
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// A browser's EventSource sends no header fields, and a key has no place in a URL. So
// the holder of a key gets a token for the stream of one account, which says itself
// what it is for, as a link to a file does.

// Ticket is what a stream's token says.
type Ticket struct {
	Domain  gateway.DomainID
	Account gateway.AccountID
	Key     gateway.ID // that asked for it
	Folders []string   // to follow, sorted
	Expires time.Time  // whole seconds; the instant itself is too late
}

// ticketFixed is what stands before the folders: forStream, domain, account, expiry in
// seconds, key. The folders are divided by NUL, which no name holds.
const ticketFixed = 1 + 4 + 4 + 8 + 16

// SignStream makes a token for the stream of an account: the key's own if email is
// empty, with the folders of names, or INBOX. It ends with the scope's key.
// Unavailable when the first secret can't be kept: the disk is full.
func (m *Mail) SignStream(ctx context.Context, s gateway.Scope, email string, names []string) (token string, t Ticket, err error) {
	if s.Key().IsZero() {
		return "", t, gateway.Errorf(gateway.Restricted, "a token ends with the key that asks for it: ask with one")
	}
	a, err := m.oneAccount(ctx, s, email)
	if err != nil {
		return "", t, err
	}
	t = Ticket{Domain: a.Domain, Account: a.ID, Key: s.Key(), Expires: m.cfg.Now().Add(gateway.StreamTokenTime).Truncate(time.Second)}
	if t.Folders, err = m.Followed(ctx, s, a.Email, names); err != nil {
		return "", t, err
	}
	secret, err := m.secret(ctx)
	if err != nil {
		return "", t, err
	}
	if token = t.sign(secret); len(token) > maxToken {
		return "", t, gateway.Fieldf(gateway.InvalidParameter, "folders", "the names of so many folders are too long for a token")
	}
	return token, t, nil
}

// Followed returns which folders of an account a stream is about: those of names,
// sorted, or INBOX. NotFound names one that is not there.
func (m *Mail) Followed(ctx context.Context, s gateway.Scope, email string, names []string) (folders []string, err error) {
	if len(names) == 0 {
		return []string{gateway.Inbox}, nil
	}
	known, err := m.Folders(ctx, s, email)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		name = gateway.FoldMailbox(strings.TrimSpace(name))
		if !slices.ContainsFunc(known, func(box gateway.Mailbox) bool { return box.Name == name }) {
			return nil, gateway.Fieldf(gateway.NotFound, "folders", "no such folder: %s", name)
		}
		folders = append(folders, name)
	}
	slices.Sort(folders)
	return slices.Compact(folders), nil
}

// Ticket reads a token; false if we did not sign it. Whether its time is over, and
// its key live, is for the caller to see.
func (m *Mail) Ticket(ctx context.Context, token string) (t Ticket, ok bool, err error) {
	secret, err := m.cfg.Store.Setting(ctx, m.cfg.System, settingLinks)
	if err != nil {
		return t, false, err
	}
	t, ok = readTicket(secret, token)
	return t, ok, nil
}

func (t *Ticket) sign(secret string) string {
	b := []byte{forStream}
	b = binary.BigEndian.AppendUint32(b, uint32(t.Domain))
	b = binary.BigEndian.AppendUint32(b, uint32(t.Account))
	b = binary.BigEndian.AppendUint64(b, uint64(t.Expires.Unix()))
	b = append(b, t.Key[:]...)
	return written(secret, append(b, strings.Join(t.Folders, "\x00")...))
}

func readTicket(secret, token string) (t Ticket, ok bool) {
	b, ok := said(secret, token, forStream, ticketFixed)
	if !ok {
		return t, false
	}
	return Ticket{
		Domain:  gateway.DomainID(binary.BigEndian.Uint32(b[1:])),
		Account: gateway.AccountID(binary.BigEndian.Uint32(b[5:])),
		Expires: time.Unix(int64(binary.BigEndian.Uint64(b[9:])), 0).UTC(),
		Key:     gateway.ID(b[17:ticketFixed]),
		Folders: strings.Split(string(b[ticketFixed:]), "\x00"),
	}, true
}
