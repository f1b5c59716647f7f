package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// Sizes of what the benchmarks accept, in bytes.
const (
	BodySize   = 5000
	RecordSize = 400
	entrySize  = 20 // of the value under an index key
	changeSize = 40
)

// stored is how many messages there are for the benchmarks that read.
const stored = 100_000

// Bench measures what accepting a message costs an engine, durably, with 1, 8, 64
// and 256 callers; the same when all messages change one counter, as a hot mailbox
// does; and what reading costs among 100,000 messages.
//
// testdata/peers compares the same work with other stores on the same disk.
func Bench(b *testing.B, open Opener) {
	for _, callers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("accept/%d", callers), func(b *testing.B) { benchAccept(b, open, callers, false) })
	}
	for _, callers := range []int{1, 8, 64, 256} {
		b.Run(fmt.Sprintf("hot/%d", callers), func(b *testing.B) { benchAccept(b, open, callers, true) })
	}
	for _, feeds := range []int{0, 1000} {
		b.Run(fmt.Sprintf("beside %d feeds", feeds), func(b *testing.B) { benchFeeds(b, open, feeds) })
	}
	b.Run("get", func(b *testing.B) {
		benchRead(b, open, func(e engine.Engine) error { return ReadOne(b.Context(), e, rand.Uint64N(stored)) })
	})
	b.Run("newest 20", func(b *testing.B) {
		benchRead(b, open, func(e engine.Engine) error { return ReadNewest(b.Context(), e, 20) })
	})
}

func benchAccept(b *testing.B, open Opener, callers int, hot bool) {
	e := open(b, b.TempDir(), time.Now)
	defer e.Close()
	var last atomic.Int64
	var wg sync.WaitGroup
	b.SetBytes(BodySize)
	b.ReportAllocs()
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for id := last.Add(1); id <= int64(b.N); id = last.Add(1) {
				if err := Accept(b.Context(), e, NewMessage(uint64(id)), hot); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}

// benchFeeds measures how long 8 callers wait while others follow changes, each in a
// domain of its own but for ten in the callers', of which one reads. Every tenth of
// the rest never reads.
func benchFeeds(b *testing.B, open Opener, feeds int) {
	e := open(b, b.TempDir(), time.Now)
	defer e.Close()
	ctx, stop := context.WithCancel(b.Context())
	var readers sync.WaitGroup
	defer readers.Wait()
	defer stop()
	for i := range feeds {
		domain := uint32(1)
		if i >= 10 {
			domain = uint32(i)
		}
		feed := e.Feed(domain, 0)
		if i%10 == 0 || i > 1 && i < 10 {
			defer feed.Close()
			continue
		}
		readers.Go(func() {
			defer feed.Close()
			for {
				select {
				case <-feed.Wake():
				case <-ctx.Done():
					return
				}
				for some, err := feed.Next(ctx, 100); err == nil && len(some) > 0; some, err = feed.Next(ctx, 100) {
				}
			}
		})
	}
	var last atomic.Int64
	var callers sync.WaitGroup
	took := make([]time.Duration, b.N+1)
	b.ResetTimer()
	for range 8 {
		callers.Go(func() {
			for id := last.Add(1); id <= int64(b.N); id = last.Add(1) {
				began := time.Now()
				if err := Accept(b.Context(), e, NewMessage(uint64(id)), false); err != nil {
					b.Error(err)
					return
				}
				took[id] = time.Since(began)
			}
		})
	}
	callers.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}

func benchRead(b *testing.B, open Opener, read func(engine.Engine) error) {
	dir := b.TempDir()
	e := open(b, dir, time.Now)
	if err := errors.Join(Fill(b.Context(), e, stored), e.Close()); err != nil {
		b.Fatal(err)
	}
	e = open(b, dir, time.Now) // as after a restart: nothing is in memory
	defer e.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := read(e); err != nil {
			b.Fatal(err)
		}
	}
}

// Message is a message as the store sees one: no mail, but the bytes and keys of
// one. What it holds must not be changed.
type Message struct {
	Body      []byte
	RecordKey []byte
	Record    []byte
	IndexKeys [6][]byte
	Entry     []byte // the value under each index key; begins with the number
	Change    []byte
}

// Names of keys, after the five bytes that place them.
const (
	recordName  = 'r'
	newestName  = 'n' // all messages, oldest first
	counterName = 'c'
)

// NewMessage makes the message with a number. Two of its index keys are as good as
// random, the others grow with the number.
func NewMessage(number uint64) *Message {
	text := text()
	at := mix(number) % uint64(len(text)-BodySize)
	m := &Message{Body: text[at : at+BodySize], Record: text[at : at+RecordSize], Change: text[at : at+changeSize]}
	m.Entry = append(binary.BigEndian.AppendUint64(make([]byte, 0, entrySize), number), text[at:at+entrySize-8]...)
	m.RecordKey = RecordKey(number)
	mailbox := number % 100
	m.IndexKeys = [...][]byte{
		benchKey(newestName, number),
		benchKey('m', mailbox, number),
		benchKey('u', mailbox, number), // unread
		benchKey('d', number>>12, number),
		benchKey('i', mix(number)), // Message-ID
		benchKey('t', mix(number>>2), number),
	}
	return m
}

// RecordKey is the key of the record of the message with a number.
func RecordKey(number uint64) []byte { return benchKey(recordName, number) }

func benchKey(name byte, parts ...uint64) []byte {
	b := append(make([]byte, 0, 6+16), 0x70, 0, 0, 0, 1, name)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint64(b, p)
	}
	return b
}

// CounterKey is what all messages change when a mailbox is hot.
func CounterKey() []byte { return benchKey(counterName) }

// mix scatters numbers (the finalizer of SplitMix64).
func mix(v uint64) uint64 {
	v = (v ^ v>>30) * 0xbf58476d1ce4e5b9
	v = (v ^ v>>27) * 0x94d049bb133111eb
	return v ^ v>>31
}

// text is 1 MiB that compresses about as mail does.
var text = sync.OnceValue(func() []byte {
	r := rand.New(rand.NewPCG(1, 2))
	words := make([][]byte, 3000)
	for i := range words {
		for range 3 + r.IntN(7) {
			words[i] = append(words[i], 'a'+byte(r.IntN(26)))
		}
	}
	b := make([]byte, 0, 1<<20+16)
	for len(b) < 1<<20 {
		b = append(append(b, words[r.IntN(len(words))]...), ' ')
	}
	return b
})

// Accept stores a message and returns when it is durable: its body, its record,
// its index entries and a change. If hot, it also adds one to CounterKey.
func Accept(ctx context.Context, e engine.Engine, m *Message, hot bool) error {
	w, err := e.Blobs().Create(ctx, 1, BodySize)
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(m.Body); err != nil {
		return err
	}
	ref, err := w.Seal()
	if err != nil {
		return err
	}
	_, err = e.Update(ctx, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		if err := tx.Link(ref); err != nil {
			return err
		}
		if hot {
			if err := count(tx); err != nil {
				return err
			}
		}
		m.put(tx)
		tx.Emit(m.Change)
		return nil
	}})
	return err
}

func (m *Message) put(tx engine.Tx) {
	tx.Set(m.RecordKey, m.Record)
	for _, k := range m.IndexKeys {
		tx.Set(k, m.Entry)
	}
}

func count(tx engine.Tx) error {
	k := CounterKey()
	old, err := tx.Get(k)
	if err != nil && !errors.Is(err, engine.ErrNotFound) {
		return err
	}
	tx.Set(k, u64(number(old)+1))
	return nil
}

// Fill stores the messages 0 to n-1 without their bodies, many at once.
func Fill(ctx context.Context, e engine.Engine, n uint64) error {
	const step = 500
	for from := uint64(0); from < n; from += step {
		_, err := e.Update(ctx, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
			for i := from; i < min(from+step, n); i++ {
				NewMessage(i).put(tx)
			}
			return nil
		}})
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadOne reads the record of one message.
func ReadOne(ctx context.Context, e engine.Engine, number uint64) error {
	return e.View(ctx, func(r engine.Reader) error { return readRecord(r, number) })
}

// ReadNewest reads the records of the newest n messages, through an index.
func ReadNewest(ctx context.Context, e engine.Engine, n int) error {
	return e.View(ctx, func(r engine.Reader) error {
		rng := engine.Prefix(benchKey(newestName))
		rng.Reverse, rng.Limit = true, n
		numbers := make([]uint64, 0, n)
		if err := r.Scan(rng, func(_, entry []byte) error {
			numbers = append(numbers, binary.BigEndian.Uint64(entry))
			return nil
		}); err != nil {
			return err
		}
		if len(numbers) != n {
			return fmt.Errorf("%d messages, want %d", len(numbers), n)
		}
		for _, i := range numbers {
			if err := readRecord(r, i); err != nil {
				return err
			}
		}
		return nil
	})
}

func readRecord(r engine.Reader, number uint64) error {
	rec, err := r.Get(RecordKey(number))
	if err == nil && len(rec) != RecordSize {
		err = fmt.Errorf("a record of %d bytes, want %d", len(rec), RecordSize)
	}
	return err
}
