package hostile

import (
	"slices"

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
