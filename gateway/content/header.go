package content

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

var (
	errHeaderSize   = errors.New("header section too large")
	errHeaderFields = errors.New("too many header fields")
	errFolded       = errors.New("a header field has too many lines")
)

// usualFields is how many fields there is room for beforehand; ours.
const usualFields = 64

// unfold removes the line ends of a field, and nothing else: RFC 5322 section 2.2.3.
func unfold(value string) string {
	var out strings.Builder
	out.Grow(len(value))
	for line := range strings.Lines(value) {
		if text, ended := strings.CutSuffix(line, "\n"); ended {
			line = strings.TrimSuffix(text, "\r")
		}
		out.WriteString(line)
	}
	return out.String()
}

// splitHeader cuts a header section into fields, each with its name as written and its
// value unfolded; they are pieces of one text. A line that is none, such as the From_ line
// of an mbox, is passed over: ok is then false.
func splitHeader(b []byte, lim gateway.Limits) (fields header, ok bool, err error) {
	ok = true
	text, name := string(b), ""
	fields = make(header, 0, min(bytes.Count(b, []byte("\n")), usualFields))
	var from, to int // where the value of name is in text
	var lines int64
	flush := func() {
		if name == "" {
			return
		}
		value := text[from:to]
		if lines > 1 {
			value = unfold(value)
		}
		fields = append(fields, gateway.HeaderField{Name: name, Value: strings.TrimSpace(value)})
		name = ""
	}
	for at := 0; at < len(text); {
		line, _, ended := strings.Cut(text[at:], "\n")
		start := at
		if at += len(line); ended {
			at++
		}
		if line = strings.TrimSuffix(line, "\r"); line == "" {
			break
		}
		if (line[0] == ' ' || line[0] == '\t') && name != "" {
			if lines++; lines > lim.FoldedLines {
				return nil, false, errFolded
			}
			to = start + len(line)
			continue
		}
		flush()
		n, _, found := strings.Cut(line, ":")
		from, to, lines = start+len(n)+1, start+len(line), 1
		n = strings.TrimRight(n, " \t")
		if !found || !isToken(n) {
			ok = false
			continue
		}
		if int64(len(fields)) >= lim.HeaderFields {
			return nil, false, errHeaderFields
		}
		name = n
	}
	flush()
	return fields, ok, nil
}

// isToken reports whether b may be a field name, RFC 5322 section 3.6.8.
func isToken[T string | []byte](b T) bool {
	for i := range len(b) {
		if c := b[i]; c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(b) > 0
}

// header looks fields up by name.
type header []gateway.HeaderField

func (h header) get(name string) string {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

func (h header) all(name string) (values []string) {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			values = append(values, f.Value)
		}
	}
	return values
}

func (h header) count(name string) (n int) {
	for _, f := range h {
		if strings.EqualFold(f.Name, name) {
			n++
		}
	}
	return n
}

// Header lists the fields of a message whose header section r starts with,
// decoded for reading. TooLarge past the limits.
func Header(r io.Reader, lim gateway.Limits) ([]gateway.HeaderField, error) {
	b, err := io.ReadAll(io.LimitReader(r, lim.HeaderBytes*2))
	if err != nil {
		return nil, err
	}
	return decodeHeader(b, lim)
}

// decodeHeader is Header of a section that has been read.
func decodeHeader(b []byte, lim gateway.Limits) ([]gateway.HeaderField, error) {
	fields, _, err := splitHeader(b, lim)
	if err != nil {
		return nil, tooLarge(err)
	}
	return decoded(fields), nil
}

// decoded makes the values of fields readable.
func decoded(fields []gateway.HeaderField) []gateway.HeaderField {
	for i := range fields {
		fields[i].Value = decodeField(fields[i].Value)
	}
	return fields
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
