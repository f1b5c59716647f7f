package abi

import (
	"errors"
	"fmt"
	"testing"
)

func TestValue(t *testing.T) {
	e := Event{
		Hook: "inbound", Size: 12, To: []Address{{Addr: "a@x.test"}, {Name: "B", Addr: "b@x.test"}}, Automated: Automated{ReplyOK: true},
		Headers: [][2]string{{"Subject", "s"}},
	}
	for path, want := range map[string]string{
		"hook": "inbound", "size": "12", "to.1.name": "B", "to.0.addr": "a@x.test", "to.0.name": "", "automated.reply_ok": "true",
		"automated.list": "false", "headers.0.1": "s", "v": "0",
		"to.2.addr": "-", "to": "-", "to.0": "-", "to.x": "-", "to.-1.addr": "-", "nothing": "-", "": "-", "hook.0": "-", "envelope": "-", "headers.0.2": "-",
	} {
		got, ok := e.Value(path)
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

func TestErrno(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range []Errno{Absent, Denied, BadArgument, OverQuota, HostFailure, TooLarge} {
		if e >= 0 || seen[e.Error()] {
			t.Errorf("%d %q", e, e)
		}
		seen[e.Error()] = true
	}
	if got, ok := errors.AsType[Errno](fmt.Errorf("kv: %w", OverQuota)); !ok || got != OverQuota {
		t.Error("an Errno is lost in a chain")
	}
}
