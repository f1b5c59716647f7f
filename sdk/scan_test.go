package sdk

import (
	"encoding/json"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// full is an event that says everything.
const full = `{"v":1,"hook":"event","id":"e","attempt":2,"type":"email.received","detail":"d","message_id":"m","time":"2026-01-01T00:00:00Z",
"domain":"x.example","mailbox":"a@x.example","envelope":{"mail_from":"b@y.example","rcpt_to":["a@x.example","c"],"remote_ip":"192.0.2.1","helo":"h"},
"auth":{"spf":"pass","dkim":"none","dmarc":"fail","from_aligned":true,"disposition":"quarantine"},
"automated":{"auto":true,"list":true,"bulk":true,"bounce":true,"reply_ok":true},"size":9007199254740993,"subject":"Gr\u00fc\u00dfe \ud83d\ude00 \ud83d <\u003c",
"from":{"name":"\"B\"\t\/","addr":"b@y.example"},"to":[{"name":"A","addr":"a@x.example"},{}],"cc":[],"bcc":[{"addr":"z"}],"reply_to":null,
"rfc_message_id":"<1>","in_reply_to":"<0>","references":["<0>"],"thread_id":"t","new_thread_id":"n","candidates":[{"thread_id":"t","subject":"s"}],
"via":"rest","api_key_id":"k","tags":[{"name":"a","value":"b"}],"headers":[["Subject","s"],["X"],["Y","1","2"],[]],"text":"one\ntwo","text_truncated":true,
"dry_run":true,"folder":"INBOX","labels":["l"],"flags":["\\Seen"],"score":-1.5e-3,"scheduled":"s","previous":"p",
"parts":[{"i":0,"type":"text/plain","name":"a b","size":5}],"added later":{"a":[1,true,null,{"b":"c"}]}}`

// documents are of every sort that is read, with what encoding/json makes of each.
var documents = []struct {
	name string
	text string
	read func([]byte) (got, want any, gotErr, wantErr error)
}{
	{"event", full, both((*scanner).event)},
	{
		"conversation",
		`{"thread_id":"t","subject":"s","count":3,"messages":[{"id":"i","rfc_message_id":"<1>","sent":true,"from":{"addr":"a"},"to":[{"addr":"b"}],"time":"t","subject":"s","text":"t","text_truncated":true}],"x":1}`,
		both((*scanner).conversation),
	},
	{"keys", ` { "keys" : [ "a" , "b" ] , "next":"b","x":[]}`, both((*scanner).keys)},
	{"response", `{"status":200,"headers":[["Content-Type","text/plain"]],"size":12,"x":0}`, both((*scanner).response)},
}

func both[T any](read func(*scanner) T) func([]byte) (any, any, error, error) {
	return func(doc []byte) (any, any, error, error) {
		got, gotErr := decode(doc, read)
		var want T
		wantErr := json.Unmarshal(doc, &want)
		return got, want, gotErr, wantErr
	}
}

func TestDocuments(t *testing.T) {
	for _, d := range documents {
		got, want, gotErr, wantErr := d.read([]byte(d.text))
		if gotErr != nil || wantErr != nil {
			t.Errorf("%s: %v, %v", d.name, gotErr, wantErr)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n%+v, want\n%+v", d.name, got, want)
		}
	}
	// null is nothing, and what nobody knows yet is passed over.
	for _, text := range []string{
		regexp.MustCompile(`":("(\\.|[^"\\])*"|true|-?[0-9][0-9.e-]*)`).ReplaceAllString(full, `":null`),
		`{"envelope":null,"auth":null,"automated":null,"from":null,"to":null,"parts":null,"labels":null,"headers":null,"tags":[null],"candidates":[null],"cc":[null]}`,
		`{"envelope":{"x":1},"auth":{"x":[]},"automated":{"x":{}},"from":{"x":"y"},"parts":[{"x":1}],"tags":[{"x":1}]}`,
	} {
		got, want, gotErr, wantErr := documents[0].read([]byte(text))
		if gotErr != nil || wantErr != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v %v, want %+v %v", text, got, gotErr, want, wantErr)
		}
	}
	// Nothing that the contract has is left out.
	e, _ := decode([]byte(full), (*scanner).event)
	v := reflect.ValueOf(e)
	for i := range v.NumField() {
		if name := v.Type().Field(i).Name; v.Field(i).IsZero() && name != "ReplyTo" {
			t.Errorf("%s is not read", name)
		}
	}
}

// Documents that are cut off or of another shape are no documents, for us as for
// encoding/json.
func TestDocumentsDamaged(t *testing.T) {
	for _, d := range documents {
		for i := range d.text {
			if _, _, gotErr, _ := d.read([]byte(d.text[:i])); gotErr == nil {
				t.Errorf("%s: the first %d bytes are taken", d.name, i)
			}
		}
	}
	for _, doc := range []string{
		`{"v":"1"}`, `{"v":1.0}`, `{"v":1e2}`, `{"v":99999999999999999999}`, `{"v":true}`, `{"subject":1}`, `{"dry_run":"true"}`, `{"dry_run":0}`, `{"to":{}}`, `{"to":[1]}`,
		`{"from":[]}`, `{"from":"a"}`, `{"score":"1"}`, `{"score":1e999}`, `{"headers":[{}]}`, `{"headers":[[1]]}`, `[]`, `"v"`, `{"v":1}{`, `{"v":1},`, `{null:1}`, `{"v" 1}`,
		`{"v":01}`, `{"v":-}`, `{"score":1.}`, `{"score":.5}`, `{"score":1e}`, `{"score":+1}`, `{"x":tru}`, `{"x":nul}`, `{"x":"\x"}`, `{"x":"\u12g4"}`, `{"x":"\u12"}`, `{"x":[1,]}`, `{"x":1,}`,
		`{"x":`, "", " ", `{"x":@}`,
	} {
		_, _, gotErr, wantErr := documents[0].read([]byte(doc))
		if gotErr == nil || wantErr == nil {
			t.Errorf("%s: %v, and encoding/json: %v", doc, gotErr, wantErr)
		}
	}
}

// What is passed over may nest as deep as a server likes.
func TestDeep(t *testing.T) {
	for _, pair := range [][2]string{{"[", "]"}, {`{"a":`, "}"}, {`[{"a":1,"b":`, "}]"}} {
		deep := strings.Repeat(pair[0], 1<<17) + "1" + strings.Repeat(pair[1], 1<<17)
		if v, ok := lookUp([]byte(`{"deep":`+deep+`,"a":"b"}`), "a"); !ok || v != "b" {
			t.Errorf("%s: %q %v", pair[0], v, ok)
		}
		if _, ok := lookUp([]byte(`{"deep":`+deep[:len(deep)-1]+`,"a":"b"}`), "a"); ok {
			t.Errorf("%s: what is not closed is taken", pair[0])
		}
	}
}

// FuzzScan holds the scanner to encoding/json: it takes every document that is JSON; what
// has no control characters in it, which it takes in strings too, it takes if it is JSON
// alone. Of a document that encoding/json reads as an event, written anew, it reads the
// same event.
func FuzzScan(f *testing.F) {
	for _, d := range documents {
		f.Add([]byte(d.text))
	}
	f.Add([]byte(`{"subject":"\ud83d\u0041\udead\ud83d\ude00","text":"` + "\xff\xc3" + `"}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		_, err := decode(slices.Clone(doc), (*scanner).raw)
		valid := json.Valid(doc)
		strict := !slices.ContainsFunc(doc, func(c byte) bool { return c < ' ' })
		if (err == nil) != valid && (valid || strict) && nested(doc) < 10_000 { // where encoding/json gives up
			t.Errorf("%q: %v, valid: %t", doc, err, valid)
		}
		var e abi.Event
		if json.Unmarshal(doc, &e) != nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		var want abi.Event
		if err := json.Unmarshal(again, &want); err != nil {
			t.Fatal(err)
		}
		got, err := decode(again, (*scanner).event)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v\n%+v, want\n%+v", again, err, got, want)
		}
	})
}

// nested is more than what a document nests.
func nested(doc []byte) (n int) {
	for _, c := range doc {
		if c == '[' || c == '{' {
			n++
		}
	}
	return n
}

// FuzzText reads a string as encoding/json does.
func FuzzText(f *testing.F) {
	for _, s := range []string{`"a"`, `"\ud800"`, `"\ud800\udc00x"`, `"\ud800\u0041"`, `"\udc00\ud800"`, "\"\xff\xe2\\u0082\"", `"\\\"\/\b\f\n\r\t"`, ` null `, `"\uDBFF\uDFFF"`, `"\ud800\u12"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		var want string
		if json.Unmarshal([]byte(doc), &want) != nil {
			return
		}
		if got, err := decode([]byte(doc), (*scanner).text); err != nil || got != want {
			t.Errorf("%q: %q %v, want %q", doc, got, err, want)
		}
	})
}

func TestLookUp(t *testing.T) {
	const doc = `{"answer":"f\u00fcr","n":1.50,"yes":true,"none":null,"list":[{"a":"0"},{"a":{"b":"c"}}],"twice":1,"twice":2,"":"empty"}`
	for path, want := range map[string]string{
		"answer": "für", "n": "1.50", "yes": "true", "list.0.a": "0", "list.1.a": `{"b":"c"}`, "list.1.a.b": "c", "twice": "2", "": "empty",
		"none": "-", "list.2": "-", "list.-1": "-", "list.00": "-", "answer.a": "-", "x": "-", "list.x": "-", "list.0.a.b": "-",
	} {
		got, ok := lookUp([]byte(doc), path)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
	if v, ok := lookUp([]byte(doc+"x"), "answer"); ok {
		t.Errorf("of what is no JSON: %q", v)
	}
}

type marshaler string

func (m marshaler) MarshalJSON() ([]byte, error) { return []byte(m), nil }

// A value is written as encoding/json would.
func TestAppendValue(t *testing.T) {
	v := map[string]any{
		"s": "\"a\"\n", "b": true, "i": -1, "i32": int32(2), "i64": int64(math.MinInt64), "u32": uint32(3), "u64": uint64(math.MaxUint64), "f": 1e300, "nil": nil,
		"list": []any{"a", 1, nil}, "texts": []string{"a", "b"}, "messages": []map[string]string{{"role": "user", "content": "c"}}, "more": []map[string]any{{"a": []any{}}},
		"map": map[string]string{"b": "1", "a": "2"}, "raw": json.RawMessage(`{"x":[1]}`),
	}
	doc, err := appendValue(nil, v, 0)
	if err != nil {
		t.Fatal(err)
	}
	standard, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var got, want any
	if err := json.Unmarshal(doc, &got); err != nil {
		t.Fatalf("%s: %v", doc, err)
	}
	if err := json.Unmarshal(standard, &want); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s, want %s (%v)", doc, standard, err)
	}
	var endless []any
	endless = append(endless, nil)
	endless[0] = endless
	for _, bad := range []any{math.NaN(), math.Inf(-1), struct{}{}, []any{make(chan int)}, map[string]any{"a": uint8(1)}, marshaler("{"), endless} {
		if doc, err := appendValue(nil, bad, 0); err == nil {
			t.Errorf("%T is written: %s", bad, doc)
		}
	}
}

// Mail and requests say the same as encoding/json would make them say.
func TestOutgoing(t *testing.T) {
	for _, m := range []Mail{
		{},
		{
			From: "a", To: []string{"b", "c"}, Cc: []string{"d"}, Bcc: []string{"e"}, ReplyTo: []string{"f"}, Subject: "s\"", Text: "t", HTML: "<p>",
			Headers: map[string]string{"X-B": "1", "X-A": "ü"}, Tags: []Tag{{Name: "a", Value: "b"}, {Name: "c"}}, InReplyTo: "<1>", References: []string{"<0>", "<1>"},
		},
	} {
		var got Mail
		doc := appendMail(nil, &m)
		if err := json.Unmarshal(doc, &got); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%s: %+v %v, want %+v", doc, got, err, m)
		}
	}
	for _, tt := range []struct {
		r    Request
		want abi.HTTPRequest
	}{
		{Request{URL: "https://a.example"}, abi.HTTPRequest{URL: "https://a.example"}},
		{
			Request{Method: "PUT", URL: "u", Header: [][2]string{{"A", "1"}, {"B", "\""}}, Body: []byte("ü")},
			abi.HTTPRequest{Method: "PUT", URL: "u", Headers: [][2]string{{"A", "1"}, {"B", "\""}}, Body: "ü"},
		},
		{Request{URL: "u", Body: []byte{0xff, 0}}, abi.HTTPRequest{URL: "u", Base64: "/wA="}},
	} {
		var got abi.HTTPRequest
		doc := appendRequest(nil, &tt.r)
		if err := json.Unmarshal(doc, &got); err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v %v, want %+v", doc, got, err, tt.want)
		}
	}
}

func BenchmarkEvent(b *testing.B) {
	doc := []byte(full)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if e, err := decode(doc, (*scanner).event); err != nil || e.V != 1 {
			b.Fatal(err)
		}
	}
}
