package badgerstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	badger "github.com/dgraph-io/badger/v4"

	"github.com/centerleap/postern/store/engine"
)

const (
	versionFile = "VERSION"
	// version is of all that is written here. 1 was Badger alone; 2 has the log; 3 has
	// runs of changes, besides what 2 wrote; 4 has flags of many entries in one record,
	// without which an older build would show old ones.
	version = 4
)

// upgrade brings the folder to this version, step by step, or refuses one of a
// later version before anything of it is touched. A step that was cut short is
// taken up again at the next start.
func upgrade(cfg Config) error {
	v, err := readVersion(cfg.Dir)
	if err != nil {
		return err
	}
	switch {
	case v > version:
		return fmt.Errorf("the store has version %d, this build knows %d: use a newer one", v, version)
	case v >= 2: // whose records this version reads; the upgrade from 1 may have died in its last step
		return removeUpgraded(cfg.Dir) // and upgraded comes once the log is known to be whole
	case v == 1:
		cfg.Log.LogAttrs(context.Background(), slog.LevelInfo, "the store is brought to a new version", slog.Int("from", v), slog.Int("to", version))
		if err := upgradeFrom1(cfg); err != nil {
			return fmt.Errorf("bring the store from version 1: %w", err)
		}
	}
	return writeVersion(cfg.Dir)
}

// upgraded writes down that the folder has this version. From then on no older build
// opens it.
func upgraded(dir string) error {
	if v, err := readVersion(dir); err != nil || v == version {
		return err
	}
	return writeVersion(dir)
}

// readVersion tells a folder's version; 0 if it holds nothing yet.
func readVersion(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, versionFile))
	switch {
	case err == nil:
		v, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || v < 2 {
			return 0, fmt.Errorf("%s says %q", versionFile, b)
		}
		return v, nil
	case !errors.Is(err, fs.ErrNotExist):
		return 0, err
	}
	for _, name := range []string{indexFolder, upgradedFolder} {
		if exists(filepath.Join(dir, name)) {
			return 1, nil
		}
	}
	return 0, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func writeVersion(dir string) error {
	name := filepath.Join(dir, versionFile)
	f, err := os.OpenFile(name+".tmp", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(f, version)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		return err
	}
	return syncDir(dir)
}

const (
	upgradeFolder  = "upgrade"      // the new store, while it is written
	upgradedFolder = "upgrade.done" // and once it is whole
	oldIndex       = "index.v1"
)

// upgradeFrom1 writes the records and small bodies of a Badger that was the truth
// into a log. The files of large bodies stay where they are.
func upgradeFrom1(cfg Config) error {
	at := func(name string) string { return filepath.Join(cfg.Dir, name) }
	if !exists(at(upgradedFolder)) {
		if err := os.RemoveAll(at(upgradeFolder)); err != nil {
			return err
		}
		if err := copyFrom1(cfg, at(upgradeFolder)); err != nil {
			return err
		}
		if err := rename(at(upgradeFolder), at(upgradedFolder)); err != nil {
			return err
		}
	}
	// From here on the new store is whole; what was done already is passed over.
	if !exists(at(oldIndex)) {
		if err := rename(at(indexFolder), at(oldIndex)); err != nil {
			return err
		}
	}
	for _, name := range []string{logFolder, indexFolder} {
		if from := filepath.Join(at(upgradedFolder), name); exists(from) {
			if err := rename(from, at(name)); err != nil {
				return err
			}
		}
	}
	if err := writeVersion(cfg.Dir); err != nil {
		return err
	}
	return removeUpgraded(cfg.Dir)
}

func removeUpgraded(dir string) error {
	return errors.Join(os.RemoveAll(filepath.Join(dir, upgradedFolder)), os.RemoveAll(filepath.Join(dir, oldIndex)))
}

func rename(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func copyFrom1(cfg Config, dir string) (err error) {
	old, err := badger.Open(badger.DefaultOptions(filepath.Join(cfg.Dir, indexFolder)).WithLogger(badgerLog{cfg.Log}).WithMemTableSize(large.memTable))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, old.Close()) }()
	to, err := Open(Config{Dir: dir, Log: cfg.Log, Now: cfg.Now, Reserve: cfg.Reserve, FeedRetention: cfg.FeedRetention})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	txn := old.NewTransaction(false)
	defer txn.Discard()
	r := &restorer{store: to}
	it := txn.NewIterator(badger.DefaultIteratorOptions)
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		v, err := it.Item().ValueCopy(nil)
		if err != nil {
			return err
		}
		c, err := unwrap(v)
		if err != nil {
			return err
		}
		if err := cellFrom1(txn, it.Item().KeyCopy(nil), c, r); err != nil {
			return err
		}
	}
	return r.flush()
}

// cellFrom1 takes over one record. In version 1 the boot record held the version
// too, a small body was a value of its own, and so no record said where it is.
func cellFrom1(txn *badger.Txn, key []byte, c cell, to *restorer) error {
	switch {
	case string(key) == string(bootKey):
		if len(c.value) != 12 {
			return fmt.Errorf("the boot record has %d bytes", len(c.value))
		}
		if v := binary.BigEndian.Uint32(c.value[8:]); v != 1 {
			return fmt.Errorf("the store has version %d, this build knows %d: use a newer one", v, version)
		}
		c.value = c.value[:8]
		return to.cell(key, c)
	case key[0] == engine.SubBody:
		return nil // taken with its record
	}
	domain, id, ok := blobKeyID(key)
	if !ok {
		return to.cell(key, c)
	}
	c.value = append(c.value, make([]byte, 8)...) // its place, not known yet
	rec, err := decodeBlob(domain, id, c.value)
	if err != nil {
		return err
	}
	if rec.inFile {
		to.add(key, c)
		if to.bytes >= restoreBatch {
			return to.flush()
		}
		return nil
	}
	if err := to.cell(key, c); err != nil {
		return err
	}
	r := &reader{txn: txn}
	body, err := r.Get(append([]byte{engine.SubBody}, key[1:]...))
	if err != nil {
		return fmt.Errorf("body %d of domain %d: %w", id, domain, err)
	}
	return to.body(domain, id, rec.ref.Size, bytes.NewReader(body))
}
