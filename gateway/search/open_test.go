package search

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// reseal makes the checksums of damaged bytes right, so that a fuzzer gets behind them.
func reseal(b []byte) {
	if len(b) < headBytes {
		return
	}
	be := binary.BigEndian
	be.PutUint32(b, magic)
	part := func(at, n uint32) []byte {
		if uint64(at)+uint64(n) > uint64(len(b)) {
			return nil
		}
		return b[at : at+n]
	}
	at := uint32(headBytes)
	numbers := be.Uint32(b[28:])
	be.PutUint32(b[32:], checksum(part(at, numbers)))
	at += numbers
	for g := range groups {
		h := b[36+g*groupHead:]
		dict := part(at, be.Uint32(h[4:]))
		at += be.Uint32(h[4:])
		blocks := part(at, be.Uint32(h[8:]))
		at += be.Uint32(h[8:])
		lists := part(at, be.Uint32(h[12:]))
		at += be.Uint32(h[12:])
		for i := 0; i+blockBytes <= len(blocks); i += blockBytes {
			from, to := be.Uint32(blocks[i+4:]), uint32(len(lists))
			if i+2*blockBytes <= len(blocks) {
				to = be.Uint32(blocks[i+blockBytes+4:])
			}
			if from <= to && to <= uint32(len(lists)) {
				be.PutUint32(blocks[i+8:], checksum(lists[from:to]))
			}
		}
		be.PutUint32(h[16:], checksum(dict))
		be.PutUint32(h[20:], checksum(blocks))
	}
	be.PutUint32(b[4:], checksum(b[8:headBytes]))
}

// Bytes that somebody made up are refused as damaged, or answer with numbers of their
// range in order: never a panic, never another error.
func FuzzSegment(f *testing.F) {
	b := NewBuilder(3)
	for n := range gateway.MessageNumber(9) {
		b.Begin(3 + 2*n)
		b.Add(Subject, fmt.Sprint("subject number ", n))
		b.Add(Body, "these are words and 東京都")
		if n == 4 {
			b.Look(Header)
		}
	}
	for i := range 70 {
		b.Add(Header, fmt.Sprint("X-Word: w", i))
	}
	good := b.Segment(30)
	if sealed := slices.Clone(good); func() bool { reseal(sealed); return !bytes.Equal(sealed, good) }() {
		f.Fatal("resealing a sound segment changes it")
	}
	f.Add(good, "s")
	f.Add(NewBuilder(1).Segment(1), "word")
	f.Fuzz(func(t *testing.T, raw []byte, text string) {
		raw = slices.Clone(raw)
		reseal(raw)
		if _, err := Merge([][]byte{raw}, nil); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		s, err := Open(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		sure, maybe, err := s.Find(bytes.NewReader(raw), Query{Text: text, Fields: Text})
		if err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
		for _, list := range [][]gateway.MessageNumber{sure, maybe} {
			for i, n := range list {
				if n < s.First || n > s.Last || i > 0 && n <= list[i-1] {
					t.Fatalf("%v of %d to %d", list, s.First, s.Last)
				}
			}
		}
	})
}
