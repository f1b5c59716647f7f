package seglog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"testing"
)

// ledger is what a caller of the log knows.
type ledger struct {
	groups map[uint64]string // by sequence, as handed to Append; seals are the log's own
	acked  uint64
	gone   map[uint64]bool // sequences that Collect was called for
	buf    []byte
	draft  Group
}

func newLedger() *ledger { return &ledger{groups: map[uint64]string{}, gone: map[uint64]bool{}} }

const (
	crashSegment = 16 << 10
	crashGroup   = 5 << 10
)

func smallLog(d FS) Config {
	return Config{FS: d, Log: quiet, SegmentSize: crashSegment, MaxGroup: crashGroup, MayFill: func() bool { return false }}
}

func content(b []byte, records []Record) []byte {
	b = b[:0]
	for _, r := range records {
		b = binary.BigEndian.AppendUint32(append(b, byte(r.Type)), uint32(len(r.Payload)))
		b = append(b, r.Payload...)
	}
	return b
}

// group makes some records: long ones, empty ones, and some full of zeros.
func group(rng *rand.Rand) (records []Record, room int64) {
	for range 1 + rng.IntN(6) {
		p := make([]byte, rng.IntN(700))
		if rng.IntN(6) == 0 {
			p = make([]byte, rng.IntN(2000))
		}
		if rng.IntN(4) > 0 {
			for i := range p {
				p[i] = byte(rng.Uint32())
			}
		}
		if room+RecordSize(len(p)) > crashGroup-groupHeader-sector {
			break
		}
		records = append(records, Record{Type: FirstType + Type(rng.IntN(9)), Payload: p})
		room += RecordSize(len(p))
	}
	return records, room
}

// append appends one group and keeps the books.
func (k *ledger) append(l *Log, rng *rand.Rand) error {
	records, room := group(rng)
	k.draft.Reset()
	g := &k.draft
	early := rng.IntN(len(records) + 1) // how many are added before the group has its place
	for _, r := range records[:early] {
		g.Add(r.Type, r.Payload[:len(r.Payload)/2], r.Payload[len(r.Payload)/2:])
		room -= RecordSize(len(r.Payload))
	}
	err := l.Place(g, room)
	k.acked = l.Head()
	if err != nil {
		return err
	}
	for _, r := range records[early:] {
		g.Add(r.Type, r.Payload[:len(r.Payload)/2], r.Payload[len(r.Payload)/2:])
	}
	k.groups[g.Sequence()] = string(content(nil, records))
	if err := l.Append(g); err != nil {
		if errors.Is(err, ErrFull) {
			delete(k.groups, g.Sequence()) // nothing of it may stay
		}
		return err
	}
	if k.acked++; k.acked != g.Sequence() || k.acked != l.Head() {
		return fmt.Errorf("group %d was appended after %d, the head is %d", g.Sequence(), k.acked-1, l.Head())
	}
	return nil
}

func (k *ledger) collect(l *Log, number uint32) error {
	for _, i := range l.Segments() {
		for seq := i.First; i.Number == number && seq != 0 && seq <= i.Last; seq++ {
			k.gone[seq] = true
		}
	}
	return l.Collect(number)
}

// work is the fixed workload. With fill it also fills ahead, in this goroutine.
func (k *ledger) work(d *disk, fill bool) (err error) {
	rng := rand.New(rand.NewPCG(7, 7))
	l, err := Open(smallLog(d))
	if err != nil {
		return err
	}
	defer func() {
		if l != nil {
			l.Close()
		}
	}()
	for i := range 40 {
		switch i {
		case 15:
			err = l.Roll()
			k.acked = l.Head()
		case 25:
			err = k.collect(l, 2)
		case 28:
			err = k.collect(l, 1)
		case 18, 32:
			if err = l.Close(); err == nil {
				l, err = Open(smallLog(d))
			}
		case 36:
			err = k.collect(l, 3)
		}
		if err != nil {
			return err
		}
		if err := k.append(l, rng); err != nil {
			return err
		}
		if fill && i%2 == 0 {
			l.fill.step()
		}
	}
	return l.Close()
}

// check opens what a crash left and holds it against the ledger, then goes on
// with it. What it shows must stay, whatever happens next.
func (k *ledger) check(d *disk, rng *rand.Rand) (err error) {
	if err := noDamage(d); err != nil {
		return fmt.Errorf("before opening: %w", err)
	}
	l, err := Open(smallLog(d))
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() {
		if l != nil {
			l.Close()
		}
	}()
	if l.Head() != k.acked && l.Head() != k.acked+1 {
		return fmt.Errorf("the head is %d, acknowledged was %d", l.Head(), k.acked)
	}
	if err := k.same(l); err != nil {
		return err
	}
	// What was shown is durable, even if the power goes again.
	again, err := Open(smallLog(d.image(dropAll, rng)))
	if err != nil {
		return fmt.Errorf("open after a second crash: %w", err)
	}
	defer again.Close()
	if again.Head() != l.Head() {
		return fmt.Errorf("a second crash changed the head from %d to %d", l.Head(), again.Head())
	}
	next := &ledger{groups: map[uint64]string{}, gone: k.gone, acked: l.Head()}
	for seq, g := range k.groups {
		if seq <= l.Head() {
			next.groups[seq] = g
		}
	}
	for range 4 {
		if err := next.append(l, rng); err != nil {
			return fmt.Errorf("append after the crash: %w", err)
		}
	}
	if err := l.Close(); err != nil {
		return err
	}
	d = d.image(dropAll, rng)
	if err := noDamage(d); err != nil {
		return fmt.Errorf("after appending: %w", err)
	}
	if l, err = Open(smallLog(d)); err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	return next.same(l)
}

// same holds every group of the log against the ledger.
func (k *ledger) same(l *Log) error {
	want := uint64(1)
	skip := func(to uint64) {
		for want < to && k.gone[want] {
			want++
		}
	}
	err := l.Scan(0, func(g Scanned) error {
		skip(g.Sequence)
		if g.Sequence != want {
			return fmt.Errorf("group %d came where %d should", g.Sequence, want)
		}
		if err := k.matches(g); err != nil {
			return err
		}
		want++
		return nil
	})
	if err != nil {
		return err
	}
	skip(l.Head() + 1)
	if want != l.Head()+1 {
		return fmt.Errorf("the log ends before group %d, its head is %d", want, l.Head())
	}
	return nil
}

func (k *ledger) matches(g Scanned) error {
	w, ok := k.groups[g.Sequence]
	k.buf = content(k.buf, g.Records)
	switch {
	case ok && string(k.buf) == w:
		return nil
	case ok && g.Sequence <= k.acked:
		return fmt.Errorf("group %d differs", g.Sequence)
	}
	if len(g.Records) != 1 || g.Records[0].Type != typeSeal {
		return fmt.Errorf("nobody wrote group %d", g.Sequence)
	}
	return nil
}

func noDamage(d *disk) error {
	var hits []error
	err := Check(smallLog(d), nil, func(d *DamageError) { hits = append(hits, d) })
	return errors.Join(append(hits, err)...)
}

// The power goes at every step of the workload, and each time the disk is found
// in each way it may be.
func TestCrashEverywhere(t *testing.T) {
	for _, fill := range []bool{false, true} {
		t.Run(fmt.Sprintf("fill=%v", fill), func(t *testing.T) {
			t.Parallel()
			d, k := newDisk(), newLedger()
			if err := k.work(d, fill); err != nil {
				t.Fatal(err)
			}
			if err := k.check(d.clone(), rand.New(rand.NewPCG(1, 1))); err != nil {
				t.Fatal(err)
			}
			total, stride := d.steps, 1
			if testing.Short() {
				stride = 7
			}
			t.Logf("%d steps, %d groups", total, k.acked)
			for at := 1; at <= total; at += stride {
				d, k := newDisk(), newLedger()
				d.crashAt = at
				if err := k.work(d, fill); !errors.Is(err, errPower) && !fill { // filling fails in silence
					t.Fatalf("step %d: %v", at, err)
				}
				for kind := range kinds {
					rng := rand.New(rand.NewPCG(uint64(at), uint64(kind)))
					img := d.image(kind, rng)
					if kind%3 == at%3 { // the power goes once more while the log is opened
						second := img.clone()
						second.crashAt = 1 + rng.IntN(4)
						if l, err := Open(smallLog(second)); err == nil {
							l.Close()
						}
						if err := k.check(second.image(rng.IntN(kinds), rng), rng); err != nil {
							t.Errorf("step %d, kind %d, opened twice: %v", at, kind, err)
						}
					}
					if err := k.check(img, rng); err != nil {
						t.Errorf("step %d, kind %d: %v", at, kind, err)
					}
				}
				// The process was only killed, so its cache is still there.
				d.dead = false
				if err := k.check(d, rand.New(rand.NewPCG(uint64(at), 0))); err != nil {
					t.Errorf("step %d, killed: %v", at, err)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// The same at random moments, with the filler at its own pace and a disk that is
// full now and then.
func TestCrashWhileFilling(t *testing.T) {
	t.Parallel()
	runs := 30
	if testing.Short() {
		runs = 20
	}
	for seed := range uint64(runs) {
		rng := rand.New(rand.NewPCG(seed, 3))
		d, k := newDisk(), newLedger()
		faults := rand.New(rand.NewPCG(seed, 4))
		d.fault = func(op, _ string, bytes int) (int, error) {
			if op == "write" && faults.IntN(20) == 0 {
				return faults.IntN(bytes + 1), syscall.ENOSPC
			}
			return bytes, nil
		}
		d.crashAt = 20 + rng.IntN(200)
		if err := k.random(d, rng); !errors.Is(err, errPower) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for kind := range kinds {
			if err := k.check(d.image(kind, rng), rng); err != nil {
				t.Fatalf("seed %d, kind %d: %v", seed, kind, err)
			}
		}
	}
}

// random works until the power goes.
func (k *ledger) random(d *disk, rng *rand.Rand) error {
	cfg := smallLog(d)
	cfg.MayFill = func() bool { return true }
	for {
		l, err := Open(cfg)
		if errors.Is(err, syscall.ENOSPC) {
			continue
		}
		if err != nil {
			return err
		}
		for range 30 {
			if err = k.append(l, rng); errors.Is(err, ErrFull) {
				err = nil
			}
			if s := l.Segments(); err == nil && rng.IntN(20) == 0 && s[len(s)/2].Sealed && !s[len(s)/2].Collected {
				if err = k.collect(l, s[len(s)/2].Number); errors.Is(err, syscall.ENOSPC) {
					err = nil
				}
			}
			if err != nil {
				break
			}
			runtime.Gosched()
		}
		err = errors.Join(err, l.Close())
		if err != nil {
			return err
		}
	}
}
