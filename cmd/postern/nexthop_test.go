package main

import (
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

type nextHopKey struct{}

// nextHop runs a mail host that takes everything, and sets $NEXTHOP to its address.
func nextHop(ts *testscript.TestScript, _ bool, _ []string) {
	mx := gatewaytest.NewMX(scriptFailer{ts})
	ts.Defer(mx.Close)
	*ts.Value(nextHopKey{}).(**gatewaytest.MX) = mx
	ts.Setenv("NEXTHOP", mx.Addr)
}

// carried RECIPIENT... waits until the next hop has got mails for these, in any order, and
// nothing else.
func carried(ts *testscript.TestScript, _ bool, args []string) {
	mx := *ts.Value(nextHopKey{}).(**gatewaytest.MX)
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		got := make(map[string]int)
		for _, m := range mx.Mail() {
			for _, to := range m.To {
				got[to]++
			}
		}
		ok := len(got) == len(args)
		for _, to := range args {
			ok = ok && got[to] == 1
		}
		if ok {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the next hop got %s, want %s", fmt.Sprint(got), args)
		}
	}
}
