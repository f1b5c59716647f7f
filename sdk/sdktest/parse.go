package sdktest

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"os"
	"strings"
)

// File is the message in a file, such as testdata/spam.eml. If there is none, the test
// that uses it fails.
func File(name string) Mail {
	raw, err := os.ReadFile(name)
	if err != nil {
		return Mail{broken: err}
	}
	return Raw(string(raw))
}

// Raw is a message as it travels: its header is decoded, and its parts are there to be
// read. Text is the first part of type text/plain that is no attachment; a gateway also
// makes text of HTML, which is not done here. Character sets are UTF-8 and ISO-8859-1.
func Raw(raw string) Mail {
	text := strings.ReplaceAll(raw, "\r\n", "\n")
	head, body, _ := strings.Cut(text, "\n\n")
	m := Mail{raw: []byte(strings.ReplaceAll(text, "\n", "\r\n"))}
	mimeHeader := textproto.MIMEHeader{}
	for line := range strings.Lines(unfold.Replace(head)) {
		name, v, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			return Mail{broken: fmt.Errorf("%q is no header field", line)}
		}
		v = strings.TrimSpace(v)
		mimeHeader.Add(name, v)
		m.field(name, v)
	}
	m.parts, m.broken = takeApart(nil, mimeHeader, strings.NewReader(body))
	for _, p := range m.parts {
		if p.kind == "text/plain" && !p.attached {
			m.Text = string(p.body)
			break
		}
	}
	return m
}

// field notes a header field. Addresses are decoded once they are taken apart.
func (m *Mail) field(name, v string) {
	switch strings.ToLower(name) {
	case "from":
		m.From = v
	case "to":
		m.To = v
	case "cc":
		m.Cc = v
	case "reply-to":
		m.ReplyTo = v
	case "subject":
		m.Subject = decoded(v)
	default:
		m.Header = append(m.Header, [2]string{name, decoded(v)})
	}
}

var unfold = strings.NewReplacer("\n ", " ", "\n\t", " ")

// decoded is a header field's value without encoded words, RFC 2047; as it is if
// they make no sense.
func decoded(v string) string {
	if d, err := new(mime.WordDecoder).DecodeHeader(v); err == nil {
		return d
	}
	return v
}

// entity is one MIME part. One that holds others has no bytes of its own.
type entity struct {
	kind, name string
	attached   bool
	body       []byte // decoded
}

// takeApart adds a part, and behind it those it holds, as a gateway counts them.
func takeApart(parts []entity, h textproto.MIMEHeader, body io.Reader) ([]entity, error) {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if !strings.HasPrefix(kind, "multipart/") {
		e, err := leaf(kind, params, h, body)
		return append(parts, e), err
	}
	parts = append(parts, entity{kind: kind})
	r := multipart.NewReader(body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts, nil
		} else if err != nil {
			return parts, fmt.Errorf("%s: %w", kind, err)
		}
		if parts, err = takeApart(parts, p.Header, p); err != nil {
			return parts, err
		}
	}
}

func leaf(kind string, params map[string]string, h textproto.MIMEHeader, body io.Reader) (entity, error) {
	switch strings.ToLower(h.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return entity{}, fmt.Errorf("%s: %w", kind, err)
	}
	e := entity{kind: kind, name: decoded(params["name"]), body: b}
	disposition, more, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	if err == nil {
		e.attached = disposition == "attachment"
		if name := more["filename"]; name != "" {
			e.name = decoded(name)
		}
	}
	if strings.HasPrefix(kind, "text/") {
		e.body = []byte(utf8Text(string(b), params["charset"]))
	}
	return e, nil
}

// utf8Text makes UTF-8 of a text, with line ends of one byte.
func utf8Text(s, charset string) string {
	if strings.EqualFold(charset, "iso-8859-1") {
		runes := make([]rune, len(s))
		for i := range len(s) {
			runes[i] = rune(s[i])
		}
		s = string(runes)
	}
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\uFFFD")
}
