package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// resident is the resident set of the process, in bytes.
func (p *process) resident() int64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.cmd.Process.Pid))
	if err != nil {
		p.Error(err)
		return 0
	}
	pages, err := strconv.ParseInt(strings.Fields(string(raw))[1], 10, 64)
	if err != nil {
		p.Error(err)
	}
	return pages * int64(os.Getpagesize())
}

// largeSend is an email with ten files of 25 MiB, as it is written on the fly.
func largeSend(w *io.PipeWriter) {
	const size = 25 << 20 / 3 * 4
	chunk := []byte(strings.Repeat("QUJD", 1<<18))
	fmt.Fprint(w, `{"from":"hello@demo.localhost","to":"bot@demo.localhost","subject":"large","attachments":[`)
	for i := range 10 {
		fmt.Fprintf(w, `%s{"filename":"%d.bin","content":"`, ","[:min(i, 1)], i)
		for left := size / 4 * 4; left > 0; left -= len(chunk) {
			if _, err := w.Write(chunk[:min(left, len(chunk))]); err != nil {
				return // the gateway has hung up; its answer says why
			}
		}
		fmt.Fprint(w, `"}`)
	}
	fmt.Fprint(w, `]}`)
	w.Close()
}

// Ten files of 25 MiB pass through, and are delivered, without standing in
// memory.
func TestLargeSend(t *testing.T) {
	if _, err := os.Stat("/proc/self/statm"); err != nil {
		t.Skipf("this system does not tell the memory of a process: %v", err)
	}
	p := startBinary(t)
	before, peak := p.resident(), int64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			peak = max(peak, p.resident())
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	body, w := io.Pipe()
	go largeSend(w)
	status, sent := p.do("POST", "/emails", body)
	if status != 200 {
		t.Fatalf("%d %v", status, sent)
	}
	gatewaytest.Eventually(t, "it arrives", func() bool {
		_, a := p.do("GET", "/emails?email=bot@demo.localhost", nil)
		return a.At("total") == 1.0
	})
	close(stop)
	<-stopped
	t.Logf("resident: %d MiB idle, at most %d MiB", before>>20, peak>>20)
	if grown := peak - before; grown >= 64_000_000 {
		t.Errorf("resident memory grew by %d bytes", grown)
	}
	_, a := p.do("GET", "/emails/"+sent.Str("id")+"/attachments", nil)
	if n, _ := a["data"].([]any); len(n) != 10 || a.At("data.9.size_bytes") != float64(25<<20/3*3) {
		t.Errorf("%d files, the last of %v bytes", len(n), a.At("data.9.size_bytes"))
	}
}
