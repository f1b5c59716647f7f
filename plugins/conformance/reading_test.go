package conformance

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// What an SDK tells of a message is what the gateway says.
func TestMessage(t *testing.T) {
	run(t, []test{
		{name: "subject", script: "subject", says: []string{"Your invoice"}},
		{name: "words of it", script: lines("subject_contains\tlottery\tINVOICE", "subject_contains\tlottery"), says: []string{"true", "false"}},
		{
			name: "header", script: lines("header\treceived", "header\tSUBJECT", "header_at\tReceived\t1", "header_at\tReceived\t-1", "header_count\tReceived", "has_header\tReceived"),
			says: []string{"first", "Your invoice", "second", "second", "2", "true"},
		},
		{
			name: "missing header", script: lines("header\tX-None", "header_at\tReceived\t2", "header_at\tX-None\t-1", "header_count\tX-None", "has_header\tX-None", "header\tX-Empty", "has_header\tX-Empty"),
			says: []string{"", "", "", "0", "false", "", "true"},
		},
		{
			name: "addresses", script: lines("from", "to", "cc", "recipients"),
			says: []string{"Ann <ann@peer.example>", "Bot <bot@example.com>,  <ops@example.com>", "Zoë <zoe@example.com>", "bot@example.com, ops@example.com"},
		},
		{
			name: "no addresses", given: func(h *host) { h.event = abi.Event{} }, script: lines("from", "to", "cc", "recipients", "labels", "flags"),
			says: []string{" <>", "", "", "", "", ""},
		},
		{
			name: "findings", script: lines("auth", "reply_ok", "dry_run"),
			says: []string{"pass fail none true quarantine", "true", "true"},
		},
		{
			name: "names", script: lines("message_id", "mailbox", "thread_id", "new_thread_id", "via"),
			says: []string{"<1@peer.example>", "bot@example.com", "thread-1", "thread-2", "rest"},
		},
		{
			name: "what it answers", script: lines("reply_to", "in_reply_to", "references", "size", "id", "domain"),
			says: []string{"re@peer.example, too@peer.example", "<0@peer.example>", "<a@x>, <0@peer.example>", "18234", "0197-1", "example.com"},
		},
		{
			name: "turn", hook: abi.HookTick, script: lines("scheduled", "previous"), says: []string{"2026-11-28T09:00:00Z", ""},
			given: func(h *host) { h.event = abi.Event{Scheduled: "2026-11-28T09:00:00Z"} }, check: undecided,
		},
		{name: "so far", script: lines("in_folder", "labels", "flags", "score_so_far"), says: []string{"INBOX", "a, b", `\Seen`, "1.5"}},
		{name: "happening", hook: abi.HookEvent, script: lines("type", "event_id", "attempt", "detail"), says: []string{"email.received", "evt_1", "3", "ann@example.com"}},
		{name: "configuration", given: func(h *host) { h.config["a"] = "1" }, script: lines("config\ta", "config\tnone", "secret\ta", "now"), says: []string{"1", "", "1", "1795856400123"}},
	})
}

// Whatever the texts are, they come through whole.
func TestTexts(t *testing.T) {
	for _, tt := range []struct{ name, text string }{
		{"plain", "Hello."},
		{"empty", ""},
		{"quotes", `"a" \ 'b' </script>`},
		{"control", "a\tb\r\nc\x01\x1f\x7f"},
		{"beyond ASCII", "Zoë €uro 漢字 🎉 e\u0301 \u2028 \ufffd \U0010ffff"},
		{"as long as the first room", strings.Repeat("x", 255) + "y"},
		{"longer", strings.Repeat("0123456789", 1600)},
		{"deep JSON", strings.Repeat(`[{"a":`, 1000) + `"\"` + strings.Repeat("}]", 1000)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			given := func(h *host) {
				h.event.Subject, h.event.Text, h.event.Headers = tt.text, tt.text, [][2]string{{"X", tt.text}, {"Y", "last"}}
				h.config["a"], h.kv["k"] = tt.text, []byte(tt.text)
			}
			run(t, []test{{
				name: "", given: given, script: lines("subject", "header\tX", "text\t20000", "config\ta", "kv_get\tk", "kv_put\tcopy\t$a\t0", "event", "reason\t$a", "label\t$a"),
				says:    []string{tt.text, tt.text, tt.text, tt.text, tt.text, "ok", fmt.Sprintf("%s|%s,last|%s|text/plain,application/pdf", tt.text, tt.text, tt.text)},
				verdict: &abi.Verdict{Reason: tt.text, Labels: []string{tt.text}},
				check: func(t *testing.T, h *host) {
					if string(h.kv["copy"]) != tt.text {
						t.Errorf("put %q, want %q", h.kv["copy"], tt.text)
					}
				},
			}})
		})
	}
}

// A character beyond ASCII may stand anywhere, whatever is done to several at once.
func TestWideCharacters(t *testing.T) {
	var tests []test
	for i := range 20 {
		text := strings.Repeat("x", i/2) + []string{"üyyyyy", "🎉y"}[i%2]
		tests = append(tests, test{
			name: text, script: lines("subject", "kv_get\t"+text), says: []string{text, text + "."},
			given: func(h *host) { h.event.Subject, h.kv[text] = text, []byte(text+".") },
		})
	}
	run(t, tests)
}

// A text is cut between characters.
func TestText(t *testing.T) {
	given := func(h *host) { h.event.Text = "a€b" }
	run(t, []test{{name: "cut", given: given, script: lines("text\t0", "text\t1", "text\t2", "text\t3", "text\t4", "text\t5", "text\t100"), says: []string{"", "a", "a", "a", "a€", "a€b", "a€b"}}})
}

// A part is read piece by piece, however large it is.
func TestParts(t *testing.T) {
	large := make([]byte, 25<<20)
	for i := range large {
		large[i] = byte(i * 31 >> 8)
	}
	small := []byte("0123456789 and bytes that are no text: \x00\xff\xfe")
	given := func(h *host) { h.parts = [][]byte{small, large, {}} }
	const room, step = 64 << 10, 4096
	run(t, []test{
		{name: "in one piece", given: given, script: "part\t0\t1000\t1", says: []string{sampled(small, 1000, 1)}},
		{name: "in many", given: given, script: "part\t0\t7\t1", says: []string{sampled(small, 7, 1)}},
		{name: "of 25 MiB", given: given, script: fmt.Sprintf("part\t1\t%d\t%d", room, step), says: []string{sampled(large, room, step)}},
		{name: "empty", given: given, script: "part\t2\t10\t1", says: []string{sampled(nil, 10, 1)}},
		{name: "missing", given: given, script: "part\t3\t10\t1", says: []string{abi.Absent.Error()}},
		{name: "not permitted", given: func(h *host) { h.errnos["part"] = abi.Denied }, script: "part\t-1\t10\t1", says: []string{abi.Denied.Error()}},
	})
}

// sampled is what the word part says: how long it is, and a hash of each so-manieth byte
// of what there is room for.
func sampled(b []byte, room, step int) string {
	h := fnv.New32a()
	for from := 0; from < len(b); from += room {
		for i := from; i < min(from+room, len(b)); i += step {
			h.Write(b[i : i+1])
		}
	}
	return fmt.Sprint(len(b), " ", h.Sum32())
}

// The conversation of a message.
func TestConversation(t *testing.T) {
	given := func(h *host) {
		h.conversation = abi.Conversation{ThreadID: "t1", Subject: "Re: \"x\"", Count: 30, Messages: []abi.Said{{Text: "one"}, {Text: "zwei\n\u00fc"}}}
	}
	run(t, []test{
		{name: "is there", given: given, script: "conversation", says: []string{"t1|Re: \"x\"|30|one,zwei\n\u00fc"}},
		{name: "is not", given: func(h *host) { h.errnos["thread"] = abi.Denied }, script: "conversation", says: []string{abi.Denied.Error()}},
	})
}
