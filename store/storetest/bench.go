package storetest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// Bench measures what accepting a message costs an engine: a body of 5 KB, a
// record of 400 bytes and six small keys, durable, by 1, 16 and 64 callers; and
// what reading costs.
func Bench(b *testing.B, open Opener) {
	for _, callers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("accept/%d", callers), func(b *testing.B) {
			e := open(b, b.TempDir(), time.Now)
			defer e.Close()
			accept(b, e, callers)
		})
	}
	b.Run("get", func(b *testing.B) {
		e := open(b, b.TempDir(), time.Now)
		defer e.Close()
		fill(b, e, 10_000)
		b.ReportAllocs()
		i := uint64(0)
		for b.Loop() {
			err := e.View(b.Context(), func(r engine.Reader) error {
				_, err := r.Get(append(k("rec"), u64(i%10_000)...))
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
			i++
		}
	})
	b.Run("newest 20 of 10000", func(b *testing.B) {
		e := open(b, b.TempDir(), time.Now)
		defer e.Close()
		fill(b, e, 10_000)
		rng := engine.Prefix(k("rec"))
		rng.Reverse, rng.Limit = true, 20
		b.ReportAllocs()
		for b.Loop() {
			n := 0
			err := e.View(b.Context(), func(r engine.Reader) error {
				return r.Scan(rng, func(_, _ []byte) error { n++; return nil })
			})
			if err != nil || n != 20 {
				b.Fatal(n, err)
			}
		}
	})
}

func accept(b *testing.B, e engine.Engine, callers int) {
	body, rec := make([]byte, 5000), make([]byte, 400)
	var n atomic.Uint64
	b.SetParallelism((callers + 1) / 2) // GOMAXPROCS is multiplied in
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := acceptOne(b, e, n.Add(1), body, rec); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

func acceptOne(b *testing.B, e engine.Engine, id uint64, body, rec []byte) error {
	w, err := e.Blobs().Create(b.Context(), 1, 0)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(body); err != nil {
		return err
	}
	ref, err := w.Seal()
	if err != nil {
		return err
	}
	_, err = e.Update(b.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		if err := tx.Link(ref); err != nil {
			return err
		}
		tx.Set(append(k("rec"), u64(id)...), rec)
		for i := range byte(6) {
			tx.Set(append(k("idx"), append([]byte{i}, u64(id)...)...), rec[:20])
		}
		tx.Emit(rec[:40])
		return nil
	}})
	return err
}

func fill(b *testing.B, e engine.Engine, n uint64) {
	b.Helper()
	for i := uint64(0); i < n; i += 1000 {
		_, err := e.Update(b.Context(), engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			for j := i; j < i+1000; j++ {
				tx.Set(append(k("rec"), u64(j)...), make([]byte, 400))
			}
			return nil
		}})
		if err != nil {
			b.Fatal(err)
		}
	}
}
