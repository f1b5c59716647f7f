package snapshot

import (
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"testing"
)

// share is how much memory the mappings in a file of smaps take, in bytes: what is
// shared counts by its share. Those that lie in an image count alone, if so asked.
func share(t testing.TB, smaps string, images bool) (total int64) {
	t.Helper()
	text, err := os.ReadFile(smaps)
	if err != nil {
		t.Fatal(err)
	}
	image := false
	for line := range strings.Lines(string(text)) {
		var kib int64
		switch key := strings.Fields(line)[0]; {
		case !strings.HasSuffix(key, ":"): // the head of a mapping
			image = strings.Contains(line, "postern-image")
		case key == "Pss:" && (image || !images):
			if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err != nil {
				t.Fatal(err)
			}
			total += kib << 10
		}
	}
	return total
}

// One more instance of a plugin in Go takes at most 1.5 MiB, image and all: what the
// plans of plugins ask for.
func TestGoShares(t *testing.T) {
	p := newGoPlant(t, newTestKeeper(t, Config{}))
	if p.keeper.kernel == nil {
		t.Fatal("this Linux can't share pages")
	}
	const n = 20
	guests := make([]*guest, n)
	debug.FreeOSMemory()
	before := share(t, "/proc/self/smaps_rollup", false)
	for i := range guests {
		guests[i] = p.guest()
		for range 5 {
			guests[i].run(func() { guests[i].must("work", 30) })
		}
	}
	debug.FreeOSMemory()
	memory, all := share(t, "/proc/self/smaps", true)/n, (share(t, "/proc/self/smaps_rollup", false)-before)/n
	own := len(guests[0].instance.pages.list)
	t.Logf("an instance has %d KiB of memory, of which it takes %d KiB and %d pages are its own; with all that is about it %d KiB", p.image.Size()>>10, memory>>10, own, all>>10)
	if memory > 1536<<10 {
		t.Errorf("an instance takes %d KiB, want 1536 at most", memory>>10)
	}
	for _, g := range guests {
		g.close()
	}
}
