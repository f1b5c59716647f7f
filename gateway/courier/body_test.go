package courier

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// large is a message that takes no memory.
type large struct{ left int64 }

const largeLine = ".0123456789 the quick brown fox jumps over the lazy dog\r\n"

func (b *large) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := copy(p, largeLine[(int64(len(largeLine))-b.left%int64(len(largeLine)))%int64(len(largeLine)):])
	n = int(min(int64(n), b.left))
	b.left -= int64(n)
	return n, nil
}

func (b *large) Close() error { return nil }

// 50 MiB pass through without standing in memory.
func TestBigMessage(t *testing.T) {
	const size = 50 << 20 / int64(len(largeLine)) * int64(len(largeLine))
	ln, total := sink(t)
	w := simple(&server{ln: ln})
	c := w.courier(t, nil)
	j := job()
	j.Size, j.Open = size, func() (io.ReadCloser, error) { return &large{size}, nil }
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := carry(t, c, j)[0]
	runtime.ReadMemStats(&after)
	if r.Outcome != Delivered {
		t.Errorf("%+v", r)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 2<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	if got, want := total(), size+size/int64(len(largeLine))+int64(len(".\r\n")); got != want { // each line gets a dot
		t.Errorf("%d bytes arrived, want %d", got, want)
	}
}

// sink is a host that takes everything and keeps nothing; total is how many bytes of
// messages it was sent.
func sink(t testing.TB) (ln net.Listener, total func() int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var sum int64
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wait.Go(func() {
				defer c.Close()
				drain(c, func(n int64) { mu.Lock(); sum += n; mu.Unlock() })
			})
		}
	})
	t.Cleanup(func() { ln.Close(); wait.Wait() })
	return ln, func() int64 { mu.Lock(); defer mu.Unlock(); return sum }
}

func drain(c net.Conn, took func(int64)) {
	r, w := bufio.NewReaderSize(c, 64<<10), bufio.NewWriter(c)
	w.WriteString("220 sink\r\n")
	for {
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case bytes.HasPrefix(line, []byte("EHLO")):
			w.WriteString("250-sink\r\n250-PIPELINING\r\n250 SIZE\r\n")
		case bytes.HasPrefix(line, []byte("DATA")):
			w.WriteString("354 go\r\n")
			if w.Flush() != nil {
				return
			}
			var n int64
			for last := false; !last; {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				n += int64(len(line))
				last = string(line) == ".\r\n"
			}
			took(n)
			w.WriteString("250 2.0.0 taken\r\n")
		default:
			w.WriteString("250 fine\r\n")
		}
	}
}

// FuzzStuffer: what is accepted comes out of the library's server's rules as it went in,
// and the end of data stands at the end alone.
func FuzzStuffer(f *testing.F) {
	for _, s := range []string{letter, "", ".", ".\r\n", "a", "\r\n.\r\n", "a\n", "a\r", "\r\r\n", "..\r\n.a", "a\r\n"} {
		f.Add([]byte(s), uint8(3))
	}
	f.Add([]byte("abcd.e\r\n..f\r\n"), uint8(3))
	f.Fuzz(func(t *testing.T, in []byte, step uint8) {
		var out bytes.Buffer
		d := newStuffer(bufio.NewWriter(&out))
		var err error
		for rest := in; len(rest) > 0 && err == nil; {
			n := min(len(rest), int(step)+1)
			_, err = d.Write(rest[:n])
			rest = rest[n:]
		}
		if err == nil {
			err = d.end()
		}
		clean := !bytes.ContainsAny(bytes.ReplaceAll(in, []byte("\r\n"), nil), "\r\n\x00")
		if (err == nil) != clean {
			t.Fatalf("%q: %v", in, err)
		}
		if err != nil {
			return
		}
		d.w.Flush()
		lines := strings.SplitAfter(out.String(), "\r\n")
		if n := len(lines); lines[n-1] != "" || lines[n-2] != ".\r\n" || slices.Index(lines, ".\r\n") != n-2 {
			t.Fatalf("%q ends as %q", in, out.String())
		}
		var back strings.Builder
		for _, line := range lines[:len(lines)-2] {
			back.WriteString(strings.TrimPrefix(line, "."))
		}
		want := string(in)
		if want != "" && !strings.HasSuffix(want, "\r\n") {
			want += "\r\n"
		}
		if back.String() != want {
			t.Fatalf("%q becomes %q", in, out.String())
		}
	})
}

func benchmark(b *testing.B, senders int) {
	ln, _ := sink(b)
	c := simple(&server{ln: ln}).courier(b, func(cfg *Config) { cfg.Limits.CourierHost = int64(senders) })
	j := job()
	j.Open = text(strings.Repeat("0123456789 the quick brown fox jumps over the lazy dog\r\n", 100))
	b.SetBytes(5600)
	b.ReportAllocs()
	work := make(chan struct{})
	var wait sync.WaitGroup
	for range senders {
		wait.Go(func() {
			for range work {
				res, err := c.Carry(b.Context(), j)
				if err != nil || res[0].Outcome != Delivered {
					b.Errorf("%+v, %v", res, err)
				}
			}
		})
	}
	n := 0
	for b.Loop() {
		work <- struct{}{}
		n++
	}
	close(work)
	wait.Wait()
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "deliveries/s")
}

// Deliveries of 5.6 kB over kept connections: of one sender, and of sixteen at once.
func BenchmarkCarry(b *testing.B) {
	for _, n := range []int{1, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmark(b, n) })
	}
}
