package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// The figures of the doors: the gateway in a process of its own, its clients here.

// long is how long a client of a benchmark may stay connected.
const long = 10 * time.Minute

// peer is a server that delivers mail to the gateway.
func peer(p *process) *talk {
	p.Helper()
	t := dial(p.banner.MX, long)
	p.Cleanup(t.close)
	t.say("", "220 ")
	if _, ok := t.say("EHLO peer.example", "250 "); !ok {
		p.Fatal("the MX does not answer")
	}
	return t
}

// fourKB is the body of a message of usual size.
var fourKB = strings.Repeat("These are some words of a mail that people write to each other.\r\n", 64)

// fill delivers n messages over some connections at once.
func fill(p *process, connections int, n int64) {
	p.Helper()
	var left atomic.Int64
	left.Store(n)
	var all sync.WaitGroup
	for range connections {
		t := peer(p)
		all.Go(func() {
			for i := left.Add(-1); i >= 0; i = left.Add(-1) {
				if !t.transact(fmt.Sprintf("<%d.%d@peer.example>", i, time.Now().UnixNano()), "figures", fourKB) {
					p.Errorf("a message was not taken: %s", t.no)
					return
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkSMTPAccept(b *testing.B) {
	for _, connections := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) {
			p := startBinary(b)
			fill(p, connections, int64(connections))
			b.ResetTimer()
			fill(p, connections, int64(b.N))
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
		})
	}
}

// BenchmarkRESTSend measures POST /emails of about 4 KB, over connections that stay.
// The raw group log of the same minutes is what store/storetest/testdata/peers measures.
func BenchmarkRESTSend(b *testing.B) {
	body := `{"from":"hello@demo.localhost","to":"bot@demo.localhost","subject":"Figures","text":` + strconv.Quote(fourKB) + `}`
	for _, connections := range []int{1, 16, 64} {
		b.Run(fmt.Sprint(connections), func(b *testing.B) {
			p := startBinary(b)
			p.unlimited()
			c := keptClient(connections)
			var left atomic.Int64
			left.Store(int64(b.N))
			var all sync.WaitGroup
			b.ResetTimer()
			for range connections {
				all.Go(func() {
					for left.Add(-1) >= 0 {
						if status, answer := p.ask(c, "POST", "/emails", p.banner.Keys.Domain, strings.NewReader(body)); status != 200 {
							b.Errorf("%d %s", status, answer)
							return
						}
					}
				})
			}
			all.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "emails/s")
		})
	}
}

// BenchmarkRESTList measures GET /emails for the newest 20 of 100,000, from request to
// the end of the answer.
func BenchmarkRESTList(b *testing.B) {
	p := startBinary(b)
	fill(p, 64, 100_000)
	c := keptClient(1)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		status, answer := p.ask(c, "GET", "/emails?limit=20", p.banner.Keys.Account, nil)
		took = append(took, time.Since(began))
		if status != 200 || !bytes.Contains(answer, []byte(`"total":100000,`)) {
			b.Fatalf("%d %.300s", status, answer)
		}
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
}

// keptClient keeps some connections.
func keptClient(connections int) *http.Client {
	return &http.Client{Timeout: long, Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
}

// unlimited lets every key send as many emails as it likes.
func (p *process) unlimited() {
	p.Helper()
	var list struct{ Data []struct{ ID string } }
	_, answer := p.ask(http.DefaultClient, "GET", "/api-keys", p.banner.Keys.Admin, nil)
	if err := json.Unmarshal(answer, &list); err != nil || len(list.Data) == 0 {
		p.Fatalf("%v %s", err, answer)
	}
	for _, k := range list.Data {
		if status, answer := p.ask(http.DefaultClient, "PATCH", "/api-keys/"+k.ID, p.banner.Keys.Admin, strings.NewReader(`{"rate_limit":0,"recipient_limit":0}`)); status != 200 {
			p.Fatalf("%d %s", status, answer)
		}
	}
}

// reader is a mail program with INBOX open.
func reader(p *process) *talk {
	p.Helper()
	t := dial(p.banner.IMAP, long)
	p.Cleanup(t.close)
	t.say("a STARTTLS", "a OK")
	t.secure(gatewaytest.TrustLocal(p, p.banner.Data))
	t.say("b LOGIN bot@demo.localhost "+p.banner.Keys.Account, "b OK")
	if _, ok := t.say("c SELECT INBOX", "c OK"); !ok {
		p.Fatal("IMAP does not answer")
	}
	return t
}

func BenchmarkEnvelope(b *testing.B) {
	const rows = 10_000
	p := startBinary(b)
	fill(p, 64, rows)
	t := reader(p)
	for b.Loop() {
		if _, ok := t.say("d FETCH 1:* (ENVELOPE)", "d OK"); !ok {
			b.Fatal("no answer")
		}
	}
	b.ReportMetric(float64(b.N)*rows/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkIdle1000(b *testing.B) {
	p := startBinary(b)
	before := p.resident()
	for range 1000 {
		if _, ok := reader(p).say("d IDLE", `\+`); !ok {
			b.Fatal("no IDLE")
		}
	}
	for b.Loop() { // nothing: memory is the figure
	}
	b.ReportMetric(float64(before)/(1<<20), "MiB-empty")
	b.ReportMetric(float64(p.resident())/(1<<20), "MiB-1000-idle")
}
