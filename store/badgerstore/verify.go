package badgerstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/centerleap/postern/store/engine"
	"github.com/centerleap/postern/store/seglog"
)

// Finding is something that is not as it was written.
type Finding struct {
	What   string // one line, for people
	Domain uint32 // of the body that is hit; 0 if it is none
	Blob   uint64 // its number
}

// Summary counts what Verify and Repair read.
type Summary struct {
	Groups, Records, Bodies, BodyBytes int64
}

// Verify reads a whole store that nobody has open: every group of the log, every
// snapshot, every table of the index, every body. It rebuilds the index beside the
// real one and compares the two. What it finds it reports and leaves as it is.
func Verify(ctx context.Context, cfg Config, report func(Finding)) (Summary, error) {
	c, err := newChecker(cfg, report)
	if err != nil {
		return Summary{}, err
	}
	err = c.verify(ctx)
	return c.sum, errors.Join(err, c.close())
}

// checker is a store that is looked at, not opened.
type checker struct {
	*Store
	report  func(Finding)
	found   int
	sum     Summary
	damaged bool // the log is: it can't be replayed
}

func newChecker(cfg Config, report func(Finding)) (*checker, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch v, err := readVersion(cfg.Dir); {
	case err != nil:
		return nil, err
	case v == 0:
		return nil, fmt.Errorf("%s holds no store", cfg.Dir)
	case v != version:
		return nil, fmt.Errorf("%s is a store of version %d: a gateway that starts on it brings it to version %d", cfg.Dir, v, version)
	}
	lock, err := lockDir(cfg.Dir, cfg.Now())
	if err != nil {
		return nil, err
	}
	c := &checker{Store: &Store{cfg: cfg, lock: lock, life: newVisitors()}, report: report}
	c.blobs = &blobs{store: c.Store, dir: filepath.Join(cfg.Dir, bodyFolder)}
	return c, nil
}

func (c *checker) close() error { return errors.Join(c.closeFiles(), c.lock.release()) }

// closeFiles closes all but the lock.
func (c *checker) closeFiles() (err error) {
	err = c.index.close()
	if c.log != nil {
		err = errors.Join(err, c.log.Close())
	}
	c.index, c.log = nil, nil
	return err
}

func (c *checker) find(f Finding) {
	c.found++
	c.report(f)
}

func (c *checker) findf(format string, args ...any) {
	c.find(Finding{What: fmt.Sprintf(format, args...)})
}

func (c *checker) verify(ctx context.Context) error {
	if err := c.checkLog(ctx); err != nil {
		return err
	}
	c.checkSnapshots()
	if !c.damaged {
		return c.compare(ctx)
	}
	if err := c.openIndex(); err != nil {
		c.findf("the index can't be opened: %v", err)
		return nil
	}
	return c.checkBodies(ctx, c.index)
}

// logConfig is for reading the log, nothing else.
func (c *checker) logConfig() seglog.Config {
	fs := c.cfg.fs
	if fs == nil {
		fs = seglog.Dir(filepath.Join(c.cfg.Dir, logFolder))
	}
	return seglog.Config{FS: fs, Log: c.cfg.Log, SegmentSize: c.cfg.segment, MayFill: func() bool { return false }}
}

func (c *checker) checkLog(ctx context.Context) error {
	return seglog.Check(c.logConfig(), func(g seglog.Scanned) error {
		c.sum.Groups++
		c.sum.Records += int64(len(g.Records))
		return ctx.Err()
	}, func(d *seglog.DamageError) {
		c.damaged = true
		c.findf("%v", d)
	})
}

func (c *checker) checkSnapshots() {
	all, err := c.snapshots()
	if err != nil {
		c.findf("the snapshots of the index can't be listed: %v", err)
	}
	for _, n := range all {
		if err := checkSnapshot(c.snapshotPath(n)); err != nil {
			c.findf("the snapshot of the index after group %d: %v", n, err)
		}
	}
}

func (c *checker) openIndex() (err error) {
	c.index, err = openIndex(filepath.Join(c.cfg.Dir, indexFolder), &c.cfg)
	return err
}

// compare brings the index up to the log's end, as a start would, builds another
// one from the log alone, and compares the two.
func (c *checker) compare(ctx context.Context) (err error) {
	if c.log, err = seglog.Open(c.logConfig()); err != nil {
		c.damaged = true
		c.findf("%v", err)
		return nil
	}
	err = c.openIndex()
	if err == nil {
		err = c.catchUp()
	}
	if err != nil {
		c.findf("the index: %v", err)
	}
	real := c.index
	c.index = nil
	scratch := filepath.Join(c.cfg.Dir, verifyFolder)
	defer func() {
		err = errors.Join(err, real.close(), c.index.close(), os.RemoveAll(scratch))
		c.index = nil
	}()
	if err := os.RemoveAll(scratch); err != nil {
		return err
	}
	if err := c.rebuild(scratch); err != nil {
		c.findf("the index can't be rebuilt from the log: %v", err)
		return nil
	}
	if real != nil {
		if err := real.db.VerifyChecksum(); err != nil {
			c.findf("a table of the index: %v", err)
		}
		if err := c.compareWith(ctx, real); err != nil {
			return err
		}
	}
	return c.checkBodies(ctx, c.index)
}

// mostDifferences is how many are named: an index that differs is replaced whole.
const mostDifferences = 20

// compareWith walks the real index and the one from the log side by side.
func (c *checker) compareWith(ctx context.Context, real *index) error {
	a, endA := c.index.begin()
	defer endA()
	b, endB := real.begin()
	defer endB()
	want, got := newCursor(a, engine.Range{}), newCursor(b, engine.Range{})
	defer want.close()
	defer got.close()
	for differ := c.found; ctx.Err() == nil; {
		if c.found-differ >= mostDifferences {
			c.findf("and more: see the log of the next start, which rebuilds the index")
			return nil
		}
		skipUncompared(want)
		skipUncompared(got)
		switch {
		case !want.valid() && !got.valid():
			return nil
		case !got.valid() || want.valid() && bytes.Compare(want.key(), got.key()) < 0:
			c.findf("the index lacks the key %x", want.key())
			want.next()
		case !want.valid() || bytes.Compare(got.key(), want.key()) < 0:
			c.findf("the index has the key %x, the log has not", got.key())
			got.next()
		default:
			if !bytes.Equal(want.buf, got.buf) {
				c.findf("the index has another value under the key %x than the log", want.key())
			}
			want.next()
			got.next()
		}
	}
	return ctx.Err()
}

// skipUncompared moves to the next key that both must have, and reads its value.
func skipUncompared(c *cursor) {
	for ; c.valid(); c.next() {
		_, live, err := c.value()
		if err != nil || live && !indexOnly(c.key()) {
			return
		}
	}
}

// checkBodies reads every body that an index knows.
func (c *checker) checkBodies(ctx context.Context, x *index) error {
	r, end := x.begin()
	defer end()
	return r.Scan(engine.Prefix([]byte{engine.SubBlob}), func(key, v []byte) error {
		domain, id, ok := blobKeyID(key)
		if !ok {
			c.findf("a key of a body of %d bytes", len(key))
			return nil
		}
		rec, err := decodeBlob(domain, id, v)
		if err == nil {
			err = c.checkBody(rec)
		}
		if err != nil {
			c.find(Finding{What: fmt.Sprintf("body %d of domain %d: %v", id, domain, err), Domain: domain, Blob: id})
			return ctx.Err()
		}
		c.sum.Bodies++
		c.sum.BodyBytes += rec.ref.Size
		return ctx.Err()
	})
}

func (c *checker) checkBody(rec *blobRecord) error {
	r, err := c.openBody(rec)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(sum, r)
	if err == nil && !digests(rec.ref, sum) {
		err = engine.ErrDamaged
	}
	return errors.Join(err, r.Close())
}

// openBody reads a body of either kind. Its end is an error if it is damaged.
func (c *checker) openBody(rec *blobRecord) (io.ReadCloser, error) {
	var r io.ReadCloser
	if rec.inFile {
		f, err := os.Open(c.blobs.file(rec.ref.Domain, rec.ref.ID))
		if err != nil {
			return nil, err
		}
		r = f
	} else {
		body := make([]byte, rec.ref.Size)
		if err := c.readLog(body, rec.place); err != nil {
			return nil, err
		}
		r = io.NopCloser(bytes.NewReader(body))
	}
	return verified(r, rec.ref), nil
}

// readLog reads from the log, or from a segment of one that can't be opened.
func (c *checker) readLog(b []byte, at seglog.Pos) error {
	if c.log != nil {
		return c.log.ReadAt(b, at)
	}
	f, err := c.logConfig().FS.Open(fmt.Sprintf("seg-%08d", at.Segment))
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.ReadAt(b, int64(at.Offset))
	return err
}
