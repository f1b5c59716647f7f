package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/centerleap/postern/store/seglog"
)

const (
	logFolder   = "log"
	indexFolder = "index"
	bodyFolder  = "bodies"
	// verifyFolder is where Verify and Repair build an index of their own.
	verifyFolder = "verify"
	asideFolder  = "index.aside" // an index that was replaced; the newest one is kept
)

// errIndex: the index can't be believed, and the log can replace it.
var errIndex = errors.New("the index is not what it should be")

// recover opens the index and brings it up to the end of the log. One that doesn't
// open, reaches less far than what can be replayed, or has another value under a
// canary, is moved aside and rebuilt.
func (s *Store) recover() (err error) {
	dir := filepath.Join(s.cfg.Dir, indexFolder)
	s.index, err = openIndex(dir, &s.cfg)
	if err != nil {
		err = fmt.Errorf("%w: %w", errIndex, err)
	} else {
		err = s.catchUp()
	}
	if !errors.Is(err, errIndex) {
		return err
	}
	s.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "the index is rebuilt from the log", slog.Any("err", err))
	if err := s.moveAside(dir); err != nil {
		return err
	}
	return s.rebuild(dir)
}

func (s *Store) moveAside(dir string) error {
	if err := s.index.close(); err != nil {
		s.cfg.Log.LogAttrs(context.Background(), slog.LevelWarn, "closing the index that is replaced", slog.Any("err", err))
	}
	s.index = nil
	aside := filepath.Join(s.cfg.Dir, asideFolder)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(dir, aside); err != nil && !os.IsNotExist(err) {
		return err
	}
	return syncDir(s.cfg.Dir)
}

// rebuild makes the index anew, from the newest snapshot and the log behind it.
func (s *Store) rebuild(dir string) (err error) {
	began := time.Now()
	if s.index, err = openIndex(dir, &s.cfg); err != nil {
		return err
	}
	at, err := s.loadSnapshot()
	if err != nil {
		return err
	}
	if from := s.reachesBack(); from > at {
		return fmt.Errorf("the log begins after group %d and the newest snapshot ends with group %d: what is between them is missing; see postern store repair", from, at)
	}
	if err := s.replay(at, at); err != nil {
		return err
	}
	s.cfg.Log.LogAttrs(context.Background(), slog.LevelInfo, "the index is rebuilt", slog.Uint64("groups", s.log.Head()), slog.Duration("took", time.Since(began)))
	return nil
}

// reachesBack is the group behind which the log has every change.
func (s *Store) reachesBack() (after uint64) {
	for _, i := range s.log.Segments() {
		if i.Collected {
			after = lastChange(i)
		}
	}
	return after
}

// catchUp replays what the index lacks, and looks at the canaries.
func (s *Store) catchUp() error {
	applied, head := s.index.applied(), s.log.Head()
	if applied > head {
		return fmt.Errorf("the log ends with group %d, and the index knows group %d: acknowledged groups are missing from the log; see postern store repair", head, applied)
	}
	if after := s.reachesBack(); applied < after {
		return fmt.Errorf("%w: it ends with group %d, the log begins after group %d", errIndex, applied, after)
	}
	r, end := s.index.begin()
	mark, err := readU64(r, checkpointKey)
	end()
	if err != nil {
		return fmt.Errorf("%w: %w", errIndex, err)
	}
	from := applied
	if mark > s.reachesBack() && mark <= applied {
		from = mark - 1
	}
	return s.replay(from, applied)
}

// replay reads the log after the group from, and puts into the index what comes
// after the group applied.
func (s *Store) replay(from, applied uint64) error {
	p := replayer{index: s.index, applied: applied, canaries: make(map[string]uint32)}
	if err := s.log.Scan(from, p.group); err != nil {
		return explain(err)
	}
	if err := p.flush(); err != nil {
		return err
	}
	return p.check()
}

// explain tells what to do about a damaged log.
func explain(err error) error {
	if _, damaged := errors.AsType[*seglog.DamageError](err); damaged {
		return fmt.Errorf("%w; the store is not opened, so that nothing is lost in silence: see postern store verify and postern store repair", err)
	}
	return err
}

// replayer gathers the cells of groups in a row into one Badger transaction.
type replayer struct {
	index    *index
	applied  uint64
	canaries map[string]uint32 // of the newest checkpoint, less what was written since

	batch []keyed
	bytes int64
	last  uint64 // group
}

type keyed struct {
	key []byte
	cell
}

func (p *replayer) group(g seglog.Scanned) error {
	var cells []keyed
	var size int64
	for _, r := range g.Records {
		switch r.Type {
		case recordCheckpoint:
			_, canaries, err := decodeCheckpoint(r.Payload)
			if err != nil {
				return fmt.Errorf("group %d: %w", g.Sequence, err)
			}
			clear(p.canaries)
			for _, c := range canaries {
				p.canaries[string(c.key)] = c.sum
			}
		case recordCommit:
			if err := eachCell(r.Payload, func(key []byte, c cell) error {
				delete(p.canaries, string(key))
				cells = append(cells, keyed{key, c})
				size += int64(len(key)+len(c.value)) + entryCost
				return nil
			}); err != nil {
				return fmt.Errorf("group %d: %w", g.Sequence, err)
			}
		}
	}
	if g.Sequence <= p.applied {
		return nil
	}
	limit := p.index.db.MaxBatchSize() * 9 / 10
	if p.bytes+size > limit || int64(len(p.batch)+len(cells)) > p.index.db.MaxBatchCount()*9/10 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	p.batch = append(p.batch, cells...)
	p.bytes, p.last = p.bytes+size, g.Sequence
	return nil
}

func (p *replayer) flush() error {
	if p.last == 0 {
		return nil
	}
	err := p.index.apply(p.last, p.index.now().UnixMilli(), p.batch)
	p.batch, p.bytes, p.last = p.batch[:0], 0, 0
	return err
}

func (p *replayer) check() error {
	txn := p.index.db.NewTransactionAt(p.index.applied(), false)
	defer txn.Discard()
	for key, want := range p.canaries {
		if sum, stays := storedSum(txn, []byte(key)); !stays || sum != want {
			return fmt.Errorf("%w: another value, or none, under a canary in %.5x", errIndex, key) // the rest may be an address
		}
	}
	return nil
}
