package gateway

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// Whatever differs in a verdict makes it another one, and an opinion; a field that Same or
// None forgets fails here.
func TestVerdictSame(t *testing.T) {
	subject := "s"
	full := Verdict{
		Action: ActionReject, Code: 550, Text: "t", Folder: "f", Flags: Seen, Labels: []string{"l"}, Unlabel: []string{"u"}, Redirect: []string{"r"}, Keep: true,
		Headers: []HeaderField{{"n", "v"}}, Edits: []HeaderEdit{{true, "n", "v"}}, Subject: &subject, Body: &Body{Text: "b"}, Tags: []Tag{{"n", "v"}},
		Remove: []string{"r"}, Until: time.Unix(1, 0), Reply: &AutoReply{Subject: "s"}, Thread: ThreadChoice{New: true}, Score: 1, Final: true,
	}
	typ := reflect.TypeFor[Verdict]()
	for i := range typ.NumField() {
		one := Verdict{}
		from := reflect.ValueOf(full).Field(i)
		if from.IsZero() {
			t.Errorf("%s is not tested", typ.Field(i).Name)
		}
		reflect.ValueOf(&one).Elem().Field(i).Set(from)
		if one.Same(&Verdict{}) || (&Verdict{}).Same(&one) || !one.Same(&one) {
			t.Errorf("%s is not compared", typ.Field(i).Name)
		}
		if one.None() {
			t.Errorf("%s is no opinion", typ.Field(i).Name)
		}
	}
	if empty := (Verdict{Labels: []string{}, Headers: []HeaderField{}}); !empty.None() {
		t.Error("lists of nothing are an opinion")
	}
	other := full
	again := subject
	other.Subject, other.Labels = &again, append([]string{}, full.Labels...)
	if !full.Same(&other) {
		t.Error("equal verdicts differ")
	}
}

// A long text is cut, and still told from another that begins the same.
func TestVerdictBrief(t *testing.T) {
	long := strings.Repeat("ä", 500)
	a, b := Verdict{Body: &Body{Text: long, HTML: "short"}, Reply: &AutoReply{Body: Body{Text: long + "1"}}}, Verdict{Body: &Body{Text: long + "2", HTML: "short"}}
	ba, bb := a.Brief(), b.Brief()
	if ba.Same(&bb) || !strings.HasPrefix(ba.Body.Text, strings.Repeat("ä", 100)+" [1000 bytes, sha256 ") || ba.Body.HTML != "short" {
		t.Errorf("%v %v", ba.Body, bb.Body)
	}
	if len(ba.Reply.Text) > 300 || a.Reply.Text != long+"1" || a.Body.Text != long {
		t.Errorf("%s", fmt.Sprint(ba.Reply.Text, a.Reply.Text))
	}
}
