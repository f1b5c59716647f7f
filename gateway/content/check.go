package content

import (
	"fmt"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// CheckCompose says what is wrong with the fields of c, before anything is
// written: the first fault, by its field.
func CheckCompose(c *gateway.Compose, lim gateway.Limits) error {
	if strings.ContainsAny(c.Subject, "\r\n\x00") {
		return gateway.Fieldf(gateway.InvalidParameter, "subject", "subject must be one line")
	}
	for _, l := range []struct {
		field string
		list  []gateway.Address
	}{{"from", []gateway.Address{c.From}}, {"to", c.To}, {"cc", c.Cc}, {"bcc", c.Bcc}, {"reply_to", c.ReplyTo}} {
		if int64(len(l.list)) > lim.Recipients {
			return gateway.Fieldf(gateway.InvalidParameter, l.field, "%s has %d addresses; at most %d are allowed", l.field, len(l.list), lim.Recipients)
		}
		for _, a := range l.list {
			if strings.ContainsAny(a.Name, "\r\n\x00") {
				return gateway.Fieldf(gateway.InvalidParameter, l.field, "a name must be one line")
			}
		}
	}
	shown := make(map[string]bool)
	for i, a := range c.Attachments {
		field := fmt.Sprintf("attachments[%d]", i)
		if strings.ContainsAny(a.Filename+a.ContentID+a.ContentType, "\r\n\x00") || strings.ContainsFunc(a.ContentID, notOfID) {
			return gateway.Fieldf(gateway.InvalidAttachment, field, "a filename, content type or content id must be one line of text")
		}
		if shown[a.ContentID] && a.ContentID != "" {
			return gateway.Fieldf(gateway.InvalidAttachment, field+".content_id", "two attachments have the content id %s", cut(a.ContentID, 60))
		}
		shown[a.ContentID] = true
	}
	return CheckHeaders(c.Headers, lim)
}

// notOfID finds what can't stand between the brackets of a Content-ID, RFC 2045
// section 7.
func notOfID(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' }

// reserved are fields that the gateway writes itself, or that say how a mail
// travelled. Source: RFC 5322 section 3.6, RFC 8601 section 5. Message-ID,
// In-Reply-To and References are a client's to give; the sending flow takes them
// out of the custom fields before it composes.
var reserved = map[string]bool{
	"from": true, "to": true, "cc": true, "bcc": true, "subject": true, "date": true, "sender": true, "received": true,
	"return-path": true, "dkim-signature": true, "mime-version": true, "authentication-results": true, "reply-to": true,
	"delivered-to": true, "received-spf": true,
}

// CheckHeaders holds custom header fields to what may stand in a message.
func CheckHeaders(fields []gateway.HeaderField, lim gateway.Limits) error {
	if int64(len(fields)) > lim.CustomHeaders {
		return gateway.Fieldf(gateway.InvalidParameter, "headers", "%d header fields; at most %d are allowed", len(fields), lim.CustomHeaders)
	}
	var size int64
	for _, f := range fields {
		at := "headers." + cut(f.Name, 60)
		low := strings.ToLower(f.Name)
		switch {
		case !isToken(f.Name) || len(f.Name) > 100:
			return gateway.Fieldf(gateway.InvalidParameter, "headers", "%q is no name of a header field", cut(f.Name, 60))
		case reserved[low] || strings.HasPrefix(low, "content-") || strings.HasPrefix(low, "arc-") || strings.HasPrefix(low, "x-postern-") || strings.HasPrefix(low, "resent-"):
			return gateway.Fieldf(gateway.InvalidParameter, at, "the header field %s can't be set", f.Name)
		case strings.ContainsFunc(f.Value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return gateway.Fieldf(gateway.InvalidParameter, at, "the header field %s must be one line of text", f.Name)
		}
		size += int64(len(f.Name) + len(f.Value))
	}
	if size > lim.CustomHeaderBytes {
		return gateway.Fieldf(gateway.InvalidParameter, "headers", "the header fields have %d bytes; at most %d are allowed", size, lim.CustomHeaderBytes)
	}
	return nil
}
