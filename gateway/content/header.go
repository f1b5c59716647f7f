package content

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// field is one header field: its name as written, and its value unfolded.
type field struct{ name, value string }

var (
	errHeaderSize   = errors.New("header section too large")
	errHeaderFields = errors.New("too many header fields")
	errFolded       = errors.New("a header field has too many lines")
)

// splitHeader cuts a header section into fields. A line that is none, such as
// the From_ line of an mbox, is passed over: ok is then false.
func splitHeader(b []byte, lim gateway.Limits) (fields []field, ok bool, err error) {
	ok = true
	var value strings.Builder
	name, lines := "", int64(0)
	flush := func() {
		if name != "" {
			fields = append(fields, field{name, strings.TrimSpace(value.String())})
		}
		name = ""
		value.Reset()
	}
	for len(b) > 0 {
		line := b
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			line, b = b[:i], b[i+1:]
		} else {
			b = nil
		}
		line = bytes.TrimSuffix(line, []byte("\r"))
		if len(line) == 0 {
			break
		}
		if (line[0] == ' ' || line[0] == '\t') && name != "" {
			if lines++; lines > lim.FoldedLines {
				return nil, false, errFolded
			}
			value.Write(line) // RFC 5322 section 2.2.3: unfolding removes the line end alone
			continue
		}
		flush()
		n, v, found := bytes.Cut(line, []byte(":"))
		n = bytes.TrimRight(n, " \t")
		if !found || !isToken(n) {
			ok = false
			continue
		}
		if int64(len(fields)) >= lim.HeaderFields {
			return nil, false, errHeaderFields
		}
		name, lines = string(n), 1
		value.Write(v)
	}
	flush()
	return fields, ok, nil
}

// isToken reports whether b may be a field name, RFC 5322 section 3.6.8.
func isToken(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(b) > 0
}

// header looks fields up by name.
type header []field

func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			return f.value
		}
	}
	return ""
}

func (h header) all(name string) (values []string) {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			values = append(values, f.value)
		}
	}
	return values
}

func (h header) count(name string) (n int) {
	for _, f := range h {
		if strings.EqualFold(f.name, name) {
			n++
		}
	}
	return n
}

// Header lists the fields of a message whose header section r starts with,
// decoded for reading. TooLarge past the limits.
func Header(r io.Reader, lim gateway.Limits) ([]gateway.HeaderField, error) {
	b, err := io.ReadAll(io.LimitReader(bufio.NewReader(r), lim.HeaderBytes*2))
	if err != nil {
		return nil, err
	}
	fields, _, err := splitHeader(b, lim)
	if err != nil {
		return nil, tooLarge(err)
	}
	out := make([]gateway.HeaderField, len(fields))
	for i, f := range fields {
		out[i] = gateway.HeaderField{Name: f.name, Value: decodeField(f.value)}
	}
	return out, nil
}

func tooLarge(err error) error {
	return &gateway.Error{Kind: gateway.TooLarge, Message: "the message's header is over a limit: " + err.Error(), Err: err}
}

// maxIDs bounds a list of Message-IDs: the first, and the newest of the others.
const maxIDs = 100

// MessageIDs returns the ids of a References or In-Reply-To field, each with
// its angle brackets. What is not of that form is passed over.
func MessageIDs(value string) (ids []string) {
	for {
		i := strings.IndexByte(value, '<')
		if i < 0 {
			return ids
		}
		value = value[i:]
		end := strings.IndexByte(value, '>')
		if end < 0 {
			return ids
		}
		if next := strings.IndexByte(value[1:end], '<'); next >= 0 {
			value = value[next+1:]
			continue
		}
		if id := value[:end+1]; usableID(id) {
			if len(ids) == maxIDs {
				ids = append(ids[:1], ids[2:]...)
			}
			ids = append(ids, id)
		}
		value = value[end+1:]
	}
}

// usableID reports whether a Message-ID can name a message: <...> without white
// space, control characters or another bracket, at most 250 bytes.
func usableID(id string) bool {
	if len(id) < 3 || len(id) > 250 || id[0] != '<' || id[len(id)-1] != '>' {
		return false
	}
	for i := 1; i < len(id)-1; i++ {
		if c := id[i]; c <= ' ' || c >= 0x7f || c == '<' || c == '>' {
			return false
		}
	}
	return true
}

// PickFields returns the fields of some names, or all others, out of a header
// section, as they stand and in their order, with the empty line that ends one.
func PickFields(raw []byte, names []string, others bool) []byte {
	var out []byte
	keep := false
	for line := range bytes.Lines(raw) {
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			break
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			name = bytes.TrimRight(name, " \t")
			keep = others != slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, string(name)) })
		}
		if keep {
			out = append(out, line...)
		}
	}
	return append(out, "\r\n"...)
}
