package rest

import (
	"fmt"
	"mime"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

func (s *Server) listAttachments(k *call) error {
	scope, it, err := s.item(k)
	if err != nil {
		return err
	}
	files, more, err := spanOf(s, k, mailbox.Files(it.Message), func(f *mailbox.File) string { return f.ID.String() })
	if err != nil {
		return err
	}
	out, err := s.withLinks(k, scope, it, files)
	if err != nil {
		return err
	}
	return k.json(partOf(out, more))
}

// getAttachment gives the file itself, or what is known of it to who wants JSON and
// nothing else. Source: API guide, "Download Attachment".
func (s *Server) getAttachment(k *call) error {
	scope, it, f, err := s.namedFile(k)
	if err != nil {
		return err
	}
	k.c.Set("Vary", "Accept")
	if !wantsJSON(k.c.Get("Accept")) {
		return s.sendFile(k, scope, it, f)
	}
	out, err := s.withLinks(k, scope, it, []mailbox.File{f})
	if err != nil {
		return err
	}
	return k.json(out[0])
}

// namedFile finds the file that a route names.
func (s *Server) namedFile(k *call) (sc gateway.Scope, it mailbox.Item, f mailbox.File, err error) {
	sc, ref, err := s.target(k)
	if err != nil {
		return sc, it, f, err
	}
	id, err := gateway.ParseID(k.c.Params("attachmentId"))
	if err != nil {
		return sc, it, f, gateway.Errorf(gateway.NotFound, "no such attachment")
	}
	if it, f, err = s.cfg.Mail.File(k.ctx, sc, ref, id); err == nil {
		k.row.Email = it.Message.ID
	}
	return sc, it, f, err
}

// wantsJSON reports whether an Accept field, RFC 9110 section 12.5.1, asks for JSON
// alone. Many clients name it beside */*, and want the bytes.
func wantsJSON(accept string) bool {
	for item := range strings.SplitSeq(accept, ",") {
		if t, _, err := mime.ParseMediaType(item); err != nil || t != jsonBody {
			return false
		}
	}
	return true
}

// sendFile answers with a file: always to be saved, never to be shown as part of our
// origin, and kept by nobody between.
func (s *Server) sendFile(k *call, scope gateway.Scope, it mailbox.Item, f mailbox.File) error {
	etag := `"` + f.ID.String() + `"` // the id names bytes that never change
	k.c.Set("ETag", etag)
	k.c.Set("Accept-Ranges", "bytes")
	k.c.Set("Cache-Control", "private, no-cache")
	k.c.Set("X-Content-Type-Options", "nosniff")
	k.c.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	if hasTag(k.c.Get("If-None-Match"), etag) {
		k.c.Status(fiber.StatusNotModified)
		return nil
	}
	wanted := k.c.Get("Range")
	if same := k.c.Get("If-Range"); same != "" && same != etag {
		wanted = "" // RFC 9110 section 13.1.5: it has another version
	}
	off, n, partial, ok := byteRange(wanted, f.Size)
	if !ok {
		k.c.Set("Content-Range", fmt.Sprintf("bytes */%d", f.Size))
		k.c.Status(fiber.StatusRequestedRangeNotSatisfiable)
		return k.json(problem{StatusCode: fiber.StatusRequestedRangeNotSatisfiable, Name: gateway.InvalidParameter.String(), Message: "the range lies outside of the file", RequestID: k.id})
	}
	r, err := s.cfg.Mail.OpenFile(k.ctx, scope, it, f, off, n)
	if err != nil {
		return err
	}
	if partial {
		k.c.Status(fiber.StatusPartialContent)
		k.c.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, f.Size))
	}
	k.c.Set("Content-Type", f.Type())
	k.c.Set("Content-Disposition", f.Disposition())
	k.c.Context().SetBodyStream(r, int(n))
	return nil
}

// hasTag looks for a tag in an If-None-Match field, which compares weakly: RFC 9110
// section 13.1.2.
func hasTag(field, etag string) bool {
	for item := range strings.SplitSeq(field, ",") {
		if item = strings.TrimPrefix(strings.TrimSpace(item), "W/"); item == etag || item == "*" {
			return true
		}
	}
	return false
}

// byteRange reads a Range field of one range, RFC 9110 section 14.1.2. Several
// ranges, or another unit, are answered with the whole file, as the RFC lets us.
func byteRange(v string, size int64) (off, n int64, partial, ok bool) {
	spec, found := strings.CutPrefix(v, "bytes=")
	from, to, dash := strings.Cut(strings.TrimSpace(spec), "-")
	if !found || !dash || strings.Contains(spec, ",") {
		return 0, size, false, true
	}
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	switch {
	case from == "" && err2 == nil && last > 0: // the last bytes
		off = max(0, size-last)
		return off, size - off, true, size > 0
	case err1 != nil || first < 0 || to != "" && (err2 != nil || last < first):
		return 0, size, false, true // malformed: ignored
	case first >= size:
		return 0, 0, false, false
	case to == "":
		return first, size - first, true, true
	}
	last = min(last, size-1)
	return first, last - first + 1, true, true
}
