package main

import (
	"context"
	"fmt"
	"strings"

	extism "github.com/extism/go-sdk"
)

// extismTimeout is what Extism may take, in milliseconds: with one its runtime looks at
// the time, as Postern's always does.
const extismTimeout = 250

// openExtism runs the rule in Extism: given the whole event or the three fields, with a
// new instance for each call, as it needs for fresh state, or one that is kept.
func openExtism(export string, fresh bool) func(context.Context, string) (*peer, error) {
	return func(ctx context.Context, dir string) (*peer, error) {
		wasm, err := build(ctx, dir, "extism")
		if err != nil {
			return nil, err
		}
		timeout := uint64(extismTimeout)
		if export == "part" {
			timeout = uint64(partTime.Milliseconds())
		}
		manifest := extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}, Timeout: timeout}
		compiled, err := extism.NewCompiledPlugin(ctx, manifest, extism.PluginConfig{EnableWasi: true}, nil)
		if err != nil {
			return nil, err
		}
		x := &extismPeer{compiled: compiled, export: export, input: event, fresh: fresh}
		switch export {
		case "fields":
			x.input = []byte(fields())
		case "part":
			x.input = attachment
		}
		return &peer{
			call:  func() error { return x.call(ctx) },
			check: x.check,
			close: func() error { return compiled.Close(ctx) },
		}, nil
	}
}

type extismPeer struct {
	compiled *extism.CompiledPlugin
	kept     *extism.Plugin
	export   string
	input    []byte
	fresh    bool
	said     []byte
}

func (x *extismPeer) call(ctx context.Context) (err error) {
	p := x.kept
	if p == nil {
		if p, err = x.compiled.Instance(ctx, extism.PluginInstanceConfig{}); err != nil {
			return err
		}
		if x.fresh {
			defer p.Close(ctx)
		} else {
			x.kept = p
		}
	}
	status, said, err := p.CallWithContext(ctx, x.export, x.input)
	if err == nil && status != 0 {
		err = fmt.Errorf("status %d", status)
	}
	x.said = said
	return err
}

func (x *extismPeer) check(n int) error {
	if x.fresh {
		n = 1
	}
	switch x.export {
	case "part":
		return checkSum(string(x.said))
	case "event":
		return checkJSON(x.said, n)
	}
	lines := strings.Split(string(x.said), "\n")
	if len(lines) != 3 {
		return fmt.Errorf("%q", x.said)
	}
	return check(lines[0], lines[1], lines[2], n)
}
