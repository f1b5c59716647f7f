package sandbox

import (
	"errors"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// longPart has a part of some bytes, and fails from one on if it is to.
type longPart struct {
	fakeHost
	size, fails int
	err         error
}

func (h *longPart) Part(_ int, off int64, p []byte) (int, error) {
	if h.err != nil && int(off)+len(p) > h.fails {
		return 0, h.err
	}
	n := max(0, min(len(p), h.size-int(off)))
	for i := range n {
		p[i] = byte((int(off) + i) >> 16)
	}
	return n, nil
}

// A large question about a part is answered in pieces, as if it were one.
func TestLargePart(t *testing.T) {
	const room = 1 << 20
	broken := errors.New("the disk is gone")
	// What it answers is kept, as a number, and what it read with it.
	a := (&assembler{}).imp(abi.Module, "part", "iIii:i").imp(abi.Module, "kv_put", "iiiiI:i").
		fn("postern_inbound", ":i", konst(8), konst(0), konst64(0), konst(64), konst(room), invoke(0), []byte{0x36, 2, 0},
			konst(0), konst(1), konst(8), konst(4+52+room), konst64(0), invoke(1), drop, konst(0))
	a.text(0, "k")
	a.memories = [][]byte{append([]byte{0}, binary32(32)...)}
	m := compile(t, newEngine(t, ""), a.bytes())
	for _, tt := range []struct {
		name string
		host longPart
		want int
		err  error
	}{
		{"all of it", longPart{size: 2 * room}, room, nil},
		{"its end", longPart{size: largePiece + 5}, largePiece + 5, nil},
		{"its end with a piece", longPart{size: 2 * largePiece}, 2 * largePiece, nil},
		{"as much as it may", longPart{size: room, fails: 3 * largePiece, err: abi.OverQuota}, 3 * largePiece, nil},
		{"nothing", longPart{size: room, err: abi.Absent}, int(abi.Absent), nil},
		{"a host that fails", longPart{size: room, fails: largePiece, err: broken}, 0, broken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := m.Call(t.Context(), nobody, abi.HookInbound, &tt.host)
			if err != nil || tt.err != nil {
				if !errors.Is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				return
			}
			got := tt.host.put
			if n := int(int32(uint32(got[0]) | uint32(got[1])<<8 | uint32(got[2])<<16 | uint32(got[3])<<24)); n != tt.want {
				t.Fatalf("answered %d, want %d", n, tt.want)
			}
			for i, b := range got[56:] {
				if want := byte(i >> 16); i < tt.want && b != want || i >= tt.want && i >= tt.host.size && b != 0 {
					t.Fatalf("byte %d is %d", i, b)
				}
			}
		})
	}
}
