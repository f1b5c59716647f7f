package seglog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"testing"
)

// FuzzOpen gives Open and Check arbitrary bytes as segments. With mend their
// checksums are made right first, so that the fields behind them are met too.
// Whatever opens can be read or says what is damaged, and can be appended to.
func FuzzOpen(f *testing.F) {
	s := newSample(f, endPlain)
	f.Add(s.files[segmentName(1)], s.files[segmentName(2)], false)
	f.Add(s.files[segmentName(1)][:4<<10], []byte(nil), true)
	f.Add([]byte(segmentMagic), []byte{}, true)
	for _, h := range []header{
		{number: 1, state: stateLive},
		{number: 1, state: stateLive, last: 2},
		{number: 1, state: stateCollected},
		{number: 1, state: stateCollected, first: math.MaxUint64, last: math.MaxUint64},
		{number: 1, state: stateCollected, first: 9, last: 3},
	} {
		for _, g := range []groupHead{
			{sequence: 1, length: math.MaxUint32, records: math.MaxUint32},
			{sequence: 1, length: 1 << 31, records: 1},
			{sequence: 0, length: 0, records: 0},
			{sequence: math.MaxUint64, length: 16, records: 1},
			{sequence: 1, length: 16, records: 1},
			{sequence: 4, length: 100, records: math.MaxUint32},
		} {
			g.segment = 1
			b := append(h.encode(), make([]byte, 3*sector)...)
			g.put(b[sector:], h.id)
			b[sector+groupHeader+4] = byte(typeSeal)
			b[sector+groupHeader+3] = 4
			next := header{number: 2, state: stateLive}
			f.Add(b, append(next.encode(), b[sector:]...), true)
			next.state = stateCollected
			f.Add(b, next.encode(), true)
			f.Add(b, []byte(nil), true)
			b = bytes.Clone(b)
			g.segment = 2
			g.put(b[sector:], h.id)
			f.Add(h.encode(), append(next.encode(), b[sector:]...), true)
		}
	}
	f.Fuzz(func(t *testing.T, a, b []byte, mend bool) {
		if len(a)+len(b) > 64<<10 {
			return
		}
		d := newDisk()
		for i, data := range [][]byte{a, b} {
			if i > 0 && len(data) == 0 {
				continue
			}
			data = bytes.Clone(data)
			if mend {
				mendSums(data, uint32(i+1))
			}
			name := segmentName(uint32(i + 1))
			d.names[name] = &inode{name: name, data: data, base: bytes.Clone(data)}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		defer func() {
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("%d MiB were allocated", n>>20)
			}
		}()
		if err := Check(smallLog(d), nil, nil); err != nil {
			t.Logf("check: %v", err)
		}
		l, err := Open(smallLog(d))
		if err != nil {
			return
		}
		defer l.Close()
		var bad *DamageError
		var last uint64
		scan := func() {
			last = 0
			err = l.Scan(0, func(g Scanned) error { last = g.Sequence; return nil })
			if err != nil && !errors.As(err, &bad) {
				t.Fatal(err)
			}
		}
		scan()
		if l.Head() > math.MaxUint64-9 {
			return
		}
		whole := bad == nil
		for range 3 {
			appendOne(t, l, []byte("the log goes on"))
		}
		if scan(); whole && (bad != nil || last != l.Head()) {
			t.Fatalf("after appending: %v, group %d, head %d", bad, last, l.Head())
		}
	})
}

// mendSums makes the checksums of a segment right.
func mendSums(b []byte, number uint32) {
	if len(b) < sector {
		return
	}
	copy(b, segmentMagic)
	binary.BigEndian.PutUint32(b[8:], number)
	clear(b[32:48])
	var id logID
	binary.BigEndian.PutUint32(b[48:], id.sum(b[:48]))
	for off := sector; off+groupHeader <= len(b); off += sector {
		if binary.BigEndian.Uint32(b[off:]) != groupMagic {
			continue
		}
		binary.BigEndian.PutUint32(b[off+24:], id.sum(b[off:off+24]))
		sequence, records := binary.BigEndian.Uint64(b[off+8:]), binary.BigEndian.Uint32(b[off+16:])
		for rest := b[off+groupHeader:]; records > 0 && len(rest) >= recordHeader; records-- {
			n := int(min(uint64(binary.BigEndian.Uint32(rest)), uint64(len(rest)-recordHeader)))
			binary.BigEndian.PutUint32(rest[8:], id.recordSum(sequence, rest[:8], rest[recordHeader:recordHeader+n]))
			rest = rest[recordHeader+n:]
		}
	}
}
