package rest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/centerleap/postern/gateway"
)

func TestTokensSkip(t *testing.T) {
	for _, tt := range []struct {
		in string
		ok bool
	}{
		{`{}`, true},
		{`[]`, true},
		{`""`, true},
		{`null`, true},
		{`-0.5e+10`, true},
		{`{"a":[1,{"b":null}],"c":"\u00e9\ud83c\udf0e"}`, true},
		{` [ 1 , 2 ] `, true},
		{`"é🌎"`, true},
		{``, false},
		{`{`, false},
		{`{"a"}`, false},
		{`{"a":1,}`, false},
		{`[1,]`, false},
		{`[1 2]`, false},
		{`01`, false},
		{`1.`, false},
		{`-`, false},
		{`"a`, false},
		{"\"\n\"", false},
		{`"\x"`, false},
		{`"\u12g4"`, false},
		{`nul`, false},
		{`tru`, false},
		{`{"a":1,"a":2}`, false},
		{`{} {}`, false},
		{"\"\xff\"", false},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), false},
		{`{1:2}`, false},
	} {
		tok := newTokens(strings.NewReader(tt.in))
		err := tok.skip()
		if err == nil {
			err = tok.end()
		}
		if (err == nil) != tt.ok {
			t.Errorf("%.60q: %v, want ok %v", tt.in, err, tt.ok)
		}
		if kind := gateway.KindOf(err); err != nil && kind != gateway.Malformed && kind != gateway.InvalidParameter {
			t.Errorf("%.60q: %v is not a fault of the client", tt.in, err)
		}
	}
}

// The tokenizer agrees with encoding/json on what is JSON, as far as it means to
// (no repeated members, no invalid UTF-8, bounded depth), and on every string;
// byte by byte or in one piece.
func FuzzTokens(f *testing.F) {
	for _, s := range []string{`{"a":"b\n\u00e9"}`, `["\ud83c\udf0e", "\ud83c"]`, `"é🌎\/"`, `-1.5E+3`, `{"x":{"y":[true,false,null]}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			return
		}
		tok := newTokens(strings.NewReader(s))
		err := tok.skip()
		if err == nil {
			err = tok.end()
		}
		if err == nil && !json.Valid([]byte(s)) {
			t.Errorf("%q is accepted", s)
		}
		var want string
		if json.Unmarshal([]byte(s), &want) != nil || strings.TrimSpace(s) == "null" {
			return
		}
		for _, r := range []io.Reader{strings.NewReader(s), iotest.OneByteReader(strings.NewReader(s))} {
			got, err := newTokens(r).text(1 << 20)
			if err != nil || got != want {
				t.Errorf("%q reads as %q, %v, want %q", s, got, err, want)
			}
		}
	})
}

func TestBase64(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"QQ==", "A"},
		{"QQ", "A"},
		{"QUI=", "AB"},
		{"QUJD", "ABC"},
		{"QU\nJD ", "ABC"},
		{"-_-_", "\xfb\xff\xbf"},
		{"+/+/", "\xfb\xff\xbf"},
		{"Q", "!"},
		{"QQ=", "!"},
		{"QQ==QQ==", "!"},
		{"QUJD=", "!"},
		{"data:text/plain;base64,QQ==", "!"},
		{"QQ*=", "!"},
		{"Q===", "!"},
	} {
		var out bytes.Buffer
		d := base64Writer{w: &out, most: 100}
		err := d.write([]byte(tt.in))
		if err == nil {
			_, err = d.end()
		}
		if tt.want == "!" {
			if gateway.KindOf(err) != gateway.InvalidAttachment {
				t.Errorf("%q: %v, %q", tt.in, err, out.String())
			}
		} else if err != nil || out.String() != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.in, out.String(), err, tt.want)
		}
	}
}

func FuzzBase64(f *testing.F) {
	f.Add([]byte("hello"), 3)
	f.Fuzz(func(t *testing.T, data []byte, at int) {
		enc := base64.StdEncoding.EncodeToString(data)
		if at = max(0, at); at > len(enc) {
			at = len(enc)
		}
		var out bytes.Buffer
		d := base64Writer{w: &out, most: 1 << 20}
		if err := d.write([]byte(enc[:at])); err != nil {
			t.Fatal(err)
		}
		if err := d.write([]byte(enc[at:])); err != nil {
			t.Fatal(err)
		}
		if _, err := d.end(); err != nil || !bytes.Equal(out.Bytes(), data) {
			t.Errorf("%q: %q, %v", data, out.Bytes(), err)
		}
	})
}

func BenchmarkReadSend(b *testing.B) {
	body, err := json.Marshal(map[string]any{
		"from": "hello@demo.localhost", "to": []string{"bot@demo.localhost"}, "subject": "Hello",
		"html": strings.Repeat("<p>some words</p>\n", 100), "text": strings.Repeat("some words\n", 150),
		"attachments": []map[string]string{{"filename": "a.txt", "content": "aGVsbG8="}},
	})
	if err != nil {
		b.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "spool")
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(dir)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		r := &sendReader{t: newTokens(bytes.NewReader(body)), lim: gateway.DefaultLimits(), dir: dir, done: func() {}}
		if err := r.sending(); err != nil || r.list[0].Compose.Attachments[0].Size != 5 {
			b.Fatal(err)
		}
		r.close()
	}
}
