package sdktest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/centerleap/postern/sdk"
	"github.com/centerleap/postern/sdk/abi"
	"github.com/centerleap/postern/sdk/sdktest"
)

// note is a test that only notes how it failed.
type note struct{ said []string }

func (n *note) Helper()                        {}
func (n *note) Errorf(format string, a ...any) { n.said = append(n.said, fmt.Sprintf(format, a...)) }

func (n *note) Fatalf(format string, a ...any) {
	n.Errorf(format, a...)
	panic(stopped{})
}

type stopped struct{}

// stops reports whether a test ends at once.
func stops(f func()) (yes bool) {
	defer func() {
		if _, ok := recover().(stopped); ok {
			yes = true
		}
	}()
	f()
	return false
}

// check is a want of a Result.
type check = func(*sdktest.Result) *sdktest.Result

// wants are verdicts, each with a check that passes, and others that fail.
var wants = []struct {
	name    string
	hook    func(sdktest.T, sdktest.Mail) *sdktest.Result
	verdict sdk.Verdict
	passes  check
	fails   []check
}{
	{
		"action", sdktest.Inbound, sdk.Reject(0, "no"),
		func(r *sdktest.Result) *sdktest.Result { return r.WantAction(abi.Reject).WantReason("no") },
		[]check{func(r *sdktest.Result) *sdktest.Result { return r.WantAction(abi.Accept) }, func(r *sdktest.Result) *sdktest.Result { return r.WantReason("yes") }},
	},
	{
		"plain", sdktest.Inbound, sdk.Accept(),
		func(r *sdktest.Result) *sdktest.Result {
			return r.WantOK().WantFolder("").WantLabels().WantReply("").WantRedirect().WantSent().WantScore(0).WantReason("")
		},
		[]check{
			func(r *sdktest.Result) *sdktest.Result { return r.WantAction(abi.Reject) }, func(r *sdktest.Result) *sdktest.Result { return r.WantFailure() },
			func(r *sdktest.Result) *sdktest.Result { return r.WantReply("a") }, func(r *sdktest.Result) *sdktest.Result { return r.WantSent("a@x.example") },
			func(r *sdktest.Result) *sdktest.Result { return r.WantLabel("a") }, (*sdktest.Result).WantFinal, (*sdktest.Result).WantNewThread,
			func(r *sdktest.Result) *sdktest.Result { return r.WantSubject("") }, func(r *sdktest.Result) *sdktest.Result { return r.WantBody("", "") },
			func(r *sdktest.Result) *sdktest.Result { return r.WantHeldUntil(time.Time{}) }, func(r *sdktest.Result) *sdktest.Result { return r.WantHeader("X-A", "") },
			func(r *sdktest.Result) *sdktest.Result { return r.WantHeaderDeleted("X-A") }, func(r *sdktest.Result) *sdktest.Result { return r.WantTag("a", "") },
		},
	},
	{
		"filed", sdktest.Inbound, sdk.Accept().Folder("A").Label("a", "b").Unlabel("c").Flag(`\Seen`).Score(2.5).Reason("why").AddHeader("X-A", "1").Final(),
		func(r *sdktest.Result) *sdktest.Result {
			return r.WantFolder("A").WantLabel("b").WantLabels("b", "a").WantUnlabel("c").WantFlags(`\Seen`).WantScore(2.5).WantReason("why").WantHeader("x-a", "1").WantFinal()
		},
		[]check{
			func(r *sdktest.Result) *sdktest.Result { return r.WantFolder("") }, func(r *sdktest.Result) *sdktest.Result { return r.WantLabels("a") },
			func(r *sdktest.Result) *sdktest.Result { return r.WantUnlabel() }, func(r *sdktest.Result) *sdktest.Result { return r.WantFlags() },
			func(r *sdktest.Result) *sdktest.Result { return r.WantScore(2) }, func(r *sdktest.Result) *sdktest.Result { return r.WantHeader("X-A", "2") },
		},
	},
	{
		"redirected", sdktest.Inbound, sdk.Accept().Redirect("a@x.example", "b@x.example").Keep().Reply(sdk.Text("gone on")),
		func(r *sdktest.Result) *sdktest.Result {
			return r.WantRedirect("b@x.example", "a@x.example").WantKeep(true).WantReply("gone")
		},
		[]check{
			func(r *sdktest.Result) *sdktest.Result { return r.WantRedirect() }, func(r *sdktest.Result) *sdktest.Result { return r.WantKeep(false) },
			func(r *sdktest.Result) *sdktest.Result { return r.WantReply("") }, func(r *sdktest.Result) *sdktest.Result { return r.WantReply("come") },
		},
	},
	{
		"edited", sdktest.Outbound, sdk.Allow().SetHeader("X-A", "1").DeleteHeader("X-B").Subject("s").Body("t", "<p>").Tag("k", "v").Remove("a@x.example"),
		func(r *sdktest.Result) *sdktest.Result {
			return r.WantHeader("X-A", "1").WantHeaderDeleted("x-b").WantSubject("s").WantBody("t", "<p>").WantTag("k", "v").WantRemoved("a@x.example")
		},
		[]check{
			func(r *sdktest.Result) *sdktest.Result { return r.WantHeader("X-B", "") }, func(r *sdktest.Result) *sdktest.Result { return r.WantHeaderDeleted("X-A") },
			func(r *sdktest.Result) *sdktest.Result { return r.WantSubject("") }, func(r *sdktest.Result) *sdktest.Result { return r.WantBody("t", "") },
			func(r *sdktest.Result) *sdktest.Result { return r.WantTag("k", "") }, func(r *sdktest.Result) *sdktest.Result { return r.WantRemoved() },
		},
	},
	{
		"held", sdktest.Outbound, sdk.HoldUntil("wait", time.Unix(60, 0)),
		func(r *sdktest.Result) *sdktest.Result { return r.WantHeldUntil(time.Unix(60, 0)).WantReason("wait") },
		[]check{func(r *sdktest.Result) *sdktest.Result { return r.WantHeldUntil(time.Time{}) }},
	},
	{
		"join", sdktest.Thread, sdk.Join("t"),
		func(r *sdktest.Result) *sdktest.Result { return r.WantJoin("t") },
		[]check{func(r *sdktest.Result) *sdktest.Result { return r.WantJoin("") }, (*sdktest.Result).WantNewThread},
	},
	{
		"new thread", sdktest.Thread, sdk.NewThread(),
		(*sdktest.Result).WantNewThread,
		[]check{func(r *sdktest.Result) *sdktest.Result { return r.WantJoin("") }},
	},
	{
		"merge", sdktest.Thread, sdk.Merge("t", "a", "b"),
		func(r *sdktest.Result) *sdktest.Result { return r.WantMerge("t", "a", "b") },
		[]check{func(r *sdktest.Result) *sdktest.Result { return r.WantMerge("", "a", "b") }, func(r *sdktest.Result) *sdktest.Result { return r.WantSplit("a", "b") }},
	},
	{
		"split", sdktest.Thread, sdk.Split("a"),
		func(r *sdktest.Result) *sdktest.Result { return r.WantSplit("a") },
		[]check{func(r *sdktest.Result) *sdktest.Result { return r.WantSplit() }, func(r *sdktest.Result) *sdktest.Result { return r.WantMerge("", "a") }},
	},
}

// What a test wants and does not get fails it.
func TestWants(t *testing.T) {
	for _, tt := range wants {
		t.Run(tt.name, func(t *testing.T) {
			answer := func(*sdk.Message) sdk.Verdict { return tt.verdict }
			sdk.Inbound(answer)
			sdk.Outbound(answer)
			sdk.Thread(answer)
			tt.passes(tt.hook(t, sdktest.Mail{}))
			for i, fails := range tt.fails {
				n := &note{}
				if fails(tt.hook(n, sdktest.Mail{})); len(n.said) != 1 {
					t.Errorf("check %d says %q", i, n.said)
				}
			}
		})
	}
}

// Whatever is wanted of a hook that failed is not had.
func TestWantsOfFailure(t *testing.T) {
	sdk.OnTick(func() error { return errors.New("the server is away") })
	sdktest.Tick(t).WantFailure("server", "away")
	for _, want := range []check{
		(*sdktest.Result).WantOK,
		func(r *sdktest.Result) *sdktest.Result { return r.WantFolder("") }, func(r *sdktest.Result) *sdktest.Result { return r.WantSent() },
		func(r *sdktest.Result) *sdktest.Result { return r.WantFailure("other") },
	} {
		n := &note{}
		if want(sdktest.Tick(n)); len(n.said) != 1 {
			t.Errorf("%q", n.said)
		}
	}
}
