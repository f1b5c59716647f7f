package outbound

import (
	"context"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
)

// identify settles the Message-ID, which never changes again: replies and
// duplicates are recognised by it.
func (s *Sender) identify(ctx context.Context, t *tray) error {
	given, rest := takeHeader(t.compose.Headers, "Message-ID")
	t.compose.Headers = rest
	if given == "" {
		return nil
	}
	ids := content.MessageIDs(given)
	if len(ids) != 1 || !strings.EqualFold(strings.TrimSuffix(ids[0][strings.LastIndexByte(ids[0], '@')+1:], ">"), t.domain.Name) {
		return gateway.Fieldf(gateway.InvalidParameter, "headers.Message-ID", "a Message-ID of your own must be one <id@%s>", t.domain.Name)
	}
	used, err := s.cfg.Store.MessagesByMessageID(ctx, s.cfg.Internal(t.domain.ID), 0, ids[0])
	if err != nil {
		return err
	}
	if len(used) > 0 {
		return gateway.Fieldf(gateway.InvalidParameter, "headers.Message-ID", "the Message-ID is used already")
	}
	t.trace.MessageID = ids[0]
	return nil
}

// answer turns in_reply_to, or an In-Reply-To header, into the parent's
// Message-ID and the full References chain. A parent nobody knows is no error:
// the headers are set, and the parent may still arrive.
func (s *Sender) answer(ctx context.Context, t *tray) error {
	header, rest := takeHeader(t.compose.Headers, "In-Reply-To")
	refs, rest := takeHeader(rest, "References")
	t.compose.Headers = rest
	parent, msgid, err := s.parent(ctx, t, t.compose.InReplyTo)
	if err != nil {
		return err
	}
	if header != "" {
		other, id, err := s.parent(ctx, t, header)
		if err != nil {
			return err
		}
		if msgid != "" && id != msgid {
			return gateway.Fieldf(gateway.InvalidParameter, "in_reply_to", "in_reply_to and headers[In-Reply-To] differ")
		}
		parent, msgid = other, id
	}
	t.compose.InReplyTo = msgid
	t.compose.References = append(t.compose.References, content.MessageIDs(refs)...)
	if parent != nil {
		t.compose.References = append(t.compose.References, parent.Content.References...)
		if len(parent.Content.References) == 0 && parent.Content.InReplyTo != "" {
			t.compose.References = append(t.compose.References, parent.Content.InReplyTo) // RFC 5322 section 3.6.4
		}
	}
	if msgid != "" {
		t.compose.References = append(t.compose.References, msgid)
	}
	t.compose.References = chain(t.compose.References)
	return nil
}

// maxReferences bounds a References field: about 10 KiB of ids.
const maxReferences = 100

// chain drops repeated ids, the later one staying, and the middle of a chain
// that is too long: the root and the newest matter.
func chain(ids []string) []string {
	var out []string
	for i, id := range ids {
		if !slices.Contains(ids[i+1:], id) {
			out = append(out, id)
		}
	}
	if len(out) > maxReferences {
		out = append(out[:1], out[len(out)-maxReferences+1:]...)
	}
	return out
}

// parent finds the message that value names: an id of ours, or a Message-ID
// with or without brackets. The message may be unknown, its Message-ID not.
func (s *Sender) parent(ctx context.Context, t *tray, value string) (*gateway.Message, string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return nil, "", nil
	}
	if id, err := gateway.ParseID(value); err == nil {
		m, err := s.cfg.Store.Message(ctx, t.scope, id)
		if err != nil {
			if gateway.KindOf(err) == gateway.NotFound {
				err = gateway.Fieldf(gateway.InvalidParameter, "in_reply_to", "no email has the id %s", value)
			}
			return nil, "", err
		}
		return m, m.Content.MessageID, nil
	}
	if !strings.HasPrefix(value, "<") {
		value = "<" + value + ">"
	}
	ids := content.MessageIDs(value)
	if len(ids) != 1 {
		return nil, "", gateway.Fieldf(gateway.InvalidParameter, "in_reply_to", "in_reply_to must be one Message-ID or an email id")
	}
	if t.account == nil {
		return nil, ids[0], nil
	}
	known, err := s.cfg.Store.MessagesByMessageID(ctx, t.scope, t.account.ID, ids[0])
	if err != nil || len(known) == 0 {
		return nil, ids[0], err
	}
	return known[0], ids[0], nil
}

// takeHeader removes a field from a list, whatever its case, and returns the
// value of its first occurrence.
func takeHeader(fields []gateway.HeaderField, name string) (value string, rest []gateway.HeaderField) {
	for _, f := range fields {
		if !strings.EqualFold(f.Name, name) {
			rest = append(rest, f)
		} else if value == "" {
			value = f.Value
		}
	}
	return value, rest
}
