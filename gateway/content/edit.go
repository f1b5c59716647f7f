package content

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// settled are fields that nobody changes after the message was written, besides those
// that CheckHeaders reserves: which message it is and which it answers, and that a program
// wrote it, which keeps programs from answering each other without end.
var settled = map[string]bool{"message-id": true, "in-reply-to": true, "references": true, "auto-submitted": true}

// CheckEdits holds changes of a header to what may be changed: custom fields, and Reply-To.
func CheckEdits(edits []gateway.HeaderEdit, lim gateway.Limits) error {
	var named []gateway.HeaderField
	for _, e := range edits {
		switch low := strings.ToLower(e.Name); {
		case settled[low]:
			return gateway.Fieldf(gateway.InvalidParameter, "headers."+cut(e.Name, 60), "the header field %s can't be changed", e.Name)
		case low == "reply-to" && e.Set:
			if _, err := ParseAddress(e.Value); err != nil {
				return gateway.Fieldf(gateway.InvalidParameter, "headers.Reply-To", "Reply-To is one address")
			}
		case low == "reply-to":
		default:
			named = append(named, gateway.HeaderField{Name: e.Name, Value: e.Value})
		}
	}
	return CheckHeaders(named, lim)
}

// EditFields makes edits to header fields, one after the other. A field that is set
// stands where the first of its name stood, or after all others.
func EditFields(fields []gateway.HeaderField, edits []gateway.HeaderEdit) []gateway.HeaderField {
	for _, e := range edits {
		var out []gateway.HeaderField
		placed := !e.Set
		for _, f := range fields {
			if !strings.EqualFold(f.Name, e.Name) {
				out = append(out, f)
			} else if !placed {
				out, placed = append(out, gateway.HeaderField{Name: e.Name, Value: e.Value}), true
			}
		}
		if !placed {
			out = append(out, gateway.HeaderField{Name: e.Name, Value: e.Value})
		}
		fields = out
	}
	return fields
}

// Rewrite writes the message that r gives, whose header section has headerSize bytes, with
// edits made to that as EditFields would. All other bytes stay as they are: a signature of
// its sender holds unless it is over what was changed.
func Rewrite(w io.Writer, r io.Reader, headerSize int64, edits []gateway.HeaderEdit) error {
	head := make([]byte, headerSize)
	if n, err := io.ReadFull(r, head); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		head = head[:n]
	} else if err != nil {
		return err
	}
	if _, err := w.Write(editHeader(head, edits)); err != nil {
		return err
	}
	_, err := io.Copy(w, r)
	return err
}

// rawField is a header field with its line ends, or a line that is none, whose name is
// empty then.
type rawField struct {
	name string // lower case
	raw  []byte
}

// editHeader makes edits to a header section, which may end with its empty line.
func editHeader(head []byte, edits []gateway.HeaderEdit) []byte {
	fields, end := rawFields(head)
	for _, e := range edits {
		name := strings.ToLower(e.Name)
		at := slices.IndexFunc(fields, func(f rawField) bool { return f.name == name })
		fields = slices.DeleteFunc(fields, func(f rawField) bool { return f.name == name })
		if !e.Set {
			continue
		}
		if at < 0 {
			at = len(fields)
		}
		fields = slices.Insert(fields, at, rawField{name, appendField(nil, gateway.HeaderField{Name: e.Name, Value: e.Value})})
	}
	var out []byte
	for _, f := range fields {
		if len(out) > 0 && out[len(out)-1] != '\n' { // the last line may have no end
			out = append(out, "\r\n"...)
		}
		out = append(out, f.raw...)
	}
	return append(out, end...)
}

// rawFields cuts a header section as splitHeader does, and keeps each byte of it.
func rawFields(head []byte) (fields []rawField, end []byte) {
	for len(head) > 0 {
		line := head
		if i := bytes.IndexByte(head, '\n'); i >= 0 {
			line = head[:i+1]
		}
		text := bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
		if len(text) == 0 {
			return fields, head
		}
		head = head[len(line):]
		if last := len(fields) - 1; (text[0] == ' ' || text[0] == '\t') && last >= 0 && fields[last].name != "" {
			fields[last].raw = append(fields[last].raw, line...)
			continue
		}
		name, _, found := bytes.Cut(text, []byte(":"))
		if name = bytes.TrimRight(name, " \t"); !found || !isToken(name) {
			name = nil
		}
		fields = append(fields, rawField{strings.ToLower(string(name)), bytes.Clone(line)})
	}
	return fields, nil
}
