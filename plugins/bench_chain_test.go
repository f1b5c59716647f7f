//go:build unix

package plugins_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/plugins"
)

// shelf is a store that has nothing but installed plugins and their code.
type shelf struct {
	plugins.Store
	all  []gateway.Plugin
	code []byte
}

func (s *shelf) Add(gateway.Activity) {}

func (s *shelf) Plugins(context.Context, gateway.Scope) ([]gateway.Plugin, error) {
	return s.all, nil // as the store does, which remembers them
}

func (s *shelf) InstallPlugin(_ context.Context, _ gateway.Scope, p *gateway.Plugin, _ bool) (gateway.Plugin, bool, error) {
	one := *p
	one.ID, one.Enabled = gateway.ID{byte(len(s.all) + 1)}, true
	s.all = append(s.all, one)
	return one, true, nil
}

func (s *shelf) OpenBlob(context.Context, gateway.Scope, gateway.Blob, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(bytes.NewReader(s.code)), nil
}

func (s *shelf) CreateBlob(context.Context, gateway.Scope, gateway.DomainID, int64) (gateway.BlobWriter, error) {
	return body{s}, nil
}

// body is the code of a plugin.
type body struct{ *shelf }

func (b body) Write(p []byte) (int, error) {
	b.code = append(b.code, p...)
	return len(p), nil
}

func (b body) Seal() (gateway.Blob, error) { return gateway.Blob{Size: int64(len(b.code))}, nil }

func (body) Close() error { return nil }

// shelved runs one module, installed some times.
func shelved(b *testing.B, wasm []byte, times int) *plugins.Plugins {
	b.Helper()
	lim, on := gateway.DefaultLimits(), &shelf{}
	p, err := plugins.New(plugins.Config{
		Store: on, Activity: on, Uploads: true, CacheDir: compiled, Limits: lim, Log: slog.New(slog.DiscardHandler),
		Internal:     func(gateway.DomainID) gateway.Scope { return gateway.Scope{} },
		CheckHeaders: func(fields []gateway.HeaderField) error { return content.CheckHeaders(fields, lim) },
		ParseAddress: content.ParseAddress, CheckMail: func(*gateway.Compose) error { return nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	for i := range times {
		on.code = nil
		manifest := fmt.Sprintf(`{"v":1,"name":"p%d","hooks":["inbound"]}`, i)
		if _, _, err := p.Install(b.Context(), gateway.Scope{}, gateway.PluginUpload{Wasm: wasm, Manifest: []byte(manifest)}); err != nil {
			b.Fatal(err)
		}
	}
	return p
}

// filter is a header filter written with the SDK.
var filter = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "filter")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "filter.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", out, "./sandbox/testdata/filter")
	cmd.Env, cmd.Stderr = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="), os.Stderr
	if err := cmd.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
})

// processorTime is what the process took of it so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

const received = "Received: from mx.elsewhere.example by mx.demo.localhost with ESMTPS id 4711; Mon, 23 Nov 2026 09:00:00 +0000\r\n"

// large is a mail of 20 KB.
var large = strings.Repeat(received, 12) + "From: Ann <ann@elsewhere.example>\r\nTo: bot@demo.localhost\r\nSubject: hello there 4711\r\n" +
	"Message-ID: <x@elsewhere.example>\r\nList-Unsubscribe: <https://example.com/u/4711>\r\n\r\n" + strings.Repeat(strings.Repeat("x", 76)+"\r\n", 18_000/78)

// BenchmarkChain asks three header filters in Go about one mail, as its receiver does, with
// neither network nor store.
func BenchmarkChain(b *testing.B) {
	wasm, err := filter()
	if err != nil {
		b.Fatal(err)
	}
	lim, p := gateway.DefaultLimits(), shelved(b, wasm, 3)
	scanned, fields, err := content.ScanHeader(strings.NewReader(large), lim)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	began := processorTime(b)
	for b.Loop() {
		reading := &content.Reading{Content: scanned, Fields: fields, Limits: lim, Open: func(off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(large[off : off+n])), nil
		}}
		look := &gateway.Look{
			Message: &gateway.Message{Content: *scanned, Blob: gateway.Blob{Size: int64(len(large))}}, Until: time.Now().Add(time.Second), Reading: reading,
			Effects: &gateway.Effects{}, Envelope: gateway.Envelope{ReturnPath: "ann@elsewhere.example", Recipients: []string{"bot@demo.localhost"}},
			Automation: func() (gateway.Automation, error) {
				fields, err := reading.Header()
				return content.Automation(scanned, fields, content.Correspondence{ReturnPath: "ann@elsewhere.example"}), err
			},
		}
		v, err := p.Inbound(b.Context(), gateway.Scope{}, look)
		if err != nil || v.Action != gateway.ActionAccept || len(look.Effects.Steps) != 3 {
			b.Fatal(v, err)
		}
	}
	b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/op")
}
