package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkDotTo measures from the final dot of a message, and from the 250 that answers
// it, to the moment somebody who waits for it hears of it: by IDLE, by the guide's event of
// the stream, or by the document that webhooks get. Who waits and who sends are this
// process; the gateway is another. To hear before the 250 is a time below zero.
//
//	go test ./cmd/postern -run '^$' -bench 'DotTo' -benchtime 2000x -count 5
func BenchmarkDotTo(b *testing.B) {
	waits := map[string]func(p *process) (wait func(n int) bool){
		"EXISTS": func(p *process) func(int) bool {
			t := reader(p)
			t.say("d IDLE", `\+`)
			return func(n int) bool { _, ok := t.say("", fmt.Sprintf(`\* %d EXISTS`, n)); return ok }
		},
		"event":    func(p *process) func(int) bool { return streamed(p, "") },
		"document": func(p *process) func(int) bool { return streamed(p, "?events=email.received") },
	}
	for what, start := range waits {
		b.Run(what, func(b *testing.B) {
			p := startBinary(b)
			wait, from, n := start(p), peer(p), 0
			var dot, answer []time.Duration
			for b.Loop() {
				n++
				afterDot, afterAnswer := dotTo(b, from, func() bool { return wait(n) })
				dot, answer = append(dot, afterDot), append(answer, afterAnswer)
			}
			quantiles(b, dot, "")
			quantiles(b, answer, "-after-250")
		})
	}
}

// streamed opens the stream of the account, and returns what waits for its email of a UID.
func streamed(p *process, query string) func(uid int) bool {
	t := dial(strings.TrimPrefix(p.banner.REST, "http://"), long)
	p.Cleanup(t.close)
	t.say("GET /emails/stream"+query+" HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+p.banner.Keys.Account+"\r\n", "event: connected")
	return func(uid int) bool { _, ok := t.say("", fmt.Sprintf(`data: .*"uid":%d[,}]`, uid)); return ok }
}

// dotTo sends one mail, and returns how long after its dot, and after the 250, heard is true.
func dotTo(b *testing.B, from *talk, heard func() bool) (dot, answer time.Duration) {
	for _, step := range [][2]string{{"MAIL FROM:<peer@peer.example>", "250"}, {"RCPT TO:<bot@demo.localhost>", "250"}, {"DATA", "354"}} {
		if _, ok := from.say(step[0], step[1]); !ok {
			b.Fatalf("%s: %s", step[0], from.no)
		}
	}
	answered := make(chan time.Time, 1)
	began := time.Now()
	if _, err := from.conn.Write([]byte("From: peer@peer.example\r\nSubject: x\r\n\r\nx\r\n.\r\n")); err != nil {
		b.Fatal(err)
	}
	go func() {
		defer close(answered)
		if _, ok := from.say("", "250"); ok {
			answered <- time.Now()
		}
	}()
	if !heard() {
		b.Fatal("nobody heard of it")
	}
	at := time.Now()
	taken, ok := <-answered
	if !ok {
		b.Fatalf("the mail was not taken: %s", from.no)
	}
	return at.Sub(began), at.Sub(taken)
}

// quantiles reports the middle and the slowest of a hundred.
func quantiles(b *testing.B, took []time.Duration, name string) {
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50"+name+"-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99"+name+"-ms")
}
