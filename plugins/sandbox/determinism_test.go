package sandbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/centerleap/postern/sdk/abi"
)

// The environment of a process that TestRobustness14Determinism starts.
const (
	determinismModule = "POSTERN_TEST_MODULE"
	determinismCache  = "POSTERN_TEST_CACHE"
)

var determined = regexp.MustCompile(`(?m)^did: .*$`)

// Robustness 14: with the same seed, processes with other numbers of processors, with and
// without compiled code on disk, say the same with the same fuel.
func TestRobustness14Determinism(t *testing.T) {
	if path := os.Getenv(determinismModule); path != "" {
		determine(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "guest.wasm")
	if err := os.WriteFile(path, realModule(t, goGuest), 0o600); err != nil {
		t.Fatal(err)
	}
	first := ""
	cold := ""
	if raceEnabled {
		cold = compiled // compiling takes a minute, and races elsewhere are not looked for
	}
	for _, run := range [][2]string{{"1", cold}, {"4", compiled}, {"2", compiled}} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestRobustness14Determinism$", "-test.v")
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+run[0], determinismModule+"="+path, determinismCache+"="+run[1])
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		did := fmt.Sprintf("%s", determined.FindAll(out, -1))
		if first == "" {
			first = did
			t.Log(did)
		}
		if did != first || len(did) < 50 {
			t.Errorf("with %s processors and the cache %q it did\n%s\nand before\n%s", run[0], run[1], did, first)
		}
	}
}

// determine prints what calls of a module do.
func determine(t *testing.T, path string) {
	wasm, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := compile(t, engineOf(t, Config{Limits: realLimits(), CacheDir: os.Getenv(determinismCache), Seed: &[32]byte{7}}), wasm)
	for i := range 6 {
		h := newEventHost()
		used, err := m.Call(t.Context(), Owner{byte(i % 2)}, abi.Hooks[i%2], h)
		fmt.Printf("did: %s %v %q fuel %d memory %d\n", abi.Hooks[i%2], err, h.verdict, used.Fuel, used.MemoryBytes)
	}
}
