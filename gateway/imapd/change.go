package imapd

import (
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
	quiet := func(int) bool { return false }
	if f.Silent {
		before := make(map[int]gateway.Entry)
		for _, n := range numbers {
			before[n] = s.view.Entry(n)
		}
		quiet = func(n int) bool { return foreseen(before[n], s.view.Entry(n), c) }
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
	if told := s.stored(changed, func(int) bool { return false }); told != nil {
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
	if err != nil && gateway.KindOf(err) == gateway.NotFound && s.c.note.name == "CLOSE" {
		return nil // the mailbox is gone, and with it what was to be removed
	} else if err != nil {
		return s.failed(err)
	}
	return s.expunged()
}

// Copy copies messages to another mailbox.
func (s *session) Copy(set imap.NumSet, dest string) (*imap.CopyData, error) {
	return s.copy(set, dest, false)
}

// Move takes messages to another mailbox; the library's poll tells that they
// left.
func (s *session) Move(w *imapserver.MoveWriter, set imap.NumSet, dest string) error {
	if err := s.writable(); err != nil {
		return err
	}
	data, err := s.copy(set, dest, true)
	if err != nil || data == nil {
		return err
	}
	if err := w.WriteCopyData(data); err != nil {
		return err
	}
	return s.expunged()
}

func (s *session) copy(set imap.NumSet, dest string, move bool) (*imap.CopyData, error) {
	done, err := s.view.Copy(s.ctx, s.pick(set), dest, move)
	if err != nil {
		return nil, s.noTarget(err)
	}
	if len(done.UIDs) == 0 {
		return nil, nil //nolint:nilnil // the library then answers without COPYUID
	}
	var from, to imap.UIDSet
	for _, m := range done.UIDs {
		from.AddNum(imap.UID(m.From))
		to.AddNum(imap.UID(m.To))
	}
	return &imap.CopyData{UIDValidity: done.UIDValidity, SourceUIDs: from, DestUIDs: to}, nil
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
	if at.After(s.door.cfg.Now().Add(24 * time.Hour)) {
		at = time.Time{} // a clock that is wrong would keep it on top of every list
	}
	done, err := s.door.cfg.Mail.Append(s.ctx, s.scope, s.account, mailbox.Appending{
		Folder: name, At: at, Flags: flags, Labels: labels, Body: r, Size: r.Size(),
	})
	if err != nil {
		return nil, s.noTarget(err)
	}
	return &imap.AppendData{UID: imap.UID(done.UID), UIDValidity: done.UIDValidity}, nil
}
