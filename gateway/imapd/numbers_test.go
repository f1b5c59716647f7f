package imapd

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
)

// naive is what a set of ranges means, number by number: what is in it, "*" and 0
// being the last one.
func naive(have []uint32, ranges [][2]uint32) (picked []int) {
	for i, n := range have {
		for _, r := range ranges {
			a, b := r[0], r[1]
			if a == 0 {
				a = have[len(have)-1]
			}
			if b == 0 {
				b = have[len(have)-1]
			}
			if min(a, b) <= n && n <= max(a, b) {
				picked = append(picked, i)
				break
			}
		}
	}
	return picked
}

// picked is what is picked of messages with some UIDs.
func picked(have []uint32, uid bool, ranges [][2]uint32) []int {
	var set imap.NumSet
	if uid {
		var s imap.UIDSet
		for _, r := range ranges {
			s = append(s, imap.UIDRange{Start: imap.UID(r[0]), Stop: imap.UID(r[1])})
		}
		set = s
	} else {
		var s imap.SeqSet
		for _, r := range ranges {
			s = append(s, imap.SeqRange{Start: r[0], Stop: r[1]})
		}
		set = s
	}
	return numbersIn(runsIn(set, len(have), have[len(have)-1], func(uid uint32) (int, bool) { return slices.BinarySearch(have, uid) }))
}

// FuzzPick: a set picks what it means, number by number; gaps are between the UIDs,
// the ranges are those of the bytes.
func FuzzPick(f *testing.F) {
	f.Add([]byte{0, 3, 0, 1}, []byte{0, 0, 0, 1, 255, 255, 255, 255})
	f.Add([]byte{9}, []byte{0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 5, 0, 0, 0, 0})
	f.Add([]byte{1, 1, 1, 250}, []byte{255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2})
	f.Fuzz(func(t *testing.T, gaps, bytes []byte) {
		if len(gaps) == 0 || len(gaps) > 300 || len(bytes) > 800 {
			return
		}
		var uids, seqs []uint32
		for i, g := range gaps {
			uids = append(uids, 1+uint32(g))
			if seqs = append(seqs, uint32(i+1)); i > 0 {
				uids[i] += uids[i-1]
			}
		}
		var ranges [][2]uint32
		for ; len(bytes) >= 8; bytes = bytes[8:] {
			ranges = append(ranges, [2]uint32{binary.BigEndian.Uint32(bytes), binary.BigEndian.Uint32(bytes[4:])})
		}
		if got, want := picked(uids, true, ranges), naive(uids, ranges); !slices.Equal(got, want) {
			t.Errorf("UIDs %v of %v: %v, want %v", ranges, uids, got, want)
		}
		if got, want := picked(seqs, false, ranges), naive(seqs, ranges); !slices.Equal(got, want) {
			t.Errorf("%v of %d: %v, want %v", ranges, len(seqs), got, want)
		}
	})
}

// All numbers there may be, many times over, are picked in the time of the mailbox.
func TestPickTime(t *testing.T) {
	var uids []uint32
	for i := range uint32(100_000) {
		uids = append(uids, 3*i+1)
	}
	var ranges [][2]uint32
	for range 100_000 {
		ranges = append(ranges, [2]uint32{1, 1<<32 - 1}, [2]uint32{1<<32 - 1, 1})
	}
	began := time.Now()
	for _, uid := range []bool{true, false} {
		if got := picked(uids, uid, ranges); len(got) != len(uids) {
			t.Errorf("%d are picked of %d", len(got), len(uids))
		}
	}
	if took := time.Since(began); took > 10*time.Second { // to count through them would take minutes
		t.Errorf("it took %v", took)
	}
}
