package hostile

import (
	"slices"
	"strings"

	"github.com/centerleap/postern/sdk/abi"
)

// Obedient decides at each hook what its configuration says under the hook's name, letter
// for letter: so a test may have any verdict given, also one that no SDK would write.
func Obedient(hooks ...string) []byte {
	const said, most = 4 * page / 2, 64 << 10
	a := (&assembler{pages: 4}).imported(abi.Module, "config", "iiii:i").imported(abi.Module, "verdict", "ii:i")
	for i, hook := range hooks {
		key := at + 64*i
		a.text(key, hook).function(abi.Export(hook), ":i", 1,
			i32(key), i32(len(hook)), i32(said), i32(most), call(0), []byte{0x21, 0},
			slices.Concat([]byte{0x20, 0}, i32(0), []byte{0x4a}),
			when(i32(said), []byte{0x20, 0}, call(1), drop),
			i32(0))
	}
	return a.bytes()
}

// Teller does no harm: at a hook it says in its log what it is told, a line for each of
// some values: their name, and what they are, if they are there. One that is called "header
// X" is the first header field X; others are paths of import get.
func Teller(hook string, values ...string) []byte {
	const told, room = 4 * page / 2, 1 << 10
	a := (&assembler{pages: 4}).imported(abi.Module, "get", "iiii:i").imported(abi.Module, "header", "iiiii:i").imported(abi.Module, "log", "iii:")
	var code [][]byte
	for i, v := range values {
		key := at + 64*i
		a.text(key, v)
		ask := slices.Concat(i32(key), i32(len(v)), i32(told), i32(room), call(0))
		if name, is := strings.CutPrefix(v, "header "); is {
			ask = slices.Concat(i32(key+len(v)-len(name)), i32(len(name)), i32(0), i32(told), i32(room), call(1))
		}
		code = append(code, i32(1), i32(key), i32(len(v)), call(2), ask, []byte{0x21, 0, 0x20, 0}, i32(0), []byte{0x4a},
			when(i32(1), i32(told), []byte{0x20, 0}, call(2)))
	}
	return a.function(abi.Export(hook), ":i", 1, append(code, i32(0))...).bytes()
}
