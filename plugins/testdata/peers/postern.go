package main

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/plugins/sandbox"
	"github.com/centerleap/postern/sdk/abi"
)

// limits are the gateway's.
var limits = sandbox.Limits{
	ModuleBytes: 16 << 20, Functions: 50_000, Locals: 10_000, FunctionBytes: 128 << 10, Blocks: 20_000, CompileTime: 90 * time.Second,
	MemoryBytes: 32 << 20, IdleBytes: 64 << 20, HostCalls: 10_000, LogLines: 64, LogBytes: 1 << 10, CallTime: 250 * time.Millisecond,
	Fuel: 200_000_000, StackBytes: 1 << 20, Frames: 10_000,
}

// openPostern runs a guest in Postern's sandbox, as the gateway does.
func openPostern(guest string) func(context.Context, string) (*peer, error) {
	return func(ctx context.Context, dir string) (*peer, error) {
		wasm, err := build(ctx, dir, guest)
		if err != nil {
			return nil, err
		}
		lim, check := limits, func(h *mailHost) error { return checkJSON(h.verdict, 1) }
		if guest == "part" {
			lim.CallTime, check = partTime, func(h *mailHost) error { return checkSumIn(h.verdict) }
		}
		e, err := sandbox.New(sandbox.Config{Limits: lim})
		if err != nil {
			return nil, err
		}
		m, err := e.Compile(ctx, wasm)
		if err != nil {
			return nil, err
		}
		h := &mailHost{}
		return &peer{
			call: func() error {
				h.verdict = h.verdict[:0]
				_, err := m.Call(ctx, sandbox.Owner{1}, abi.HookInbound, h)
				return err
			},
			check: func(int) error { return check(h) },
			close: func() error { return errors.Join(m.Close(ctx), e.Close(ctx)) },
		}, nil
	}
}

// mailHost answers about the mail.
type mailHost struct {
	sandbox.Host // what the rule does not ask for is not there
	verdict      []byte
}

func (h *mailHost) Event() ([]byte, error) { return event, nil }

func (h *mailHost) Header(name string, _ int) (string, error) {
	if v := field(name); v != "" {
		return v, nil
	}
	return "", abi.Absent
}

func (h *mailHost) Verdict(doc []byte) error {
	h.verdict = append(h.verdict, doc...)
	return nil
}
