package inbound

import (
	"errors"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

func TestLooping(t *testing.T) {
	r := &Receiver{cfg: Config{Hostname: "mail.here.test", Limits: gateway.Limits{RedirectHops: 5}}}
	own := "from a.test (a.test [192.0.2.1]) by Mail.Here.Test with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000"
	other := "from mail.here.test by b.test with ESMTP id 2; Mon, 23 Nov 2026 10:00:00 +0000"
	longer := "from a.test by mail.here.test.example with ESMTP"
	short := "by mail.here.test; Mon, 23 Nov 2026 10:00:00 +0000"
	for _, tt := range []struct {
		name string
		hops []string
		want bool
	}{
		{"none", nil, false},
		{"five of ours", slices.Repeat([]string{own}, 5), false},
		{"six of ours", slices.Repeat([]string{own}, 6), true},
		{"six without a from-clause", slices.Repeat([]string{short}, 6), true},
		{"fifty others, from us", slices.Repeat([]string{other}, 50), false},
		{"fifty-one others", slices.Repeat([]string{other}, 51), true},
		{"a longer name", slices.Repeat([]string{longer}, 50), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := r.looping(tt.hops)
			e, _ := errors.AsType[*gateway.Error](err)
			if got := err != nil; got != tt.want || got && (e.Code != 554 || e.Enhanced != [3]int{5, 4, 6} || !e.Kind.Reply().Permanent()) {
				t.Errorf("looping = %v, want %t", err, tt.want)
			}
		})
	}
}
