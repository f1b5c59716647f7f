package rest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/centerleap/postern/gateway"
)

// Fetcher gets remote files from addresses that a tenant may name.
type Fetcher interface {
	// Fetch writes at most most bytes of what is at an https URL to w. It fails with
	// InvalidParameter for a URL that is not fit and TooLarge past most; what another
	// Kind says is not for the client.
	Fetch(ctx context.Context, url string, most int64, w io.Writer) (gateway.Fetched, error)
}

// source is an attachment whose bytes are not in the request: a remote file, or
// one of a stored email.
type source struct {
	email, file int    // which attachment of which email of the request
	at          string // its path in the request
	path        string
	emailID     string
	attachment  string
}

const (
	// maxPath bounds the URL of a remote file, in bytes. Ours, as RFC 9110 section
	// 4.1 wants of a recipient at least.
	maxPath = 8000
	// fetchesAtOnce is how many remote files one request fetches at a time. Ours.
	fetchesAtOnce = 4
)

// sources finds the bytes that a request names instead of giving them: after it
// was read whole, and only if it is not the repeat of another. They count together
// as if they were in it. In a permissive batch a fault is left to its email, which
// fails when it is composed.
func (s *Server) sources(k *call, scope gateway.Scope, r *sendReader, permissive bool) error {
	if len(r.sources) == 0 {
		return nil
	}
	release, err := s.sends.Take(scope.Domain())
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithTimeout(k.ctx, gateway.RequestTimeout)
	defer cancel()
	f := finding{s: s, k: k, scope: scope, r: r}
	f.left.Store(r.lim.SendBytes)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetchesAtOnce)
	for i := range r.sources {
		src := &r.sources[i]
		into, err := f.start(src)
		if err == nil {
			g.Go(func() error { return f.settle(src, permissive, f.find(ctx, src, into)) })
		} else if err = f.settle(src, permissive, err); err != nil {
			cancel()
			return errors.Join(err, g.Wait())
		}
	}
	return g.Wait()
}

// finding is the work of one request; left is what its files may still have
// together, in bytes.
type finding struct {
	s     *Server
	k     *call
	scope gateway.Scope
	r     *sendReader
	left  atomic.Int64
}

// start checks who may name a source, and gives a remote file a place.
func (f *finding) start(src *source) (into *os.File, err error) {
	switch {
	case src.path != "" && f.s.cfg.Remote == nil:
		return nil, gateway.Fieldf(gateway.InvalidAttachment, src.at+".path", "remote attachments are switched off here; send the file as content")
	case src.path != "":
		return f.r.spool()
	case f.k.sendOnly():
		return nil, gateway.Fieldf(gateway.Restricted, src.at+".email_id", "a send-only key can send emails and read none")
	}
	return nil, nil
}

// settle puts a fault where it belongs: to the request, or to its email alone.
func (f *finding) settle(src *source, permissive bool, err error) error {
	e, known := errors.AsType[*gateway.Error](err)
	if err == nil || !permissive || !known || e.Kind != gateway.InvalidAttachment {
		return err
	}
	own := *e // SubmitAll adds the index of the email
	own.Field = fmt.Sprintf("attachments[%d]%s", src.file, e.Field[min(len(src.at), len(e.Field)):])
	f.of(src).Open = func() (io.ReadCloser, error) { return nil, &own }
	return nil
}

func (f *finding) of(src *source) *gateway.Attachment {
	return &f.r.list[src.email].Compose.Attachments[src.file]
}

func (f *finding) find(ctx context.Context, src *source, into *os.File) error {
	if into != nil {
		return f.fetch(ctx, src, into)
	}
	return f.reuse(ctx, src)
}

// fetch gets a remote file. A client hears what is wrong with its URL, and nothing
// of what the network said.
func (f *finding) fetch(ctx context.Context, src *source, into *os.File) error {
	at := src.at + ".path"
	got, err := f.s.cfg.Remote.Fetch(ctx, src.path, f.r.lim.AttachmentBytes, &counted{into, &f.left})
	switch gateway.KindOf(err) {
	case gateway.InvalidParameter, gateway.TooLarge:
		return gateway.Fieldf(gateway.InvalidAttachment, at, "%s: %s", at, gateway.AsError(err).Message)
	}
	if err != nil {
		return gateway.Fieldf(gateway.InvalidAttachment, at, "%s can't be fetched", at)
	}
	a := f.of(src)
	a.Open = opener(into, got.Size)
	f.describe(a, got)
	return nil
}

// describe fills what the request left open.
func (f *finding) describe(a *gateway.Attachment, got gateway.Fetched) {
	a.Size = got.Size
	if a.Filename == "" {
		a.Filename = clip(got.Filename, maxFilename)
	}
	if a.Filename == "" && a.ContentID == "" {
		a.Filename = "attachment"
	}
	if a.ContentType == "" {
		a.ContentType = clip(got.ContentType, maxType)
	}
}

// reuse takes a file of a stored email, which is read when the new one is written.
func (f *finding) reuse(ctx context.Context, src *source) error {
	at := src.at + ".attachment_id"
	none := gateway.Fieldf(gateway.InvalidAttachment, at, "%s: there is no such attachment", at)
	ref, err := parseRef(src.emailID)
	id, bad := gateway.ParseID(src.attachment)
	if err != nil || bad != nil {
		return none
	}
	if ref.UID != 0 && f.scope.Level() != gateway.LevelAccount {
		ref.Email = f.r.list[src.email].Compose.From.Addr // a UID counts within a mailbox
	}
	it, file, err := f.s.cfg.Mail.File(ctx, f.scope, ref, id)
	if err != nil {
		return orNone(err, none)
	}
	if file.Size > f.r.lim.AttachmentBytes || f.left.Add(-file.Size) < 0 {
		return gateway.Fieldf(gateway.InvalidAttachment, at, "%s: the file is too large", at)
	}
	a := f.of(src)
	a.Open = func() (io.ReadCloser, error) {
		r, err := f.s.cfg.Mail.OpenFile(f.k.ctx, f.scope, it, file, 0, -1)
		return r, orNone(err, none)
	}
	f.describe(a, gateway.Fetched{ContentType: file.Part.Type, Filename: file.Name(), Size: file.Size})
	return nil
}

// orNone makes of what is not there, or not the caller's, one and the same answer.
func orNone(err error, none *gateway.Error) error {
	if err != nil && gateway.KindOf(err) == gateway.NotFound {
		return none
	}
	return err
}

// opener reads a spooled file, as often as it is asked.
func opener(f *os.File, size int64) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(f, 0, size)), nil }
}

// counted holds all files of a request to what is left for them.
type counted struct {
	w    io.Writer
	left *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	if c.left.Add(-int64(len(p))) < 0 {
		return 0, gateway.Errorf(gateway.TooLarge, "the files of the request are too large together")
	}
	return c.w.Write(p)
}
