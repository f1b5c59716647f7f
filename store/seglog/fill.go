package seglog

import (
	"fmt"
	"sync"
	"time"
)

// filler writes zeros where groups will come, while the log is quiet: syncing a
// group is quicker where the file needs not grow for it. So a burst finds room
// that is ready; under lasting load, which gathers large groups, the file grows as
// it is written, and the disk is left to the writer. It never holds the writer up
// for more than one piece, and the log works without it.
type filler struct {
	log     *Log
	woken   chan struct{}
	stopped chan struct{}
	done    sync.WaitGroup
	once    sync.Once

	seen int64     // bytes in the log at the last look
	at   time.Time // of that look

	mu sync.Mutex // held while a piece is written, and while a segment is made
}

const (
	fillPiece = 1 << 20
	// fillPause follows each piece: filling takes at most about 64 MiB a second of
	// the disk.
	fillPause = 15 * time.Millisecond
	// quietRate is how much the log may grow in a second, in bytes, for filling to
	// go on; busyPause is how long it waits otherwise.
	quietRate = 48 << 20
	busyPause = 100 * time.Millisecond
)

var zeros [fillPiece]byte // never written

func (f *filler) start(l *Log) {
	f.log, f.woken, f.stopped = l, make(chan struct{}, 1), make(chan struct{})
	f.done.Go(f.run)
}

func (f *filler) stop() {
	f.once.Do(func() { close(f.stopped) })
	f.done.Wait()
}

func (f *filler) wake() {
	select {
	case f.woken <- struct{}{}:
	default:
	}
}

func (f *filler) run() {
	for {
		select {
		case <-f.woken:
		case <-f.stopped:
			return
		}
		for f.log.cfg.MayFill() {
			pause := fillPause
			if !f.quiet() {
				pause = busyPause
			} else if !f.step() {
				break
			}
			select {
			case <-time.After(pause):
			case <-f.stopped:
				return
			}
		}
	}
}

// quiet reports whether the log has grown slowly since the last call.
func (f *filler) quiet() bool {
	seen, at := f.log.bytes.Load(), time.Now()
	grown, took := seen-f.seen, at.Sub(f.at)
	f.seen, f.at = seen, at
	return float64(grown) <= quietRate*took.Seconds()+fillPiece
}

// step fills one piece, if one is due.
func (f *filler) step() bool {
	l := f.log
	l.mu.RLock()
	cur := l.current()
	end := cur.end
	var next *segment
	if last := l.segments[len(l.segments)-1]; last != cur {
		next = last
	}
	l.mu.RUnlock()
	limit := l.cfg.SegmentSize
	ahead := min(max(f.log.bytes.Load(), l.cfg.FillAhead), 2*limit)
	if cur.size.Load() < min(end+ahead, limit) {
		return f.piece(cur, limit)
	}
	if ahead -= limit - end; ahead <= 0 {
		return false
	}
	if next == nil {
		_, err := f.next(cur.number + 1)
		return err == nil
	}
	if next.size.Load() < min(ahead, limit) {
		return f.piece(next, limit)
	}
	return false
}

// piece extends a segment by zeros. It opens the file anew: the error of a sync
// is told once to each open file, and the writer must not miss one.
func (f *filler) piece(s *segment, limit int64) bool {
	file, err := f.log.cfg.FS.Open(s.name)
	if err != nil {
		return false
	}
	defer file.Close()
	f.mu.Lock()
	from := s.size.Load()
	// A file that is shorter is a stub that took the segment's place.
	size, err := file.Size()
	ok := err == nil && size >= from && from < limit
	if ok {
		n := min(fillPiece, limit-from)
		_, err = file.WriteAt(zeros[:n], from)
		if ok = err == nil; ok {
			s.size.Store(from + n)
		}
	}
	f.mu.Unlock()
	return ok && file.Sync() == nil // a failing disk shows itself to the writer
}

// reach tells that the writer is about to write up to end: from then on the
// filler leaves that alone.
func (f *filler) reach(s *segment, end int64) {
	if s.size.Load() >= end {
		return
	}
	f.mu.Lock()
	s.size.Store(max(s.size.Load(), end))
	f.mu.Unlock()
}

// truncate cuts a segment at the writer's place.
func (f *filler) truncate(s *segment, at int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := s.file.Truncate(at); err != nil {
		return err
	}
	s.size.Store(at)
	return s.file.Sync()
}

// next returns the segment after the current one, and makes it if need be.
func (f *filler) next(number uint32) (*segment, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.log
	l.mu.RLock()
	s, newest := l.find(number), l.segments[len(l.segments)-1].number
	l.mu.RUnlock()
	if s != nil {
		return s, nil
	}
	if number != newest+1 { // the filler came so late that it was dropped
		return nil, fmt.Errorf("segment %d: %w", number, ErrCollected)
	}
	s, err := l.create(number)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	return s, nil
}
