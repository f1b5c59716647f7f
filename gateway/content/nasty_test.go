package content

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/gatewaytest/nastymail"
)

// scanTime is far over what any case takes, with other work and the race detector beside
// it; one that took more than linear time would take minutes.
const scanTime = 10 * time.Second

// Mail that is hard to read is read nevertheless: see checkContent. It takes neither
// long nor much memory.
func TestScanNasty(t *testing.T) {
	for _, tt := range nastymail.Cases() {
		t.Run(tt.Name, func(t *testing.T) {
			began := time.Now()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c, err := Scan(strings.NewReader(tt.Raw), lim)
			runtime.ReadMemStats(&after)
			took, allocated := time.Since(began), int64(after.TotalAlloc-before.TotalAlloc)
			if refused := gateway.KindOf(err) == gateway.TooLarge && err != nil; refused != tt.Refused || err != nil && !refused {
				t.Fatalf("refused: %v; want %v", err, tt.Refused)
			}
			if most := 64<<20 + 20*int64(len(tt.Raw)); took > scanTime || allocated > most {
				t.Errorf("%d bytes took %v and %d bytes of memory", len(tt.Raw), took, allocated)
			}
			if err != nil {
				return
			}
			checkContent(t, tt.Raw, c)
			if tt.Text == "" {
				return
			}
			if c.TextPart < 0 {
				t.Fatalf("there is no text in %v", c.Parts)
			}
			got := strings.TrimSuffix(text(t, tt.Raw, &c.Parts[c.TextPart]), "\n")
			if want := strings.TrimSuffix(tt.Text, "\n"); got != want {
				t.Errorf("it says %q, want %q", got, want)
			}
		})
	}
}
