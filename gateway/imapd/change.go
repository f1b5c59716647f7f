package imapd

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// Store changes flags: one commit for the whole set, unless it is very large.
func (s *session) Store(_ *imapserver.FetchWriter, set imap.NumSet, f *imap.StoreFlags, _ *imap.StoreOptions) error {
	if err := s.writable(); err != nil {
		return err
	}
	flags, labels, err := flagsOf(f.Flags)
	if err != nil {
		return err
	}
	var c gateway.FlagChange
	switch f.Op {
	case imap.StoreFlagsDel:
		c.Remove, c.RemoveLabels = flags, labels
	case imap.StoreFlagsAdd:
		c.Add, c.AddLabels = flags, labels
	case imap.StoreFlagsSet:
		c.Replace, c.Add, c.AddLabels = true, flags, labels
	}
	s.enable()
	numbers := s.pick(set)
	var quiet *silence
	if f.Silent {
		quiet = s.silence(numbers, c)
	}
	if s.c.note.since != nil {
		return s.storeUnchanged(numbers, c, quiet)
	}
	changed, err := s.view.Flag(s.ctx, numbers, c)
	if err != nil {
		return s.halfStored(changed, err)
	}
	return s.stored(changed, quiet)
}

// halfStored ends a change that failed after some of it was durable: the client has to know
// of that, whatever it asked for.
func (s *session) halfStored(changed []int, err error) error {
	if told := s.stored(changed, nil); told != nil {
		return told
	}
	return s.failed(err)
}

// Expunge removes what is marked as deleted; CLOSE does so silently.
func (s *session) Expunge(_ *imapserver.ExpungeWriter, uids *imap.UIDSet) error {
	if s.readOnly && s.c.note.name == "CLOSE" {
		return nil
	}
	if err := s.writable(); err != nil {
		return err
	}
	var set imap.NumSet = imap.SeqSet{{Start: 1, Stop: 0}}
	if uids != nil {
		set = *uids
	}
	err := s.view.Expunge(s.ctx, s.pick(set))
	if s.c.note.name == "CLOSE" && (errors.Is(err, mailbox.ErrClosed) || gateway.KindOf(err) == gateway.NotFound) {
		return nil // the mailbox is gone, and with it what was to be removed
	} else if err != nil {
		return s.failed(err)
	}
	return s.expunged()
}

// Copy copies messages to another mailbox. The front adds COPYUID to the tagged line.
func (s *session) Copy(set imap.NumSet, dest string) (*imap.CopyData, error) {
	code, err := s.copy(set, dest, false)
	if err == nil {
		s.c.note.code = code
	}
	return nil, err
}

// Move takes messages to another mailbox; the library's poll tells that they
// left. COPYUID comes before that, RFC 9051 section 6.4.8.
func (s *session) Move(_ *imapserver.MoveWriter, set imap.NumSet, dest string) error {
	if err := s.writable(); err != nil {
		return err
	}
	code, err := s.copy(set, dest, true)
	if len(code) == 0 {
		return err
	}
	if told := s.c.data(slices.Concat([]byte("* OK ["), code, []byte("] moved\r\n"))); told != nil {
		return told
	}
	if err == nil {
		return s.expunged()
	}
	return cmp.Or(s.tell(true), err) // some have left all the same
}

// copy returns COPYUID, if it failed of what was done before.
func (s *session) copy(set imap.NumSet, dest string, move bool) (code []byte, err error) {
	done, err := s.view.Copy(s.ctx, s.pick(set), dest, move)
	if err != nil {
		err = s.noTarget(err)
	}
	if len(done.UIDs) == 0 {
		return nil, err
	}
	from, to := make([]uint32, len(done.UIDs)), make([]uint32, len(done.UIDs))
	for i, m := range done.UIDs {
		from[i], to[i] = m.From, m.To
	}
	code = strconv.AppendUint([]byte("COPYUID "), uint64(done.UIDValidity), 10)
	code = append(appendSet(append(code, ' '), from), ' ')
	return appendSet(code, to), err
}

// noTarget is failed for a mailbox that the client may want to create.
func (s *session) noTarget(err error) error {
	if gateway.KindOf(err) == gateway.NotFound {
		return refuse("TRYCREATE", "there is no such mailbox")
	}
	return s.failed(err)
}

// Append takes a message into a mailbox. OK comes when it is durable.
func (s *session) Append(name string, r imap.LiteralReader, o *imap.AppendOptions) (*imap.AppendData, error) {
	flags, labels, err := flagsOf(o.Flags)
	if err != nil {
		return nil, err
	}
	at := o.Time
	if at.After(s.door.cfg.Now().Add(gateway.AppendAhead)) {
		at = time.Time{}
	}
	done, err := s.door.cfg.Mail.Append(s.ctx, s.scope, s.account, mailbox.Appending{
		Folder: name, At: at, Flags: flags, Labels: labels, Body: r, Size: r.Size(),
	})
	if err != nil {
		return nil, s.noTarget(err)
	}
	return &imap.AppendData{UID: imap.UID(done.UID), UIDValidity: done.UIDValidity}, nil
}
