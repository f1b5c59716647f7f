package plugins

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// slowStore takes lines when it is told to.
type slowStore struct {
	Store
	begun, answer chan struct{}
	got           []gateway.PluginLine
	err           error
}

func (s *slowStore) AddPluginLines(_ context.Context, _ gateway.Scope, _ gateway.DomainID, lines []gateway.PluginLine) error {
	s.begun <- struct{}{}
	<-s.answer
	s.got = append(s.got, lines...)
	return s.err
}

func speaker(s Store) *Plugins {
	return &Plugins{cfg: Config{Store: s, Internal: func(gateway.DomainID) gateway.Scope { return gateway.Scope{} }, Log: slog.New(slog.DiscardHandler)}}
}

func say(plugin byte, n int) []gateway.PluginLine {
	lines := make([]gateway.PluginLine, n)
	for i := range lines {
		lines[i].Plugin = gateway.ID{plugin}
	}
	return lines
}

// Lines are taken while the store writes others, keep their order, and are bounded: one
// domain leaves room for the rest.
func TestLinesNeverWait(t *testing.T) {
	store := &slowStore{begun: make(chan struct{}), answer: make(chan struct{})}
	p := speaker(store)
	p.lines.add(1, say(1, 1))
	done := make(chan struct{})
	go func() { p.flush(t.Context()); close(done) }()
	<-store.begun
	for range 10 { // the store has not answered
		p.lines.add(1, say(2, maxWaiting/8))
	}
	p.lines.add(2, say(3, 5))
	store.answer <- struct{}{}
	<-done
	if n, other := len(p.lines.waiting[1]), len(p.lines.waiting[2]); n != maxWaiting/4 || other != 5 || p.lines.lost != maxWaiting {
		t.Errorf("%d and %d lines wait, %d are lost", n, other, p.lines.lost)
	}
	go func() {
		for range maxWaiting/4/batchLines + 2 {
			<-store.begun
			store.answer <- struct{}{}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()                           // whoever asks may leave
	if err := p.Run(ctx); err != nil { // and the end writes what is left
		t.Error(err)
	}
	if len(store.got) != 1+maxWaiting/4+5 || p.lines.count != 0 {
		t.Errorf("%d lines are stored, %d wait", len(store.got), p.lines.count)
	}
}

// Who follows is woken once for what it has not looked at, and no more after it stopped;
// a store that fails loses lines, and nothing else.
func TestWatch(t *testing.T) {
	store := &slowStore{begun: make(chan struct{}, 9), answer: make(chan struct{}, 9), err: errors.New("no disk")}
	p := speaker(store)
	wake, stop := p.Watch(gateway.ID{1})
	other, stopOther := p.Watch(gateway.ID{2})
	defer stopOther()
	p.lines.add(1, say(1, 3))
	store.answer <- struct{}{}
	p.flush(t.Context())
	<-wake
	select {
	case <-wake:
		t.Error("it is woken twice")
	case <-other:
		t.Error("so is another's")
	default:
	}
	stop()
	p.lines.wake(gateway.ID{1})
	if len(wake) != 0 || len(p.lines.heard) != 1 {
		t.Errorf("it is still known: %d", len(p.lines.heard))
	}
}
