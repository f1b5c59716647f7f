package main

import (
	"context"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// luaRule is the rule in Lua.
const luaRule = `
asked = (asked or 0) + 1
local action, folder = "", ""
local subject, from = string.lower(header("Subject")), header("From")
if string.find(subject, "invoice", 1, true) and string.sub(from, -14) ~= "@bank.example>" then
  action = "quarantine"
elseif header("List-Unsubscribe") ~= "" then
  folder = "Newsletters"
end
return action, folder, "n" .. asked
`

// openLua runs the rule, compiled once, in a new state for each call or in one that is
// kept. Neither has a limit of time or memory.
func openLua(fresh bool) func(context.Context, string) (*peer, error) {
	return func(context.Context, string) (*peer, error) {
		chunk, err := parse.Parse(strings.NewReader(luaRule), "rule")
		if err != nil {
			return nil, err
		}
		proto, err := lua.Compile(chunk, "rule")
		if err != nil {
			return nil, err
		}
		var said [3]string
		kept := newLua()
		return &peer{
			call: func() error {
				l := kept
				if fresh {
					l = newLua()
					defer l.Close()
				}
				l.Push(l.NewFunctionFromProto(proto))
				if err := l.PCall(0, len(said), nil); err != nil {
					return err
				}
				for i := range said {
					said[i] = l.ToString(i - len(said))
				}
				l.SetTop(0)
				return nil
			},
			check: func(n int) error {
				if fresh {
					n = 1
				}
				return check(said[0], said[1], said[2], n)
			},
			close: func() error { kept.Close(); return nil },
		}, nil
	}
}

func newLua() *lua.LState {
	l := lua.NewState()
	l.SetGlobal("header", l.NewFunction(func(l *lua.LState) int {
		l.Push(lua.LString(field(l.CheckString(1))))
		return 1
	}))
	return l
}
