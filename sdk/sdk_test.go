package sdk

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/centerleap/postern/sdk/abi"
)

// A verdict says the same as encoding/json would make it say.
func TestVerdictJSON(t *testing.T) {
	for _, v := range []Verdict{
		{},
		Accept(),
		Accept().Folder("A/B").Label("a", "b").Label("c").Flag(`\Seen`).AddHeader("X-A", "1").AddHeader("X-B", "\"q\"").Score(-0.5).Reason("why").Final(),
		Reject(0, ""),
		Reject(554, "no \u2028 way\x01"),
		Tempfail("later"), Quarantine("odd"), Discard(), Allow(), Deny("no"), Hold("wait"), Join("id"), NewThread(),
		HoldUntil("wait", time.Unix(0, 0)), Merge("", "a", "b"), Merge("id"), Split("a"), Accept().Final(), Accept().Score(2), Accept().Keep(),
		Accept().Unlabel("a").Unlabel("b", "c"), Accept().Flag(`\Seen`), Accept().Redirect("a@x.example").Redirect("b@x.example").Keep(),
		Allow().SetHeader("X-A", "1").DeleteHeader("X-B").AddHeader("X-C", ""), Allow().Subject(""), Allow().Subject("s").Body("t", ""), Allow().Body("", "<p>"),
		Allow().Tag("k", "v").Tag("k", ""), Allow().Remove("a@x.example", "b@x.example"), Accept().Reply(Text("t")),
		Accept().Reply(HTML("<b>").Text("b").From("a@x.example").Subject("s")),
	} {
		doc := v.appendJSON(nil)
		var got abi.Verdict
		if err := json.Unmarshal(doc, &got); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		if !reflect.DeepEqual(got, v.doc) {
			t.Errorf("%s: %+v, want %+v", doc, got, v.doc)
		}
		if got.Action == abi.Accept {
			got.Action = ""
		}
		if want := reflect.DeepEqual(got, abi.Verdict{}); v.accepts() != want {
			t.Errorf("%s says no more than none does: %v, want %v", doc, !want, want)
		}
	}
}

// A chain leaves the verdict that it starts from as it is.
func TestVerdictChain(t *testing.T) {
	base := Accept().Label("a")
	one, two := base.Label("b"), base.Label("c")
	if r := Text("a"); r.HTML("b").doc == r.Text("c").doc || r.doc != Text("a").doc {
		t.Error("a reply changes with what is made of it")
	}
	if one.doc.Labels[1] != "b" || two.doc.Labels[1] != "c" || len(base.doc.Labels) != 1 {
		t.Errorf("%v %v %v", base.doc.Labels, one.doc.Labels, two.doc.Labels)
	}
}

// Whatever an author puts into a verdict, the document is valid JSON in UTF-8, and
// reads as what encoding/json would have written.
func FuzzVerdict(f *testing.F) {
	f.Add("a\"b\\c\x00\xff\u2028\x7f", "\xed\xa0\x80\r\n", 554, 1e21)
	f.Add("", "<&>", -1, math.Inf(1))
	f.Fuzz(func(t *testing.T, a, b string, code int, score float64) {
		v := Reject(code, a).Folder(b).Label(a, b).Flag(b).AddHeader(a, b).AddHeader(b, a).Score(score).Reason(b)
		v = v.Redirect(b).SetHeader(b, b).Subject(a).Body(a, b).Tag(a, b).Remove(a).Reply(Text(a).HTML(b).From(b).Subject(a)).Unlabel(b)
		v.doc.Thread = &abi.ThreadMove{Op: a, ThreadID: b, With: []string{a}}
		doc := v.appendJSON(nil)
		if !utf8.Valid(doc) {
			t.Errorf("%q is not UTF-8", doc)
		}
		if math.IsNaN(score) || math.IsInf(score, 0) {
			v.doc.Score = 0
		}
		standard, err := json.Marshal(v.doc)
		if err != nil {
			t.Fatal(err)
		}
		var got, want abi.Verdict
		if err := errors.Join(json.Unmarshal(doc, &got), json.Unmarshal(standard, &want)); err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s, want %s", doc, standard)
		}
	})
}

// A hook that is not there, or whose verdict is refused, is a failure.
func TestStatus(t *testing.T) {
	Outbound(func(*Message) Verdict { return Allow() })
	defer func() { outbound = nil }()
	if got := Serve(&refuser{}, abi.HookInbound); got != statusNoHook {
		t.Errorf("%d, want %d", got, statusNoHook)
	}
	h := &refuser{}
	if got := Serve(h, abi.HookOutbound); got != statusNoVerdict || !strings.Contains(h.said, abi.Denied.Error()) {
		t.Errorf("%d %q, want %d", got, h.said, statusNoVerdict)
	}
}

// refuser is a host that takes no verdict.
type refuser struct {
	Host
	said string
}

func (r *refuser) Verdict([]byte) error   { return abi.Denied }
func (r *refuser) Log(_ int, text string) { r.said = text }

func BenchmarkVerdict(b *testing.B) {
	b.ReportAllocs()
	v, buf := Accept().Folder("Newsletters").Label("bulk"), []byte(nil)
	for b.Loop() {
		if buf = v.appendJSON(buf[:0]); len(buf) != 60 {
			b.Fatalf("%d %s", len(buf), buf)
		}
	}
}
