package mailauth

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/centerleap/postern/gateway"
)

// field is one header field as it stands, with its line ends.
type field struct {
	name string // empty for a line that is no field
	raw  []byte
	at   int // where it begins in the header section
}

// value is what stands behind the colon, folds included.
func (f field) value() []byte {
	_, v, _ := bytes.Cut(f.raw, []byte(":"))
	return v
}

// is reports whether the field has a name, which is given in lower case.
func (f field) is(name string) bool { return lower(f.name) == name }

// errHeader is a header section that we don't look into: nobody writes one like it.
var errHeader = errors.New("the header is over a limit")

// readHeader reads a header section and leaves r at the body. Past the limit of its bytes
// it is errHeader, with the lines before it.
func readHeader(r *bufio.Reader, most int64) (raw []byte, err error) {
	start := 0 // of the line
	for {
		part, err := r.ReadSlice('\n')
		raw = append(raw, part...)
		switch {
		case int64(len(raw)) > most:
			return raw[:start], fmt.Errorf("%w: %d bytes", errHeader, most)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			return raw, nil
		case err != nil:
			return nil, err
		case len(bytes.TrimRight(raw[start:], "\r\n")) == 0:
			return raw[:start], nil
		}
		start = len(raw)
	}
}

// split cuts a header section into fields. A line that is none is one without a name.
// Past a limit it is errHeader, with the fields before it.
func split(raw []byte, lim gateway.Limits) (fields []field, err error) {
	at, lines := 0, int64(0)
	for line := range bytes.Lines(raw) {
		if c := line[0]; (c == ' ' || c == '\t') && len(fields) > 0 {
			if lines++; lines > lim.FoldedLines {
				return fields, fmt.Errorf("%w: %d lines of one field", errHeader, lim.FoldedLines)
			}
			last := &fields[len(fields)-1]
			last.raw = raw[last.at : at+len(line)]
		} else {
			if int64(len(fields)) >= lim.HeaderFields {
				return fields, fmt.Errorf("%w: %d fields", errHeader, lim.HeaderFields)
			}
			fields, lines = append(fields, field{fieldName(line), line, at}), 1
		}
		at += len(line)
	}
	for i := range fields {
		if f := &fields[i]; f.name == "" {
			f.name = fieldName(f.raw) // some readers take out the folds first
		}
	}
	return fields, nil
}

// fieldName is the name before the colon of a line, RFC 5322 section 3.6.8; obsolete
// white space before the colon is allowed for, and a fold.
func fieldName(line []byte) string {
	name, _, found := bytes.Cut(line, []byte(":"))
	name = bytes.TrimRight(name, " \t\r\n")
	if !found || bytes.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return string(name)
}

// lower folds ASCII letters alone: names of fields and domains are bytes.
func lower(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j, c := range b {
				if 'A' <= c && c <= 'Z' {
					b[j] = c + 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}
