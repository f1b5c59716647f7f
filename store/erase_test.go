package store_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/engine"
)

// fits fails the test if a check of the whole store finds anything.
func (w *world) fits() gateway.StoreSummary {
	w.Helper()
	sum, err := w.Check(w.ctx(), system, func(what string) { w.Error(what) })
	w.ok(err)
	return sum
}

// keysOf counts the keys that name a domain, wherever they name it.
func (w *world) keysOf(d gateway.DomainID) (n int, some []string) {
	w.Helper()
	err := w.engine.View(w.ctx(), func(r engine.Reader) error {
		return r.Scan(engine.Range{}, func(k, v []byte) error {
			at := func(b []byte, i int) bool { return len(b) >= i+4 && binary.BigEndian.Uint32(b[i:]) == uint32(d) }
			timed := k[0] == 0x31 || k[0] == 0x32 || k[0] == 0x3b
			route := k[0] == 0x03 || k[0] == 0x07
			if timed && at(k, 9) || route && at(v, 0) || !timed && at(k, 1) || strings.Contains(string(k), "erasing") {
				n++
				some = append(some, fmt.Sprintf("%x", k))
			}
			return nil
		})
	})
	w.ok(err)
	return n, some[:min(len(some), 5)]
}

// A domain that is deleted is gone: no key, no body, neither for anybody who asks
// nor in the files. The other domain does not notice.
func TestDeleteDomain(t *testing.T) {
	w := newWorld(t)
	plugin := w.install("filter", "the code of the plugin that goes", nil)
	w.ok(w.RemindPlugins(w.ctx(), inside(w.ours.ID), gateway.Effects{KV: []gateway.PluginWrite{write(&plugin, "k", "v")}}))
	w.ok(w.SetPluginCounters(w.ctx(), inside(w.ours.ID), w.ours.ID, []gateway.PluginCounter{{Plugin: plugin.ID, Key: "n", Value: 1}}))
	w.ok(w.AddPluginLines(w.ctx(), inside(w.ours.ID), w.ours.ID, []gateway.PluginLine{{Plugin: plugin.ID, At: w.clock, Text: "said"}}))
	secret := "what ann was told in confidence"
	for i := range 30 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
		w.deliver(w.spy, fmt.Sprintf("<%d@x.test>", i))
		sent, done := w.acceptance(inside(w.ours.ID), w.ann.Email, "x@y.test", "z@y.test") // queued
		sent.Effects.Steps = []gateway.Step{{Name: "filter"}}
		_, err := w.Accept(w.ctx(), inside(w.ours.ID), sent)
		w.ok(err)
		done()
	}
	w.ok(w.addSegment(w.ann, 1, 30))
	at, _ := w.inboxOf(w.ann, 1)
	for _, text := range []string{secret, secret + strings.Repeat(" and so on", 50_000)} { // in the log, and in a file
		ref, done := w.blob(w.ours.ID, text)
		_, err := w.Append(w.ctx(), of(w.ann), at, &gateway.Appending{Message: &gateway.Message{
			ID: newID(), Arrived: w.clock, Blob: ref, Content: content("<s"+fmt.Sprint(len(text))+"@x.test>", "s", w.clock),
		}})
		w.ok(err)
		done()
	}
	_, err := w.ExpungeAll(w.ctx(), of(w.ann), at, []uint32{1}, false)
	w.ok(err)
	w.ok(second(w.Flag(w.ctx(), of(w.ann), at, []uint32{2, 3, 4, 5, 6}, gateway.FlagChange{Add: gateway.Flagged}))) // in a page
	w.ok(w.KeepTally(w.ctx(), inside(w.ours.ID), w.ours.ID, &gateway.Tally{Sequence: 1}))
	before := w.fits()
	if n, _ := w.keysOf(w.ours.ID); n < 300 || len(w.grep(secret)) == 0 {
		t.Fatalf("%d keys before: the test shows nothing", n)
	}
	if err := w.DeleteDomain(w.ctx(), inside(w.ours.ID), w.ours.ID); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("a key of the domain itself: %v", err)
	}
	w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID))
	if _, err := w.DomainByName(w.ctx(), system, w.ours.Name); gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("its name: %v", err)
	}
	if n, some := w.keysOf(w.ours.ID); n > 0 {
		t.Errorf("%d keys are left, such as %v", n, some)
	}
	w.ok(w.Compact(w.ctx(), system))
	if in := w.grep(secret); len(in) > 0 {
		t.Errorf("a body can be read in %v", in)
	}
	after := w.fits()
	if after.Domains != before.Domains-1 || after.Messages != 30 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	w.reopen()
	if again := w.fits(); again != after {
		t.Errorf("after a restart %+v, before it %+v", again, after)
	}
	again := w.domain(w.ours.Name) // its name is free, its number is not
	if again.ID == w.ours.ID {
		t.Error("the number of a deleted domain is given out again")
	}
}

// A deletion that dies is finished at the next start.
func TestDeletionCutShort(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.deliver(w.ann, fmt.Sprintf("<%d@x.test>", i))
	}
	for calls := 0; ; calls++ { // it dies after ever more commits
		s, err := store.New(&dying{w.engine, calls}, w.cfg)
		w.ok(err)
		err = s.DeleteDomain(w.ctx(), system, w.ours.ID)
		if gateway.KindOf(err) == gateway.NotFound { // its record is gone already
			_, err = s.FinishDeletions(w.ctx(), system)
		}
		if err == nil {
			t.Logf("%d commits", calls)
			break
		}
		if calls > 1000 {
			t.Fatal("it never ends")
		}
	}
	if n, some := w.keysOf(w.ours.ID); n > 0 {
		t.Errorf("%d keys are left, such as %v", n, some)
	}
	if left, err := w.FinishDeletions(w.ctx(), system); len(left) != 0 || err != nil {
		t.Errorf("deletions of %v are left, %v", left, err)
	}
	w.fits()
}

// dying is an engine that makes so many commits and no more.
type dying struct {
	engine.Engine
	left int
}

func (d *dying) Update(ctx context.Context, op engine.Op) (engine.Commit, error) {
	if d.left--; d.left < 0 {
		return engine.Commit{}, errors.New("dead")
	}
	return d.Engine.Update(ctx, op)
}

// grep lists the files of the store that hold a text.
func (w *world) grep(text string) (in []string) {
	w.Helper()
	w.ok(filepath.WalkDir(w.disk.Dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			in = append(in, path)
		}
		return err
	}))
	return in
}
