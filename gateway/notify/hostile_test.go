package notify

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/safehttp"
)

// hostile listens for requests, and answers each as it is told to, in whatever bytes.
type hostile struct {
	net.Listener
	answer func(net.Conn)

	mu       sync.Mutex
	requests int
	serving  sync.WaitGroup
}

func listen(t *testing.T, answer func(net.Conn)) *hostile {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hostile{Listener: ln, answer: answer}
	h.serving.Go(func() {
		for {
			c, err := h.Accept()
			if err != nil {
				return
			}
			h.serving.Go(func() { h.serve(c) })
		}
	})
	return h
}

func (h *hostile) serve(c net.Conn) {
	defer c.Close()
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err == nil {
		_, err = io.Copy(io.Discard, r.Body)
	}
	if err != nil {
		return
	}
	h.mu.Lock()
	h.requests++
	h.mu.Unlock()
	h.answer(c)
}

// forever writes something until nobody takes it any more.
func forever(c net.Conn, what string, pause time.Duration) {
	for {
		if _, err := io.WriteString(c, what); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// silence waits until the other side has gone.
func silence(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

const (
	fine    = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
)

// Whatever an endpoint answers, a call ends when its time is up, it was made once, what is
// said of it is what was there, and nothing of it is left.
func TestHostileEndpoints(t *testing.T) {
	const limit = 300 * time.Millisecond
	for name, tt := range map[string]struct {
		answer  func(net.Conn)
		status  int
		failure string // part of it
	}{
		"closes at once":   {func(net.Conn) {}, 0, "could not be reached"},
		"says nothing":     {silence, 0, "in time"},
		"garbage":          {func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example\r\n") }, 0, "could not be reached"},
		"slow header":      {func(c net.Conn) { forever(c, "H", limit/10) }, 0, "in time"},
		"slow fields":      {func(c net.Conn) { _, _ = io.WriteString(c, fine[:17]); forever(c, "A: b\r\n", limit/10) }, 0, "in time"},
		"endless header":   {func(c net.Conn) { _, _ = io.WriteString(c, fine[:17]); forever(c, strings.Repeat("A: b\r\n", 1000), 0) }, 0, "could not be reached"},
		"early hints":      {func(c net.Conn) { forever(c, "HTTP/1.1 103 Early Hints\r\n\r\n", 0) }, 0, "could not be reached"},
		"slow early hints": {func(c net.Conn) { forever(c, "HTTP/1.1 103 Early Hints\r\n\r\n", limit/10) }, 0, "in time"},
		"another protocol": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n")
			silence(c)
		}, 101, "answered 101"},
		"endless body": {func(c net.Conn) {
			_, _ = io.WriteString(c, endless)
			forever(c, "400\r\n"+strings.Repeat("x", 1024)+"\r\n", 0)
		}, 200, ""},
		"slow body":   {func(c net.Conn) { _, _ = io.WriteString(c, endless); forever(c, "1\r\nx\r\n", limit/10) }, 200, ""},
		"no body":     {func(c net.Conn) { _, _ = io.WriteString(c, fine[:len(fine)-2]); silence(c) }, 200, ""},
		"broken body": {func(c net.Conn) { _, _ = io.WriteString(c, endless+"zz\r\n") }, 200, ""},
		"twice":       {func(c net.Conn) { _, _ = io.WriteString(c, fine+fine) }, 200, ""},
		"to the cloud's own": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
		}, 307, "answered 307"},
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			h := listen(t, tt.answer)
			w := hooks(t, &shelf{hook: gateway.Webhook{Endpoint: "http://" + h.Addr().String(), Enabled: true, Secret: aSecret}}, safehttp.Config{AllowLoopback: true, Timeout: limit})
			began := time.Now()
			out, err := told(w, "")
			if took := time.Since(began); took > 10*limit {
				t.Errorf("it took %v", took)
			}
			a := out.Attempt
			if a.Status != tt.status || (err == nil) != (tt.failure == "") || err != nil && !strings.Contains(err.Error(), tt.failure) || int64(len(a.Answer)) > gateway.DefaultLimits().WebhookAnswer {
				t.Errorf("%+v, %v", a, err)
			}
			h.Close()
			h.serving.Wait() // its connections are closed
			if h.requests != 1 {
				t.Errorf("%d requests", h.requests)
			}
			for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines, and before %d", runtime.NumGoroutine(), before)
				}
			}
		})
	}
}
