package conformance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

func number(n int64) string { return strconv.FormatInt(n, 10) }

// What a plugin remembers.
func TestKV(t *testing.T) {
	all := make([]byte, 1000)
	for i := range all {
		all[i] = byte(i)
	}
	h := fnv.New32a()
	h.Write(all)
	keys := func(h *host) {
		for _, key := range []string{"a/1", "a/2", "a/3", "a/4", "a/\"ü\n", "b"} {
			h.kv[key] = nil
		}
	}
	run(t, []test{
		{
			name: "put", script: lines("kv_get\tk", "kv_put\tk\tvalue\t60", "kv_get\tk", "kv_put\tk\t\t0", "kv_get\tk"), says: []string{"nothing", "ok", "value", "ok", ""},
			check: func(t *testing.T, h *host) {
				if v, there := h.kv["k"]; !there || len(v) > 0 || h.ttl["k"] != 0 {
					t.Errorf("%q %v for %d", v, there, h.ttl["k"])
				}
			},
		},
		{name: "for a while", script: "kv_put\tk\tv\t4000000000", says: []string{"ok"}, check: func(t *testing.T, h *host) {
			if h.ttl["k"] != 4_000_000_000 {
				t.Errorf("for %d s", h.ttl["k"])
			}
		}},
		{
			name: "any bytes", script: lines("kv_fill\tk\t1000", "kv_sum\tk", "kv_sum\tnone"), says: []string{"ok", fmt.Sprint("1000 ", h.Sum32()), "0 2166136261"},
			check: func(t *testing.T, h *host) {
				if !bytes.Equal(h.kv["k"], all) {
					t.Errorf("it has %x", h.kv["k"])
				}
			},
		},
		{name: "delete", given: keys, script: lines("kv_delete\tb", "kv_delete\tnone", "kv_get\tb"), says: []string{"ok", "ok", "nothing"}},
		{
			name: "count", script: lines("kv_incr\tn\t1\t60", "kv_incr\tn\t9007199254740000\t60", "kv_incr\tn\t-5\t60", "kv_incr\tn\t0\t0"),
			says: []string{"1", "9007199254740001", "9007199254739996", "9007199254739996"},
		},
		{name: "list over pages", given: keys, script: "kv_list\ta/", says: []string{"a/\"ü\n,a/1,a/2,a/3,a/4"}},
		{name: "list one", given: keys, script: "kv_list\tb", says: []string{"b"}},
		{name: "list nothing", given: keys, script: "kv_list\tc", says: []string{""}},
	})
}

// What an import refuses, the author learns.
func TestErrno(t *testing.T) {
	words := map[string]string{
		"kv_put": "kv_put\tk\tv\t0", "kv_delete": "kv_delete\tk", "kv_incr": "kv_incr\tk\t1\t0", "kv_list": "kv_list\tk", "event": "event", "thread": "conversation",
		"part": "part\t0\t10\t1", "http": "http\tGET\thttps://x.example\tA\tb\t", "http_read": "http\tGET\thttps://x.example\tA\tb\t", "send": "mail\ta@x.example\nsend",
	}
	silent := map[string]string{"get": "subject", "header": "header\tSubject", "header_count": "header_count\tSubject", "kv_get": "kv_get\tk"}
	says := map[string]string{"header_count": "0", "kv_get": "nothing"}
	var tests []test
	for _, errno := range errnos {
		for name, script := range words {
			tests = append(tests, test{
				name: name + ": " + errno.Error(), hook: abi.HookEvent, given: func(h *host) { h.errnos[name] = errno }, script: script, says: []string{errno.Error()},
			})
		}
		for name, script := range silent {
			tests = append(tests, test{
				name: name + ": " + errno.Error(), given: func(h *host) { h.errnos[name] = errno }, script: script, says: []string{says[name]},
			})
		}
	}
	run(t, tests)
}

// What a plugin asks of servers.
func TestHTTP(t *testing.T) {
	long := strings.Repeat("long \"ü\"", 2_000)
	body, err := json.Marshal(map[string]any{"n": 1.5, "choices": []any{"no", map[string]any{"message": map[string]any{"content": long}}}, "none": nil})
	if err != nil {
		t.Fatal(err)
	}
	given := func(h *host) {
		h.answers["https://x.example/a"] = answer{abi.HTTPResponse{Status: 418, Headers: [][2]string{{"X-Other", "1"}, {"X-Answer", "a\"b"}, {"x-answer", "second"}}}, "tea"}
		h.answers["https://x.example/b"] = answer{abi.HTTPResponse{Status: 200}, string(body)}
		h.answers["https://x.example/c"] = answer{abi.HTTPResponse{Status: 204}, ""}
	}
	asked := func(want ...abi.HTTPRequest) func(*testing.T, *host) {
		return func(t *testing.T, h *host) {
			if !reflect.DeepEqual(h.requests, want) {
				t.Errorf("asked %+v, want %+v", h.requests, want)
			}
		}
	}
	run(t, []test{
		{
			name: "in full", hook: abi.HookEvent, given: given, script: "http\tPUT\thttps://x.example/a\tX-Q\tq\"\tbody ü", says: []string{`418|a"b|tea`},
			check: asked(abi.HTTPRequest{Method: "PUT", URL: "https://x.example/a", Headers: [][2]string{{"X-Q", `q"`}}, Body: "body ü"}),
		},
		{name: "an empty answer", hook: abi.HookTick, given: given, script: "http\tGET\thttps://x.example/c\tA\tb\t", says: []string{"204||"}},
		{
			name: "values of JSON", hook: abi.HookEvent, given: given,
			script: lines("http_get\thttps://x.example/b\tn", "http_get\thttps://x.example/b\tchoices.0", "http_get\thttps://x.example/b\tchoices.1.message.content",
				"http_get\thttps://x.example/b\tchoices.2", "http_get\thttps://x.example/b\tnone", "http_get\thttps://x.example/b\tn.0", "http_get\thttps://x.example/c\ta"),
			says: []string{"1.5", "no", long, "", "", "", ""},
		},
		{
			name: "JSON with a token", hook: abi.HookEvent, given: given, script: "post_json\thttps://x.example/b\t{\"q\":\"ü\"}\tsecret\tchoices.0", says: []string{"no"},
			check: func(t *testing.T, h *host) {
				headers := map[string]string{}
				for _, f := range h.requests[0].Headers {
					headers[f[0]] = f[1]
				}
				if r := h.requests[0]; r.Method != "POST" || r.Body != `{"q":"ü"}` || headers["Content-Type"] != "application/json" || headers["Authorization"] != "Bearer secret" {
					t.Errorf("asked %+v", r)
				}
			},
		},
		{
			name: "JSON without", hook: abi.HookEvent, given: given, script: "post_json\thttps://x.example/b\t1\t\tn", says: []string{"1.5"},
			check: func(t *testing.T, h *host) {
				if slices.ContainsFunc(h.requests[0].Headers, func(f [2]string) bool { return f[0] == "Authorization" }) {
					t.Errorf("asked %+v", h.requests[0])
				}
			},
		},
		{
			name: "JSON that is deep", hook: abi.HookEvent, given: deep(90), script: "http_get\thttps://x.example/d\tb.c.0", says: []string{"]}A🎉/"},
		},
		{ // an SDK may say that there is no value, and not run out of its stack
			name: "JSON that is deeper", hook: abi.HookEvent, given: deep(20_000), script: "http_get\thttps://x.example/d\tb.c.0",
			check: func(t *testing.T, h *host) {
				if said := h.said(levelInfo); len(said) != 1 || said[0] != "" && said[0] != "]}A🎉/" {
					t.Errorf("said %q", said)
				}
			},
		},
		{
			name: "no JSON", hook: abi.HookEvent,
			given: func(h *host) {
				h.answers["https://x.example/e"] = answer{abi.HTTPResponse{Status: 200}, `{"a":[{"b":"`}
			},
			script: lines("http_get\thttps://x.example/e\tc", "http_get\thttps://x.example/e\ta.1", "http_get\thttps://x.example/e\tx.y.z"), says: []string{"", "", ""},
		},
	})
}

// deep has a server answer with so many objects in each other, and a value behind them.
func deep(objects int) func(*host) {
	text := `{"deep":` + strings.Repeat(`{"a":[`, objects) + strings.Repeat("]}", objects) + ` , "b" : { "c" : [ "]}\u0041\ud83c\udf89\/" ] } }`
	return func(h *host) {
		h.answers["https://x.example/d"] = answer{abi.HTTPResponse{Status: 200}, text}
	}
}

// What a plugin sends.
func TestSend(t *testing.T) {
	run(t, []test{
		{
			name: "all of it", hook: abi.HookTick,
			script: lines("mail\ta@x.example", "to\tb@x.example", "cc\tc@x.example", "bcc\td@x.example", "reply_to\te@x.example", "from\tbot@example.com", "subject\tHi \"ü\"",
				"text\tone", "html\t<p>", "header\tX-A\t1", "header\tX-B\t2", "tag\tk\tv", "in_reply_to\t<1@x.example>", "reference\t<0@x.example>", "reference\t<1@x.example>", "send", "mail\tz@x.example", "send"),
			says: []string{"ok", "ok"},
			check: func(t *testing.T, h *host) {
				want := []abi.Outgoing{{
					From: "bot@example.com", To: []string{"a@x.example", "b@x.example"}, Cc: []string{"c@x.example"}, Bcc: []string{"d@x.example"}, ReplyTo: []string{"e@x.example"},
					Subject: `Hi "ü"`, Text: "one", HTML: "<p>", Headers: map[string]string{"X-A": "1", "X-B": "2"}, Tags: []abi.Tag{{Name: "k", Value: "v"}},
					InReplyTo: "<1@x.example>", References: []string{"<0@x.example>", "<1@x.example>"},
				}, {To: []string{"z@x.example"}}}
				if !reflect.DeepEqual(h.sent, want) {
					t.Errorf("sent %+v, want %+v", h.sent, want)
				}
			},
		},
	})
}
