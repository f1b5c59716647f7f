package seglog

import (
	"errors"
	"fmt"
)

// Collect gives a sealed segment's space back. Nobody may need what it holds any
// more: its positions are void from now on. A stub stays in its place, so that
// the next start can tell a collected segment from a lost one.
func (l *Log) Collect(number uint32) error {
	l.collecting.Lock()
	defer l.collecting.Unlock()
	l.mu.RLock()
	s := l.find(number)
	collected := s == nil || s.state == stateCollected
	sealed := !collected && s.sealed
	l.mu.RUnlock()
	if collected {
		return fmt.Errorf("segment %d: %w", number, ErrCollected)
	}
	if !sealed {
		return fmt.Errorf("segment %d is not complete", number)
	}
	stub := header{id: l.id, number: number, state: stateCollected, first: s.first, last: s.last}
	if err := l.replace(s.name, stub); err != nil {
		return fmt.Errorf("collect segment %d: %w", number, err)
	}
	l.mu.Lock()
	file := s.file
	l.bytes.Add(-s.end)
	s.state, s.file, s.end = stateCollected, nil, 0
	l.mu.Unlock()
	return errors.Join(file.Close(), l.dropStubs())
}

// replace puts a stub in a segment's place, durably.
func (l *Log) replace(name string, h header) error {
	tmp := name + tmpSuffix
	if err := l.cfg.FS.Remove(tmp); err != nil && !isMissing(err) {
		return err
	}
	f, err := l.cfg.FS.Create(tmp)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(h.encode(), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := l.cfg.FS.Rename(tmp, name); err != nil {
		return err
	}
	return l.cfg.FS.SyncDir()
}

// dropStubs removes the stubs at the front but one, which says where the log
// begins.
func (l *Log) dropStubs() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.segments) > 1 && l.segments[0].state == stateCollected && l.segments[1].state == stateCollected {
		if err := l.cfg.FS.Remove(l.segments[0].name); err != nil {
			return err
		}
		if err := l.cfg.FS.SyncDir(); err != nil { // one after the other, or a gap may show
			return err
		}
		l.segments = l.segments[1:]
	}
	return nil
}
