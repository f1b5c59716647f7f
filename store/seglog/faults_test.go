package seglog

import (
	"errors"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
)

// once fails the nth step of a kind, a write after some of its bytes.
func once(d *disk, op string, nth int, err error, rng *rand.Rand) (hit *string) {
	hit = new(string)
	d.fault = func(o, name string, bytes int) (int, error) {
		if o == op {
			if nth--; nth == 0 {
				*hit = "at " + name
				return rng.IntN(bytes + 6), err
			}
		}
		return bytes, nil
	}
	return hit
}

// A full disk costs the one group it meets, and nothing of it stays.
func TestFull(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"write", "create"} {
		for nth := 1; ; nth++ {
			rng := rand.New(rand.NewPCG(uint64(nth), 5))
			d, k := newDisk(), newLedger()
			l, err := Open(smallLog(d))
			if err != nil {
				t.Fatal(err)
			}
			hit := once(d, op, nth, syscall.ENOSPC, rng)
			for range 40 {
				err := k.append(l, rng)
				if err == nil {
					continue
				}
				if !errors.Is(err, ErrFull) {
					t.Fatalf("%s %d: %v", op, nth, err)
				}
				if err := k.same(l); err != nil {
					t.Fatalf("%s %d: while full: %v", op, nth, err)
				}
				kind := rng.IntN(kinds)
				if err := k.check(d.image(kind, rng), rng); err != nil {
					t.Fatalf("%s %d: power lost while full, kind %d: %v", op, nth, kind, err)
				}
			}
			d.fault = nil
			if err := errors.Join(k.same(l), l.Close()); err != nil {
				t.Fatalf("%s %d: %v", op, nth, err)
			}
			if k.acked < 39 {
				t.Fatalf("%s %d: only %d groups", op, nth, k.acked)
			}
			if err := k.check(d, rng); err != nil {
				t.Fatalf("%s %d: %v", op, nth, err)
			}
			if *hit == "" {
				break
			}
		}
	}
}

// Once a sync or a write fails nothing is appended any more. The next start
// finds the last group or doesn't, and stays with its answer.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	for _, op := range []string{"sync", "write", "syncdir", "rename"} {
		for nth := 1; ; nth++ {
			rng := rand.New(rand.NewPCG(uint64(nth), 6))
			d, k := newDisk(), newLedger()
			l, err := Open(smallLog(d))
			if err != nil {
				t.Fatal(err)
			}
			hit := once(d, op, nth, syscall.EIO, rng)
			for range 40 {
				if err = k.append(l, rng); err != nil {
					break
				}
			}
			if *hit == "" {
				if err != nil {
					t.Fatal(err)
				}
				l.Close()
				break
			}
			if !errors.Is(err, syscall.EIO) || errors.Is(err, ErrFull) {
				t.Fatalf("%s %d: %v", op, nth, err)
			}
			if strings.HasPrefix(*hit, "at seg-") && !strings.HasSuffix(*hit, tmpSuffix) {
				if _, err := l.Begin(1); !errors.Is(err, syscall.EIO) {
					t.Fatalf("%s %d: Begin goes on: %v", op, nth, err)
				}
				if err := l.Append(new(Group)); !errors.Is(err, syscall.EIO) {
					t.Fatalf("%s %d: Append goes on: %v", op, nth, err)
				}
				if err := l.Roll(); l.cur.first != 0 && !errors.Is(err, syscall.EIO) {
					t.Fatalf("%s %d: Roll goes on: %v", op, nth, err)
				}
			}
			d.fault = nil
			if err := errors.Join(k.same(l), l.Close()); err != nil {
				t.Fatalf("%s %d: %v", op, nth, err)
			}
			if err := k.check(d.image(rng.IntN(kinds), rng), rng); err != nil {
				t.Fatalf("%s %d: after a crash: %v", op, nth, err)
			}
			if err := k.check(d, rng); err != nil {
				t.Fatalf("%s %d: after a restart: %v", op, nth, err)
			}
		}
	}
}

// hooked calls wrote after a write, while nothing of it is synced.
type hooked struct {
	*disk
	wrote func()
}

func (h *hooked) Open(name string) (File, error)   { return h.hook(h.disk.Open(name)) }
func (h *hooked) Create(name string) (File, error) { return h.hook(h.disk.Create(name)) }

func (h *hooked) hook(f File, err error) (File, error) { return hookedFile{f, h}, err }

type hookedFile struct {
	File
	h *hooked
}

func (f hookedFile) WriteAt(p []byte, off int64) (int, error) {
	n, err := f.File.WriteAt(p, off)
	if wrote := f.h.wrote; wrote != nil {
		f.h.wrote = nil
		wrote()
	}
	return n, err
}

// An error that the filler's sync meets may be about the writer's group: Linux
// tells it once to each open file, so the two must not share one.
func TestFillerTakesNoErrorAway(t *testing.T) {
	h := &hooked{disk: newDisk()}
	rng := rand.New(rand.NewPCG(1, 8))
	k := newLedger()
	l, err := Open(smallLog(h))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		if err := k.append(l, rng); err != nil {
			t.Fatal(err)
		}
	}
	h.wrote = func() {
		h.fault = func(op, _ string, bytes int) (int, error) {
			if op == "sync" {
				h.fault = nil
				return 0, syscall.EIO
			}
			return bytes, nil
		}
		l.fill.piece(l.cur, crashSegment)
	}
	err = k.append(l, rng)
	if h.wrote != nil || h.fault != nil {
		t.Fatal("the filler didn't meet the error")
	}
	if err == nil {
		t.Error("Append said yes to a group whose sync failed")
	}
	if err := k.check(h.image(dropAll, rng), rng); err != nil {
		t.Error(err)
	}
}
