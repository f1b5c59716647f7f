package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/centerleap/postern/store/seglog"
)

// Repair makes a store that can be opened from one that is damaged, and reports
// everything that it could not save. It changes nothing in place: it writes a new
// store beside the old one, which it keeps under the name DIR.damaged-<time>. finish,
// unless it is nil, gets the folder of the new one before that takes its place: what it
// does there is done in every store that a repair leaves, also if it is killed.
//
// Records come from the index as far as its tables reach, or from the newest
// snapshot, and then from every group of the log that can be read. Bodies that
// can't be read are left out.
func Repair(ctx context.Context, cfg Config, report func(Finding), finish func(dir string) error) (sum Summary, err error) {
	if err := resumeRepair(cfg.Dir, report); err != nil {
		return Summary{}, err
	}
	c, err := newChecker(cfg, func(Finding) {})
	if err != nil {
		return Summary{}, err
	}
	defer func() { err = errors.Join(err, c.lock.release()) }() // after the renames: nobody starts between them
	if err := errors.Join(c.verify(ctx), c.closeFiles()); err != nil || c.found == 0 {
		return c.sum, err // there is nothing to repair
	}
	c.report, c.sum = report, Summary{}
	fresh := filepath.Clean(cfg.Dir) + ".repairing"
	err = errors.Join(c.salvage(ctx, fresh), c.closeFiles())
	if err == nil && finish != nil {
		err = finish(fresh)
	}
	if err != nil {
		return c.sum, errors.Join(err, os.RemoveAll(fresh))
	}
	return c.sum, c.replace(fresh)
}

// repaired is where a new store waits for the place of the old one.
func repaired(dir string) string { return filepath.Clean(dir) + ".repaired" }

// replace puts a whole new store into the place of the damaged one.
func (c *checker) replace(fresh string) error {
	whole := repaired(c.cfg.Dir)
	if err := errors.Join(os.RemoveAll(whole), os.Rename(fresh, whole)); err != nil {
		return err
	}
	aside := fmt.Sprintf("%s.damaged-%d", filepath.Clean(c.cfg.Dir), c.cfg.Now().Unix())
	if err := os.Rename(c.cfg.Dir, aside); err != nil {
		return err
	}
	if err := os.Rename(whole, c.cfg.Dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(c.cfg.Dir)))
}

// Unfinished reports whether a repair was killed when the old store was out of the way, and
// the new one not yet in its place: Repair goes on. One that was killed before is made
// again.
func Unfinished(dir string) bool {
	_, none := os.Lstat(dir)
	_, err := os.Lstat(repaired(dir))
	return errors.Is(none, fs.ErrNotExist) && err == nil
}

func resumeRepair(dir string, report func(Finding)) error {
	if !Unfinished(dir) {
		return nil
	}
	if err := os.Rename(repaired(dir), dir); err != nil {
		return err
	}
	report(Finding{What: "a repair was cut short: it has ended now, and what it could not save it told then"})
	return syncDir(filepath.Dir(filepath.Clean(dir)))
}

// salvage writes all that can be read into a new store.
func (c *checker) salvage(ctx context.Context, fresh string) (err error) {
	scratch := filepath.Join(c.cfg.Dir, verifyFolder)
	if err := errors.Join(os.RemoveAll(fresh), os.RemoveAll(scratch)); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	x, err := c.bestRecords(ctx, scratch)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, x.close()) }()
	to, err := Open(Config{Dir: fresh, Log: c.cfg.Log, Now: c.cfg.Now})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	return c.pour(ctx, x, &restorer{store: to, leap: true})
}

// bestRecords builds, in dir, an index of the newest records that can be had.
func (c *checker) bestRecords(ctx context.Context, dir string) (x *index, err error) {
	if err := c.openIndex(); err != nil {
		c.findf("the index can't be opened: %v", err)
	}
	if x, err = openIndex(dir, &c.cfg); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.close())
		}
	}()
	base, err := c.base(ctx, x)
	if err != nil {
		return x, err
	}
	p := replayer{index: x, applied: base, canaries: make(map[string]uint32)}
	err = seglog.Check(c.logConfig(), func(g seglog.Scanned) error {
		c.sum.Groups++
		c.sum.Records += int64(len(g.Records))
		if g.Damaged && g.Sequence > base && !slices.ContainsFunc(g.Records, func(r seglog.Record) bool { return r.Type == recordCommit }) {
			c.findf("what group %d changed is lost", g.Sequence)
		}
		return errors.Join(p.group(g), ctx.Err())
	}, func(d *seglog.DamageError) { c.findf("%v", d) })
	return x, errors.Join(err, p.flush())
}

// base copies the index as its tables show it, or else the newest snapshot.
func (c *checker) base(ctx context.Context, x *index) (sequence uint64, err error) {
	if c.index == nil || c.index.applied() == 0 {
		old := c.index
		c.index = x
		defer func() { c.index = old }()
		return c.loadSnapshot()
	}
	r, end := c.index.begin()
	defer end()
	l := &loader{index: x, sequence: r.at}
	err = eachStored(ctx, r, func(key []byte, cl cell) error {
		return l.cell(append([]byte(nil), key...), cell{value: append([]byte(nil), cl.value...), exp: cl.exp})
	})
	if err == nil {
		err = l.flush()
	}
	if err == nil {
		err = x.apply(r.at, x.now().UnixMilli(), nil)
	}
	return r.at, err
}

// pour writes the records of x, and the bodies that can be read, into a new store.
func (c *checker) pour(ctx context.Context, x *index, to *restorer) error {
	r, end := x.begin()
	defer end()
	boot, err := readU64(r, bootKey)
	if err != nil {
		return err
	}
	err = eachStored(ctx, r, func(key []byte, cl cell) error {
		if local(key) || string(key) == string(bootKey) {
			return nil
		}
		if _, id, ok := blobKeyID(key); ok {
			boot = max(boot, id>>32) // the opening that it was counted in may be what is lost
		}
		key, cl.value = append([]byte(nil), key...), append([]byte(nil), cl.value...)
		domain, id, ok := blobKeyID(key)
		if !ok {
			return to.cell(key, cl)
		}
		return c.pourBody(domain, id, key, cl, to)
	})
	if err == nil {
		err = to.cell(bootKey, cell{value: u64(boot + 1)}) // leases of the lost one must not live on
	}
	return errors.Join(err, to.flush())
}

func (c *checker) pourBody(domain uint32, id uint64, key []byte, cl cell, to *restorer) error {
	rec, err := decodeBlob(domain, id, cl.value)
	if err == nil {
		err = c.checkBody(rec)
	}
	if err != nil {
		c.find(Finding{What: fmt.Sprintf("body %d of domain %d is lost: %v", id, domain, err), Domain: domain, Blob: id})
		return nil
	}
	body, err := c.openBody(rec)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := to.cell(key, cl); err != nil {
		return err
	}
	c.sum.Bodies++
	c.sum.BodyBytes += rec.ref.Size
	return to.body(domain, id, rec.ref.Size, body)
}
