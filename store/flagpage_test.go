package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// alike fails the test unless two pages say the same of every entry.
func alike(t *testing.T, got, want *flagPage) {
	t.Helper()
	for uid := range uint32(pageEntries) {
		a, b := gateway.Entry{UID: uid}, gateway.Entry{UID: uid}
		got.show(&a)
		want.show(&b)
		if !reflect.DeepEqual(a, b) {
			t.Fatalf("entry %d: got %+v, want %+v", uid, a, b)
		}
	}
}

// A page says what was put into it last, and comes back as it was. What is alike is
// written once.
func TestFlagPage(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	p, want := &flagPage{}, make(map[uint32]gateway.Entry)
	for change := range uint64(300) {
		for range r.IntN(20) {
			e := gateway.Entry{UID: 512 + r.Uint32N(pageEntries), ModSeq: change + 1, Flags: gateway.Flags(r.IntN(4))}
			for i := range r.IntN(3) {
				e.Labels = append(e.Labels, fmt.Sprint("label ", i))
			}
			p.put(&e)
			want[e.UID] = e
		}
		if uid := 512 + r.Uint32N(pageEntries); r.IntN(3) == 0 {
			p.drop(uid)
			delete(want, uid)
		}
		if r.IntN(10) > 0 || len(want) == 0 {
			continue
		}
		again, err := decodeFlagPage(p.encode())
		if err != nil {
			t.Fatal(err)
		}
		p = again
		for uid := uint32(512); uid < 512+pageEntries; uid++ {
			got := gateway.Entry{UID: uid}
			p.show(&got)
			if w, ok := want[uid]; ok != p.has(uid) || ok && !reflect.DeepEqual(got, w) {
				t.Fatalf("after change %d: entry %d is %+v, want %+v", change, uid, got, w)
			}
		}
	}
	whole := &flagPage{}
	for uid := range uint32(pageEntries) {
		whole.put(&gateway.Entry{UID: uid, ModSeq: 1 << 40, Flags: gateway.Seen, Labels: []string{"work"}})
	}
	if b := whole.encode(); len(b) > 32 {
		t.Errorf("%d entries that are alike take %d bytes", pageEntries, len(b))
	}
	for uid := range uint32(pageEntries) {
		whole.drop(uid)
	}
	if b := whole.encode(); b != nil {
		t.Errorf("a page of none is %x", b)
	}
	newer := gateway.Entry{UID: 1, ModSeq: 7, Flags: gateway.Draft}
	if p := (&flagPage{}); !p.has(1) {
		p.put(&gateway.Entry{UID: 1, ModSeq: 6, Flags: gateway.Seen})
		if p.show(&newer); newer.Flags != gateway.Draft {
			t.Errorf("the page is older, and yet shown: %+v", newer)
		}
	}
}

// What can't be a page is an error.
func TestFlagPageDamaged(t *testing.T) {
	p := &flagPage{}
	for uid := range uint32(40) {
		p.put(&gateway.Entry{UID: uid * 3, ModSeq: uint64(uid / 9), Flags: gateway.Seen})
	}
	b := p.encode()
	set := func(places ...byte) []byte {
		return append([]byte{1, 10, byte(2 + len(places)), 34, byte(len(places))}, places...)
	}
	for name, damaged := range map[string][]byte{
		"empty":               nil,
		"another version":     append([]byte{9}, b[1:]...),
		"cut short":           b[:len(b)-1],
		"a place behind it":   set(250, 1, 10),
		"half a run":          set(3),
		"a run without end":   set(0x80, 0x80),
		"more sets than UIDs": append([]byte{1}, slices.Repeat(set(0, 0)[1:], pageEntries+1)...),
	} {
		if _, err := decodeFlagPage(damaged); !errors.Is(err, errRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, err := decodeFlagPage(set(250, 1, 5)); err != nil || !got.has(250) {
		t.Errorf("the test's own page: %v", err)
	}
}

func FuzzFlagPage(f *testing.F) {
	p := &flagPage{}
	for uid := range uint32(30) {
		p.put(&gateway.Entry{UID: uid * 7, ModSeq: uint64(uid / 4), Flags: gateway.Seen, Labels: []string{"a"}})
	}
	f.Add(p.encode())
	f.Add([]byte{1, 10, 4, 34, 2, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodeFlagPage(b)
		if err != nil {
			return
		}
		again := &flagPage{}
		if b := p.encode(); b != nil {
			if again, err = decodeFlagPage(b); err != nil {
				t.Fatalf("%x was read and can't be written: %v", b, err)
			}
		}
		alike(t, again, p)
	})
}
