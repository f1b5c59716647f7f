package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// segment seals the bytes of a segment, which the store does not look into.
func (w *world) segment(a *gateway.Account, first, last gateway.MessageNumber) (*gateway.IndexSegment, func()) {
	w.Helper()
	ref, done := w.blob(a.Domain, fmt.Sprintf("segment %d to %d of %d", first, last, a.ID))
	return &gateway.IndexSegment{First: first, Last: last, Messages: int(last - first + 1), Blob: ref}, done
}

func (w *world) addSegment(a *gateway.Account, first, last gateway.MessageNumber) error {
	w.Helper()
	seg, done := w.segment(a, first, last)
	defer done()
	return w.AddSegment(w.ctx(), of(a), a.Domain, a.ID, seg)
}

// ranges is an account's index in words.
func (w *world) ranges(a *gateway.Account) (s string) {
	w.Helper()
	all, _, err := w.Segments(w.ctx(), of(a), a.Domain, a.ID)
	w.ok(err)
	for _, seg := range all {
		s += fmt.Sprintf("%d-%d ", seg.First, seg.Last)
		r, err := w.OpenBlob(w.ctx(), of(a), seg.Blob, 0, -1)
		w.ok(err)
		b, err := io.ReadAll(r)
		r.Close()
		w.ok(err)
		if want := fmt.Sprintf("segment %d to %d of %d", seg.First, seg.Last, a.ID); string(b) != want {
			w.Errorf("%d-%d says %q", seg.First, seg.Last, b)
		}
	}
	return s
}

// Segments follow each other without a gap, whoever adds and merges at once; what is
// merged away leaves no body behind, and a restart finds all as it was.
func TestSegments(t *testing.T) {
	w := newWorld(t)
	for i := range 10 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
		w.deliver(w.eve, fmt.Sprintf("<%d@x.test>", i))
	}
	for _, tt := range []struct {
		name        string
		first, last gateway.MessageNumber
		want        gateway.Kind
		fine        bool
	}{
		{"not from the start", 2, 3, gateway.InvalidState, false},
		{"nothing", 1, 0, gateway.InvalidState, false},
		{"the first", 1, 3, 0, true},
		{"it again", 1, 3, gateway.InvalidState, false},
		{"a gap", 5, 6, gateway.InvalidState, false},
		{"an overlap", 3, 6, gateway.InvalidState, false},
		{"the second", 4, 4, 0, true},
		{"behind the newest", 5, 11, gateway.InvalidState, false},
		{"the third", 5, 10, 0, true},
	} {
		if err := w.addSegment(w.ann, tt.first, tt.last); (err == nil) != tt.fine || err != nil && gateway.KindOf(err) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	if got := w.ranges(w.ann); got != "1-3 4-4 5-10 " {
		t.Errorf("segments %s", got)
	}
	w.fits()
	old, newest, err := w.Segments(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID)
	w.ok(err)
	if newest != 10 {
		t.Errorf("newest message %d", newest)
	}
	merged, done := w.segment(w.ann, 1, 4)
	w.ok(w.MergeSegments(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID, old[:2], merged))
	done()
	again, done := w.segment(w.ann, 1, 4)
	if err := w.MergeSegments(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID, old[:2], again); gateway.KindOf(err) != gateway.InvalidState {
		t.Errorf("what was merged already: %v", err)
	}
	if err := w.MergeSegments(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID, old[1:], again); err == nil {
		t.Error("a merged segment of another range is taken")
	}
	done()
	if got := w.ranges(w.ann); got != "1-4 5-10 " {
		t.Errorf("merged: %s", got)
	}
	before := w.fits()
	w.reopen()
	if got := w.ranges(w.ann); got != "1-4 5-10 " || w.fits() != before {
		t.Errorf("after a restart: %s, %+v", got, w.fits())
	}
	w.ok(w.DropSegments(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID))
	if got := w.ranges(w.ann); got != "" || w.fits().Bodies != before.Bodies-2 {
		t.Errorf("dropped: %s", got)
	}
	if refs, lost := w.TakeUnindexed(); len(refs) != 1 || lost || refs[0].Account != w.ann.ID {
		t.Errorf("who has to be indexed: %v", refs)
	}
}

// Nobody touches the index of an account outside of a scope, nor of one that is going.
func TestSegmentsAreScoped(t *testing.T) {
	w := newWorld(t)
	w.deliver(w.ann, "<1@x.test>")
	seg, done := w.segment(w.ann, 1, 1)
	defer done()
	for name, sc := range map[string]gateway.Scope{"a neighbour": of(w.eve), "another domain": inside(w.them.ID)} {
		_, _, segments := w.Segments(w.ctx(), sc, w.ours.ID, w.ann.ID)
		_, _, after := w.MessagesAfter(w.ctx(), sc, w.ours.ID, w.ann.ID, 0, 10)
		_, numbers := w.MessageNumbers(w.ctx(), sc, w.ours.ID, w.ann.ID, 1, 10)
		for what, err := range map[string]error{
			"Segments": segments, "MessagesAfter": after, "MessageNumbers": numbers,
			"AddSegment":    w.AddSegment(w.ctx(), sc, w.ours.ID, w.ann.ID, seg),
			"MergeSegments": w.MergeSegments(w.ctx(), sc, w.ours.ID, w.ann.ID, []gateway.IndexSegment{*seg}, seg),
			"DropSegments":  w.DropSegments(w.ctx(), sc, w.ours.ID, w.ann.ID),
		} {
			if gateway.KindOf(err) != gateway.NotFound || err == nil {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	w.ok(w.CloseAccount(w.ctx(), inside(w.ours.ID), w.ours.ID, w.ann.ID))
	if err := w.AddSegment(w.ctx(), inside(w.ours.ID), w.ours.ID, w.ann.ID, seg); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("of an account that is going: %v", err)
	}
}

// The indexer gets messages in the order of their numbers, and hears of every new one.
func TestMessagesAfter(t *testing.T) {
	w := newWorld(t)
	w.TakeUnindexed()
	for i := range 7 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
	}
	select {
	case <-w.Unindexed():
	default:
		t.Error("nobody was woken")
	}
	if refs, _ := w.TakeUnindexed(); len(refs) != 1 || refs[0] != (gateway.AccountRef{Domain: w.ours.ID, Account: w.ann.ID}) {
		t.Errorf("who has mail: %v", refs)
	}
	at := gateway.Selection{Domain: w.ours.ID, Account: w.ann.ID, Mailbox: 1}
	_, err := w.ExpungeAll(w.ctx(), of(w.ann), at, []uint32{2, 7}, false)
	w.ok(err)
	for _, tt := range []struct {
		after   gateway.MessageNumber
		most    int
		want    string
		through gateway.MessageNumber
	}{
		{0, 3, "1 3 4 ", 4},
		{4, 3, "5 6 ", 7},
		{5, 1, "6 ", 6},
		{7, 3, "", 7},
	} {
		all, through, err := w.MessagesAfter(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID, tt.after, tt.most)
		w.ok(err)
		got := ""
		for _, m := range all {
			got += fmt.Sprint(m.Number, " ")
			if len(m.Content.Parts) != 1 {
				t.Errorf("message %d has no structure", m.Number)
			}
		}
		if got != tt.want || through != tt.through {
			t.Errorf("behind %d: %s through %d, want %s through %d", tt.after, got, through, tt.want, tt.through)
		}
	}
	if n, err := w.MessageNumbers(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID, 2, 6); err != nil || fmt.Sprint(n) != "[3 4 5 6]" {
		t.Errorf("numbers %v: %v", n, err)
	}
}

// What can't be read is said to be that, and nothing is held against the index for it.
func TestSegmentsNotRead(t *testing.T) {
	w := newWorld(t)
	w.deliver(w.ann, "<1@x.test>")
	w.ok(w.addSegment(w.ann, 1, 1))
	away := errors.New("the disk is away")
	total, fails := 0, 0
	w.watch(0x09, func([]byte) error {
		if total++; total == fails {
			return away
		}
		return nil
	})
	check := func() error {
		total = 0
		_, err := w.Check(w.ctx(), system, func(what string) { t.Error(what) })
		return err
	}
	w.ok(check())
	for fails = total; fails > 0; fails-- {
		if err := check(); !errors.Is(err, away) {
			t.Errorf("read %d fails: %v", fails, err)
		}
	}
}

// A body that the disk has changed is told of as such, so that who can make it again does.
func TestDamagedBody(t *testing.T) {
	w := newWorld(t)
	w.deliver(w.ann, "<1@x.test>")
	w.ok(w.addSegment(w.ann, 1, 1))
	all, _, err := w.Segments(w.ctx(), of(w.ann), w.ours.ID, w.ann.ID)
	w.ok(err)
	said := []byte(fmt.Sprintf("segment 1 to 1 of %d", w.ann.ID))
	flipped := 0
	w.ok(filepath.WalkDir(w.disk.Dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if i := bytes.Index(b, said); err == nil && i >= 0 {
			flipped++
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			w.ok(err)
			_, err = f.WriteAt([]byte{b[i] ^ 1}, int64(i))
			return errors.Join(err, f.Close())
		}
		return err
	}))
	r, err := w.OpenBlob(w.ctx(), of(w.ann), all[0].Blob, 0, -1)
	if err == nil {
		_, err = io.ReadAll(r)
		r.Close()
	}
	if flipped == 0 || !errors.Is(err, gateway.ErrDamaged) {
		t.Errorf("flipped %d times: %v, want %v", flipped, err, gateway.ErrDamaged)
	}
}
