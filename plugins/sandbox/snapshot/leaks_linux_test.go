package snapshot

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// mappings counts the mappings of images, and what they and all others take of the
// address space, in bytes.
func mappings(t testing.TB) (images int, all uint64) {
	t.Helper()
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(maps)) {
		var from, to uint64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err != nil {
			t.Fatal(err)
		}
		all += to - from
		if strings.Contains(line, "postern-image") {
			images++
		}
	}
	return images, all
}

func descriptors(t testing.TB) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}

// A thousand instances of ten images leave no mapping and no descriptor, also those
// that trapped, grew or never were attached.
func TestLeaks(t *testing.T) {
	p, _ := withKernel(t)
	p.image.Close()
	images, space := mappings(t)
	open := descriptors(t)
	for range 10 {
		first := p.bare()
		p.take(first)
		first.close()
		guests := make([]*guest, 100)
		for i := range guests {
			guests[i] = p.guest()
			call := []string{"poke", "fall", "grow"}[i%3]
			_ = guests[i].instance.Run(func() error { _, err := guests[i].ask(t.Context(), call, 1, 1); return err })
		}
		if n, _ := mappings(t); n < len(guests) {
			t.Fatalf("%d mappings of an image", n)
		}
		p.image.Close()
		for _, g := range guests {
			g.close()
		}
	}
	if n, _ := mappings(t); n != images {
		t.Errorf("%d mappings of images are left", n-images)
	}
	if n := descriptors(t); n != open {
		t.Errorf("%d descriptors are left", n-open)
	}
	const each = moduleMost * wasmPage // that every instance reserved
	if _, now := mappings(t); now > space+200*each {
		t.Errorf("%d MiB of address space are left", (now-space)>>20)
	}
}
