package seglog

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

const damageSegment = 8 << 10

func damageLog(d FS) Config {
	cfg := smallLog(d)
	cfg.SegmentSize, cfg.MaxGroup = damageSegment, 2<<10
	return cfg
}

// filled is the random bytes of a payload, none of them 0.
func filled(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = 1 + byte(rng.IntN(255))
	}
	return p
}

// sample is a cleanly closed log: its files, where its groups are and what is in
// them.
type sample struct {
	files  map[string][]byte
	groups []placed
	text   map[uint64]string
}

type placed struct {
	name string
	off  int64
	head groupHead
}

// newSample makes a log of three segments and more, that ends as end says.
func newSample(t testing.TB, end func(l *Log, rng *rand.Rand)) *sample {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 9))
	d := newDisk()
	l, err := Open(damageLog(d))
	if err != nil {
		t.Fatal(err)
	}
	for len(l.Segments()) < 3 || l.Segments()[2].First == 0 || l.Segments()[2].First+7 > l.Head() {
		switch p := filled(rng, rng.IntN(80)); rng.IntN(12) {
		case 0:
			appendOne(t, l, filled(rng, 500+rng.IntN(200)))
		case 1:
			appendOne(t, l, make([]byte, 1100)) // has a zero sector
		default:
			g, err := l.Begin(2 * RecordSize(len(p)))
			if err != nil {
				t.Fatal(err)
			}
			g.Add(FirstType, p)
			g.Add(FirstType+1, p)
			if err := l.Append(g); err != nil {
				t.Fatal(err)
			}
		}
	}
	end(l, rng)
	s := &sample{files: map[string][]byte{}, text: map[uint64]string{}}
	if err := l.Scan(0, func(g Scanned) error {
		s.text[g.Sequence] = string(content(nil, g.Records))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(d.names)) {
		b := d.names[name].data
		s.files[name] = b
		var number uint32
		fmt.Sscanf(name, "seg-%08d", &number)
		for off := int64(sector); off < int64(len(b)); {
			h, ok := decodeGroupHead(b[off:], l.id, number)
			if !ok {
				break
			}
			s.groups = append(s.groups, placed{name, off, h})
			off += h.span()
		}
	}
	if len(s.groups) != len(s.text) {
		t.Fatal(len(s.groups), len(s.text))
	}
	return s
}

func endPlain(l *Log, rng *rand.Rand) {
	g, _ := l.Begin(1500)
	g.Add(FirstType, filled(rng, 400))
	g.Add(FirstType, filled(rng, 300))
	l.Append(g)
}

func endRolled(l *Log, _ *rand.Rand) { l.Roll() }

func endZeros(l *Log, _ *rand.Rand) {
	g, _ := l.Begin(1500)
	g.Add(FirstType, make([]byte, 1100))
	l.Append(g)
}

func (s *sample) disk() *disk {
	d := newDisk()
	for name, b := range s.files {
		d.names[name] = &inode{name: name, data: slices.Clone(b), base: slices.Clone(b)}
		d.durable[name] = d.names[name]
	}
	return d
}

// outcome is what Open, Scan and Check make of a disk.
type outcome struct {
	damage  *DamageError      // Open's or Scan's
	head    uint64            // if they found no damage
	hits    []*DamageError    // Check's
	checked map[uint64]string // groups that Check handed out whole
}

// try fails if anything is read that was not written, or anything but the last
// group is missing in silence.
func (s *sample) try(d *disk) (o outcome, err error) {
	o.checked = map[uint64]string{}
	err = Check(damageLog(d), func(g Scanned) error {
		c := string(content(nil, g.Records))
		if c != s.text[g.Sequence] && !g.Damaged {
			return fmt.Errorf("check: group %d differs", g.Sequence)
		}
		if !g.Damaged {
			o.checked[g.Sequence] = c
		}
		return nil
	}, func(d *DamageError) { o.hits = append(o.hits, d) })
	if err != nil {
		return o, err
	}
	l, err := Open(damageLog(d))
	if errors.As(err, &o.damage) {
		return o, nil
	}
	if err != nil {
		return o, err
	}
	defer l.Close()
	var seen uint64
	err = l.Scan(0, func(g Scanned) error {
		if seen++; g.Sequence != seen || string(content(nil, g.Records)) != s.text[seen] {
			return fmt.Errorf("scan: group %d differs", seen)
		}
		return nil
	})
	if errors.As(err, &o.damage) {
		return o, nil
	}
	if o.head = l.Head(); err == nil && o.head != seen {
		return o, fmt.Errorf("%d groups, but the head is %d", seen, o.head)
	}
	return o, err
}

// missing counts the groups that Check didn't hand out.
func (o outcome) missing(s *sample) (n int) {
	for seq := range s.text {
		if _, ok := o.checked[seq]; !ok {
			n++
		}
	}
	return n
}

// One bit of every byte of headers, groups and records: each is damage. What is
// around them may be ignored.
//
// The exception is a last group with a whole sector of zeros: it looks like one
// whose write was cut off, so it is dropped. The layer above knows how far the
// log had come.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		end  func(*Log, *rand.Rand)
		all  bool // every byte, or those of the last group only
	}{
		{"last group plain", endPlain, true},
		{"last group a seal", endRolled, false},
		{"last group with a zero sector", endZeros, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSample(t, tt.end)
			rng := rand.New(rand.NewPCG(1, 2))
			last := s.groups[len(s.groups)-1]
			flips := 0
			for name, b := range s.files {
				covered := make([]bool, len(b)) // by a checksum
				for i := range 52 {
					covered[i] = true
				}
				for _, g := range s.groups {
					for i := g.off; g.name == name && i < g.off+groupHeader+int64(g.head.length); i++ {
						covered[i] = true
					}
				}
				for i := range b {
					inLast := name == last.name && int64(i) >= last.off && int64(i) < last.off+last.head.span()
					if !tt.all && !inLast || testing.Short() && i%11 != 0 || !covered[i] && i%9 != 0 {
						continue
					}
					flips++
					d := s.disk()
					d.names[name].data[i] ^= 1 << rng.IntN(8)
					o, err := s.try(d)
					if err != nil {
						t.Fatalf("%s byte %d: %v", name, i, err)
					}
					switch {
					case covered[i] && (o.damage == nil || len(o.hits) == 0):
						t.Fatalf("%s byte %d of group at %d: Open and Scan say %v, Check %v", name, i, i/sector*sector, o.damage, o.hits)
					case o.damage == nil && o.head != last.head.sequence:
						t.Fatalf("%s byte %d: the head is %d", name, i, o.head)
					}
					if n := o.missing(s); n > 1 {
						t.Fatalf("%s byte %d: Check reads %d groups less: %v", name, i, n, o.hits)
					}
				}
			}
			t.Logf("%d groups, %d flips", len(s.groups), flips)
		})
	}
}

// Larger losses. Check still finds what is left.
func TestLosses(t *testing.T) {
	t.Parallel()
	s := newSample(t, endPlain)
	names := slices.Sorted(maps.Keys(s.files))
	count := func(name string) (n int) {
		for _, g := range s.groups {
			if g.name == name {
				n++
			}
		}
		return n
	}
	other := newSample(t, endPlain)
	tests := []struct {
		name string
		do   func(*disk)
		lost int // groups that Check can't hand out
	}{
		{"first missing", func(d *disk) { delete(d.names, names[0]) }, count(names[0])},
		{"middle missing", func(d *disk) { delete(d.names, names[1]) }, count(names[1])},
		{"last missing", func(d *disk) { delete(d.names, names[2]) }, count(names[2])},
		{"two swapped", func(d *disk) {
			d.names[names[0]], d.names[names[1]] = d.names[names[1]], d.names[names[0]]
		}, 0},
		{"last two swapped", func(d *disk) {
			d.names[names[1]], d.names[names[2]] = d.names[names[2]], d.names[names[1]]
		}, 0},
		{"first of another log", func(d *disk) { d.names[names[0]].data = other.files[names[0]] }, count(names[0])},
		{"middle of another log", func(d *disk) { d.names[names[1]].data = other.files[names[1]] }, count(names[1])},
		{"last of another log", func(d *disk) { d.names[names[2]].data = other.files[names[2]] }, count(names[2])},
		{"groups of another log", func(d *disk) {
			copy(d.names[names[1]].data[sector:], other.files[names[1]][sector:])
		}, count(names[1])},
		{"first header zero", func(d *disk) { clear(d.names[names[0]].data[:sector]) }, 0},
		{"middle header zero", func(d *disk) { clear(d.names[names[1]].data[:sector]) }, 0},
		{"last header zero", func(d *disk) { clear(d.names[names[2]].data[:sector]) }, 0},
		{"middle all zero", func(d *disk) { clear(d.names[names[1]].data) }, count(names[1])},
		{"middle empty", func(d *disk) { d.names[names[1]].data = nil }, count(names[1])},
		{"groups of the middle zero", func(d *disk) { clear(d.names[names[1]].data[sector:]) }, count(names[1])},
		{"groups of the last two zero", func(d *disk) {
			clear(d.names[names[1]].data[sector:])
			clear(d.names[names[2]].data[sector:])
		}, count(names[1]) + count(names[2])},
		{"group repeated", func(d *disk) {
			a, b := s.groups[2], s.groups[3]
			copy(d.names[names[0]].data[b.off:b.off+sector], d.names[names[0]].data[a.off:a.off+sector])
		}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := s.disk()
			tt.do(d)
			o, err := s.try(d)
			if err != nil {
				t.Fatal(err)
			}
			if o.damage == nil || len(o.hits) == 0 || len(o.hits) > 4 {
				t.Errorf("Open and Scan say %v, Check %v", o.damage, o.hits)
			}
			if n := o.missing(s); n > tt.lost {
				t.Errorf("Check hands out %d groups less, want %d: %v", n, tt.lost, o.hits)
			}
		})
	}
}

// The segment made ahead is nobody's loss, but once the one before it is sealed
// it is the current one.
func TestAheadMissing(t *testing.T) {
	made := func(l *Log, _ *rand.Rand) { l.fill.next(l.cur.number + 1) }
	for _, tt := range []struct {
		name       string
		end        func(*Log, *rand.Rand)
		lost, fine bool
	}{
		{"made ahead", made, false, true},
		{"made ahead and lost", made, true, true},
		{"current", endRolled, false, true},
		{"current and lost", endRolled, true, false},
	} {
		s := newSample(t, tt.end)
		newest := segmentName(uint32(len(s.files)))
		if len(s.files[newest]) != sector {
			t.Fatalf("%s: %d bytes in the newest segment", tt.name, len(s.files[newest]))
		}
		d := s.disk()
		if tt.lost {
			delete(d.names, newest)
		}
		o, err := s.try(d)
		if err != nil || (o.damage == nil) != tt.fine || (len(o.hits) == 0) != tt.fine || tt.fine && o.head != uint64(len(s.groups)) {
			t.Errorf("%s: %v, Check %v, head %d, %v", tt.name, o.damage, o.hits, o.head, err)
		}
	}
}

// A sector of zeros where a group was: a write that the disk acknowledged and
// lost. Only in the last group it can't be told from a write cut off.
func TestLostSectors(t *testing.T) {
	t.Parallel()
	for _, end := range []func(*Log, *rand.Rand){endPlain, endRolled} {
		s := newSample(t, end)
		for i, g := range s.groups {
			for at := g.off; at < g.off+g.head.span(); at += sector {
				d := s.disk()
				b := d.names[g.name].data[at : at+sector]
				if allZero(b) {
					continue
				}
				clear(b)
				o, err := s.try(d)
				if err != nil {
					t.Fatalf("group %d: %v", g.head.sequence, err)
				}
				switch last := i == len(s.groups)-1; {
				case last && (o.damage != nil || o.head+1 != g.head.sequence || len(o.hits) > 0):
					t.Errorf("last group: %v, head %d, %v", o.damage, o.head, o.hits)
				case !last && (o.damage == nil || len(o.hits) == 0):
					t.Errorf("group %d at %d of %s: Open and Scan say %v, Check %v", g.head.sequence, at, g.name, o.damage, o.hits)
				}
				if n := o.missing(s); n > 1 {
					t.Errorf("group %d: Check hands out %d groups less", g.head.sequence, n)
				}
			}
		}
	}
}

// A truncated segment is damage. Of the newest one nobody can tell but the layer
// above, yet what is left must be the log's beginning.
func TestTruncated(t *testing.T) {
	t.Parallel()
	s := newSample(t, endPlain)
	names := slices.Sorted(maps.Keys(s.files))
	for i, name := range names {
		for size := 0; size < len(s.files[name])-sector; size += 170 {
			d := s.disk()
			n := d.names[name]
			n.data = n.data[:size:size]
			o, err := s.try(d)
			if err != nil {
				t.Fatalf("%s cut at %d: %v", name, size, err)
			}
			left := 0
			for _, g := range s.groups {
				if g.name != name || g.off+groupHeader+int64(g.head.length) <= int64(size) {
					left++
				}
			}
			if i < len(names)-1 && (o.damage == nil || len(o.hits) == 0) {
				t.Errorf("%s cut at %d: Open and Scan say %v, Check %v", name, size, o.damage, o.hits)
			}
			if o.damage == nil && o.head < uint64(left) || len(o.checked) < left {
				t.Errorf("%s cut at %d: %d groups are left, the head is %d, Check hands out %d", name, size, left, o.head, len(o.checked))
			}
		}
	}
}

// A payload may be a copy of old bytes of the same log: a mail with the log's
// own files in it. Its groups must never be taken for groups, whichever sectors
// of the outer group arrived.
func TestCopyInside(t *testing.T) {
	t.Parallel()
	d, k := newDisk(), newLedger()
	rng := rand.New(rand.NewPCG(4, 4))
	l, err := Open(smallLog(d))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := k.append(l, rng); err != nil {
			t.Fatal(err)
		}
	}
	seq, _ := appendOne(t, l, []byte("the group that is copied"))
	k.groups[seq], k.acked = string(content(nil, []Record{{Type: FirstType, Payload: []byte("the group that is copied")}})), seq
	copied := slices.Clone(d.names[l.cur.name].data[l.tail-sector : l.tail])
	// The copies begin at sectors of the segment.
	p := append(bytes.Repeat([]byte{7}, sector-groupHeader-recordHeader), bytes.Repeat(copied, 5)...)
	g, err := l.Begin(RecordSize(len(p)))
	if err != nil {
		t.Fatal(err)
	}
	g.Add(FirstType, p)
	k.groups[g.Sequence()] = string(content(nil, []Record{{Type: FirstType, Payload: p}}))
	at := g.at
	d.crashAt = d.steps + 2 // at the sync
	if err := l.Append(g); !errors.Is(err, errPower) {
		t.Fatal(err)
	}
	name := l.cur.name
	for seed := range uint64(30) {
		for kind := range kinds {
			rng := rand.New(rand.NewPCG(seed, 5))
			if err := k.check(d.image(kind, rng), rng); err != nil {
				t.Fatalf("kind %d: %v", kind, err)
			}
		}
	}
	// The same group, acknowledged and then damaged, must be found.
	d.dead = false
	if l, err = Open(smallLog(d)); err != nil {
		t.Fatal(err)
	}
	k.acked, _ = appendOne(t, l, []byte("later"))
	k.groups[k.acked] = string(content(nil, []Record{{Type: FirstType, Payload: []byte("later")}}))
	l.Close()
	d.names[name].data[at] ^= 1
	var hits []*DamageError
	var seen []uint64
	err = Check(smallLog(d), func(g Scanned) error { seen = append(seen, g.Sequence); return k.matches(g) }, func(d *DamageError) { hits = append(hits, d) })
	if err != nil || len(hits) != 1 || !slices.Equal(seen, []uint64{1, 2, 3, 4, 6}) {
		t.Errorf("%v, %v, %v", hits, seen, err)
	}
	var bad *DamageError
	if _, err := Open(smallLog(d)); !errors.As(err, &bad) || bad.Sequence != 5 {
		t.Errorf("%v, want damage of group 5", err)
	}
}
