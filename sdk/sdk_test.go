package sdk

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

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
	} {
		doc := v.appendJSON(nil)
		var got abi.Verdict
		if err := json.Unmarshal(doc, &got); err != nil {
			t.Errorf("%s: %v", doc, err)
		}
		if !reflect.DeepEqual(got, v.doc) {
			t.Errorf("%s: %+v, want %+v", doc, got, v.doc)
		}
	}
}

// A chain leaves the verdict that it starts from as it is.
func TestVerdictChain(t *testing.T) {
	base := Accept().Label("a")
	one, two := base.Label("b"), base.Label("c")
	if one.doc.Labels[1] != "b" || two.doc.Labels[1] != "c" || len(base.doc.Labels) != 1 {
		t.Errorf("%v %v %v", base.doc.Labels, one.doc.Labels, two.doc.Labels)
	}
}

func FuzzText(f *testing.F) {
	f.Add("a\"b\\c\x00\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendText(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := strings.Map(func(r rune) rune { return r }, s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

func BenchmarkVerdict(b *testing.B) {
	b.ReportAllocs()
	v, buf := Accept().Folder("Newsletters").Label("bulk"), []byte(nil)
	for b.Loop() {
		if buf = v.appendJSON(buf[:0]); len(buf) != 60 {
			b.Fatalf("%d %s", len(buf), buf)
		}
	}
}
