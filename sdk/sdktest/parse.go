package sdktest

import (
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"os"
	"strings"
	"testing"
)

// Read reads a message from a file, such as testdata/spam.eml.
func Read(t testing.TB, file string) Mail {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return Parse(t, string(raw))
}

// Parse reads a message as it travels: its header is decoded, and its parts are
// there to be read. Text is the first part of type text/plain that is no attachment;
// a gateway also makes text of HTML, which is not done here. Character sets are
// UTF-8 and ISO-8859-1.
func Parse(t testing.TB, raw string) Mail {
	t.Helper()
	text := strings.ReplaceAll(raw, "\r\n", "\n")
	head, body, _ := strings.Cut(text, "\n\n")
	m := Mail{raw: []byte(strings.ReplaceAll(text, "\n", "\r\n"))}
	mimeHeader := textproto.MIMEHeader{}
	for line := range strings.Lines(unfold.Replace(head)) {
		name, v, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			t.Fatalf("%q is no header field", line)
		}
		v = strings.TrimSpace(v)
		mimeHeader.Add(name, v)
		switch strings.ToLower(name) { // addresses are decoded once they are taken apart
		case "from":
			m.From = v
		case "to":
			m.To = v
		case "cc":
			m.Cc = v
		case "subject":
			m.Subject = decoded(v)
		default:
			m.Header = append(m.Header, [2]string{name, decoded(v)})
		}
	}
	m.parts = takeApart(t, nil, mimeHeader, strings.NewReader(body))
	for _, p := range m.parts {
		if p.kind == "text/plain" && !p.attached {
			m.Text = string(p.body)
			break
		}
	}
	return m
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
func takeApart(t testing.TB, parts []entity, h textproto.MIMEHeader, body io.Reader) []entity {
	t.Helper()
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if !strings.HasPrefix(kind, "multipart/") {
		return append(parts, leaf(t, kind, params, h, body))
	}
	parts = append(parts, entity{kind: kind})
	r := multipart.NewReader(body, params["boundary"])
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return parts
		} else if err != nil {
			t.Fatalf("%s: %v", kind, err)
		}
		parts = takeApart(t, parts, p.Header, p)
	}
}

func leaf(t testing.TB, kind string, params map[string]string, h textproto.MIMEHeader, body io.Reader) entity {
	t.Helper()
	switch strings.ToLower(h.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("%s: %v", kind, err)
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
	return e
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
