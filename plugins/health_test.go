package plugins

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/plugins/sandbox"
)

// What fails too often is not asked for a while; then one call tries, and decides.
func TestHealth(t *testing.T) {
	bad, ours := &sandbox.CallError{Reason: sandbox.ReasonTrap}, &sandbox.HostError{Err: errors.New("disk")}
	for _, tt := range []struct {
		name string
		// g and b: a call that went well, or badly; h: our failure; d: the message's time
		// was over; p: it is refused a turn; w: the pause passes; n: new code; f: switched on.
		what string
	}{
		{"one failure is nothing", "gbgbggbg"},
		{"five in a row", "bbbbbp"},
		{"four in a row", "bbbbgbbbbg"},
		{"one in five of fifty", "gbgbgbgbgbgbgbgbgbgbp"},
		{"a failure is forgotten after fifty calls", "bgbgbgbgbgbgbgbgbg" + "gggggggggggggggggggggggggggggggggg" + "bgbgbgbg"},
		{"ours are not counted", "bbbbhhhhdddbp"},
		{"a try that goes well", "bbbbbpwgbbbbg"},
		{"a try that fails", "bbbbbwbpwbp"},
		{"a try that we fail", "bbbbbwhgg"},
		{"new code", "bbbbbpng"},
		{"switched on again", "bbbbbpfbbbbbp"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var h health
			limits, now, inst := gateway.DefaultLimits(), time.Unix(1_700_000_000, 0), &gateway.Plugin{ID: gateway.ID{1}}
			for i, what := range tt.what {
				switch what {
				case 'w':
					now = now.Add(time.Duration(limits.PluginPauseSeconds) * time.Second)
					continue
				case 'n':
					inst.SHA256[0]++
					continue
				case 'f':
					h.forget(inst.ID, false)
					continue
				}
				turn := h.admit(inst, gateway.HookInbound, now)
				if may := turn.may; may == (what == 'p') {
					t.Fatalf("call %d, %c: it may be asked: %v", i, what, may)
				}
				if turn.trial {
					if h.admit(inst, gateway.HookInbound, now).may {
						t.Fatalf("call %d: two try at once", i)
					}
				}
				if turn.may {
					h.went(turn, now, time.Millisecond, map[rune]error{'b': bad, 'h': ours, 'd': context.DeadlineExceeded}[what], &limits)
				}
			}
		})
	}
}

// A call that ends when its plugin has new code, or is deleted, changes nothing any more.
func TestHealthOfTheReplaced(t *testing.T) {
	var h health
	limits, now, inst := gateway.DefaultLimits(), time.Unix(0, 0), &gateway.Plugin{ID: gateway.ID{1}}
	late := h.admit(inst, gateway.HookEvent, now)
	inst.SHA256[0]++
	for range limits.PluginFailuresRow {
		h.went(h.admit(inst, gateway.HookEvent, now), now, 0, errRefused, &limits)
	}
	h.went(late, now, 0, nil, &limits)
	if h.admit(inst, gateway.HookEvent, now).may {
		t.Error("a call of the old code ends the pause of the new one")
	}
	h.forget(inst.ID, true)
	h.went(late, now, 0, nil, &limits)
	if len(h.of) > 0 {
		t.Error("a deleted plugin is known again")
	}
}

// That it begins to be paused is told once, however often it is tried meanwhile.
func TestPausesOnce(t *testing.T) {
	var h health
	var got []change
	limits, now, inst := gateway.DefaultLimits(), time.Unix(0, 0), &gateway.Plugin{}
	for _, err := range []error{errRefused, errRefused, errRefused, errRefused, errRefused, errRefused, errRefused, nil} {
		if c := h.went(h.admit(inst, gateway.HookInbound, now), now, 0, err, &limits); c != changedNothing {
			got = append(got, c)
			now = now.Add(time.Duration(limits.PluginPauseSeconds) * time.Second)
		}
	}
	if want := []change{changedPaused, changedStill, changedStill, changedWell}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// A call that began before a pause changes nothing when it ends.
func TestLateCalls(t *testing.T) {
	var h health
	limits, now, inst := gateway.DefaultLimits(), time.Unix(0, 0), &gateway.Plugin{}
	late := h.admit(inst, gateway.HookInbound, now)
	for range 5 {
		h.went(late, now, 0, &sandbox.CallError{}, &limits)
	}
	if got := h.went(late, now, 0, nil, &limits); got != changedNothing {
		t.Errorf("it changed %v", got)
	}
	if h.admit(inst, gateway.HookInbound, now).may || !h.admit(inst, gateway.HookOutbound, now).may {
		t.Error("the one hook may be asked, or the other may not")
	}
}

// A pause that somebody ended stays ended: the call that tried meanwhile is one like others.
func TestTrialOfAnEndedPause(t *testing.T) {
	var h health
	limits, now, inst := gateway.DefaultLimits(), time.Unix(0, 0), &gateway.Plugin{}
	for range limits.PluginFailuresRow {
		h.went(h.admit(inst, gateway.HookInbound, now), now, 0, errRefused, &limits)
	}
	now = now.Add(time.Duration(limits.PluginPauseSeconds) * time.Second)
	trial := h.admit(inst, gateway.HookInbound, now)
	h.forget(inst.ID, false)
	if got := h.went(trial, now, 0, errRefused, &limits); got != changedNothing || !h.admit(inst, gateway.HookInbound, now).may {
		t.Errorf("it changed %v, and the plugin is paused for one failure", got)
	}
}

// What is known of installations is bounded.
func TestManyConditions(t *testing.T) {
	var h health
	for i := range 2 * maxConditions {
		inst := &gateway.Plugin{ID: gateway.ID{byte(i), byte(i >> 8)}}
		if !h.admit(inst, gateway.HookInbound, time.Time{}).may || h.of[inst.ID] == nil {
			t.Fatal("the newest is not known")
		}
	}
	if len(h.of) != maxConditions {
		t.Errorf("%d are known", len(h.of))
	}
}

// The histogram tells quantiles within an eighth, however the durations are spread.
func TestHistogram(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var h histogram
		var all []time.Duration
		for range 1 + r.IntN(500) {
			d := time.Duration(r.Int64N(1<<(1+r.IntN(30)))) * time.Microsecond
			h.add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, q := range []float64{0.5, 0.99} {
			exact := all[int(q*float64(len(all))+0.999999)-1]
			if got := h.quantile(q); got < exact || got > exact+exact/8+time.Microsecond {
				t.Errorf("%v of %d: %v, want %v", q, len(all), got, exact)
			}
		}
	}
	var h histogram
	if got := h.quantile(0.99); got != 0 {
		t.Errorf("of none: %v", got)
	}
	h.add(-time.Second)
	h.add(1 << 62)
	if got := fmt.Sprint(h.quantile(0.5)); got != "0s" {
		t.Error(got)
	}
	for i := range steps - 1 {
		if step(most(i)) != i || step(most(i)+1) != i+1 {
			t.Errorf("step %d ends at %d, which is counted in %d", i, most(i), step(most(i)))
		}
	}
}
