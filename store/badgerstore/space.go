package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/centerleap/postern/store/engine"
)

// space watches the room on the disk. Badger writes through maps of sparse files
// and dies when the disk is full, so it must never come to that: below the
// reserve, only what gives space back is accepted; below a floor that leaves
// Badger room for flushing and compacting what it has, nothing is.
type space struct {
	store   *Store
	reserve int64
	shape   shape
	free    func() (free, total int64, err error)
	level   atomic.Int32
	next    atomic.Int64 // when to look again, unix ms by the machine's clock
	index   atomic.Int64 // bytes of the index
}

const (
	roomy int32 = iota
	low         // below the reserve
	full        // below the floor
)

const (
	reserveMax = 1 << 30
	openRoom   = 192 << 20
	// spaceLook is the least time between two looks while writing.
	spaceLook = 10 * time.Millisecond
)

// room asks the file system that the store lies on.
func (c *Config) room() (free, total int64, err error) {
	if c.space != nil {
		return c.space()
	}
	return statfs(c.Dir)
}

// statfs asks the file system of a folder.
func statfs(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	size := int64(st.Bsize) //nolint:unconvert // its type differs between systems
	return int64(st.Bavail) * size, int64(st.Blocks) * size, nil
}

func newSpace(s *Store) (*space, error) {
	p := &space{store: s, free: s.cfg.room, shape: s.cfg.shape()}
	_, total, err := p.free()
	if err != nil {
		return nil, err
	}
	p.reserve = min(max(total/10, p.most()*4/3), reserveMax)
	if s.cfg.Reserve > 0 {
		p.reserve = s.cfg.Reserve
	}
	s.space = p // look may have something to tell
	p.measure()
	p.look()
	return p, p.openable()
}

// openable refuses a start that might end by a signal: catching up with the log
// fills memtables and flushes them.
func (p *space) openable() error {
	need := min(p.floor(), openRoom)
	free, _, err := p.free()
	if err == nil && free < need {
		err = fmt.Errorf("%w: %d MiB are free, to open the store at least %d are needed", engine.ErrFull, free>>20, need>>20)
	}
	return err
}

// measure counts the index's bytes: compaction may need as much again for a while.
func (p *space) measure() {
	var n int64
	_ = filepath.WalkDir(filepath.Join(p.store.cfg.Dir, indexFolder), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(d.Name()) == ".sst" {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	p.index.Store(n)
}

// floor is what Badger may need to flush its memtables and compact. Who fixes a
// reserve by hand has less, if that is too small for it.
func (p *space) floor() int64 {
	need := p.shape.flushRoom() + p.shape.mergeRoom(p.index.Load())
	return min(max(p.reserve/2, need), p.reserve*3/4)
}

// most is the largest floor that the index may come to.
func (p *space) most() int64 { return p.shape.flushRoom() + p.shape.mergeRoom(math.MaxInt64) }

// look sets the level. To leave one, a little more than the limit must be free.
func (p *space) look() {
	free, _, err := p.free()
	if err != nil {
		return // an error of the disk shows itself where it is written
	}
	was, now := p.level.Load(), roomy
	margin := p.reserve / 20
	switch {
	case free < p.floor() || was == full && free < p.floor()+margin:
		now = full
	case free < p.reserve || was >= low && free < p.reserve+margin:
		now = low
	}
	if p.level.Swap(now) != now {
		p.store.tellSpace(now, free)
	}
}

// check looks again if the last look is old, and says whether anything may be
// written at all.
func (p *space) check() error {
	now := time.Now().UnixMilli()
	if next := p.next.Load(); now >= next && p.next.CompareAndSwap(next, now+spaceLook.Milliseconds()) {
		p.look()
	}
	if p.level.Load() == full {
		return p.err()
	}
	return nil
}

// holds says whether there is room for n bytes more.
func (p *space) holds(n int64) bool {
	free, _, err := p.free()
	return err == nil && free-n > p.floor()
}

// full is err as engine.ErrFull, if the disk has no room; the level is set then.
func (p *space) full(err error) error {
	if !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return err
	}
	p.spent()
	return fmt.Errorf("%w: %w", engine.ErrFull, err)
}

// spent notes that the disk refused a write.
func (p *space) spent() {
	p.level.Store(full)
	p.next.Store(time.Now().Add(time.Second).UnixMilli())
}

// allows says whether a change may be queued.
func (p *space) allows(frees bool) error {
	if l := p.level.Load(); l == full || l == low && !frees {
		return p.err()
	}
	return nil
}

func (p *space) err() error {
	return fmt.Errorf("%w: less than %d MiB are free", engine.ErrFull, p.reserve>>20)
}
