package badgerstore

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// unpack puts a golden folder into a new one.
func unpack(t testing.TB, archive string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	f, err := os.Open(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return dir
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.FileInfo().IsDir() {
			err = os.MkdirAll(path, 0o700)
		} else {
			var b []byte
			if b, err = io.ReadAll(r); err == nil {
				err = os.WriteFile(path, b, 0o600)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// golden is what the folders under testdata hold: four messages that were sent to
// their own sender, the last one with an attachment that makes it large; v4 has a search
// index and flags besides.
func golden(t testing.TB, dir string) {
	t.Helper()
	s := open(t, dir, func() time.Time { return time.Date(2026, 11, 28, 4, 0, 0, 0, time.UTC) }).(*Store)
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	bodies, large, changes := 0, 0, 0
	err := s.View(t.Context(), func(r engine.Reader) error {
		return r.Scan(engine.Prefix([]byte{engine.SubBlob}), func(key, v []byte) error {
			domain, id, _ := blobKeyID(key)
			rec, err := decodeBlob(domain, id, v)
			if err != nil {
				return err
			}
			if bodies++; rec.inFile {
				large++
			}
			return s.blobs.Check(t.Context(), rec.ref)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	feed := s.Feed(1, 0)
	defer feed.Close()
	for {
		some, err := feed.Next(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		if len(some) == 0 {
			break
		}
		changes += len(some)
	}
	if bodies < 4 || large != 1 || changes < 8 || s.Boot() != 2 {
		t.Errorf("%d bodies, %d of them large, %d changes, opened %d times", bodies, large, changes, s.Boot())
	}
	if err := set(t, s, "new"); err != nil {
		t.Error(err)
	}
}

// A store of each version that was ever written can be opened.
func TestGolden(t *testing.T) {
	archives, err := filepath.Glob("testdata/v*.tar.gz")
	if err != nil || len(archives) < version {
		t.Fatal(archives, err)
	}
	for _, a := range archives {
		t.Run(filepath.Base(a), func(t *testing.T) {
			dir := unpack(t, a)
			golden(t, dir)
			found := 0
			if _, err := Verify(t.Context(), Config{Dir: dir, Log: quiet}, func(f Finding) { found++; t.Error(f.What) }); err != nil || found > 0 {
				t.Error(found, err)
			}
			if exists(filepath.Join(dir, oldIndex)) || exists(filepath.Join(dir, upgradedFolder)) {
				t.Error("the upgrade left its folders behind")
			}
		})
	}
}

// An upgrade that dies at any of its steps is taken up again.
func TestUpgradeCutShort(t *testing.T) {
	steps := map[string]func(dir string) error{
		"while copying": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, upgradeFolder, logFolder), 0o700)
		},
		"before the first rename": func(string) error { return nil },
		"after the old index is aside": func(dir string) error {
			return os.Rename(filepath.Join(dir, indexFolder), filepath.Join(dir, oldIndex))
		},
		"after the log is in place": func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, indexFolder), filepath.Join(dir, oldIndex)),
				os.Rename(filepath.Join(dir, upgradedFolder, logFolder), filepath.Join(dir, logFolder)))
		},
		"after the index is in place": func(dir string) error {
			return errors.Join(os.Rename(filepath.Join(dir, indexFolder), filepath.Join(dir, oldIndex)),
				os.Rename(filepath.Join(dir, upgradedFolder, logFolder), filepath.Join(dir, logFolder)),
				os.Rename(filepath.Join(dir, upgradedFolder, indexFolder), filepath.Join(dir, indexFolder)))
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			dir := unpack(t, "testdata/v1.tar.gz")
			if name != "while copying" {
				cfg := Config{Dir: dir, Log: quiet, Now: time.Now, FeedRetention: engine.FeedRetention}
				if err := copyFrom1(cfg, filepath.Join(dir, upgradedFolder)); err != nil {
					t.Fatal(err)
				}
			}
			if err := step(dir); err != nil {
				t.Fatal(err)
			}
			golden(t, dir)
		})
	}
}

// A folder of version 2 stays one while this build finds its log damaged: the build that
// wrote it must still open it.
func TestDamagedUpgrade(t *testing.T) {
	dir := unpack(t, "testdata/v2.tar.gz")
	say := func() string {
		b, err := os.ReadFile(filepath.Join(dir, versionFile))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	segments, err := filepath.Glob(filepath.Join(dir, logFolder, "seg-*"))
	if err != nil || len(segments) == 0 {
		t.Fatal(err, segments)
	}
	whole, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(whole)
	damaged[20] ^= 1 // in its head
	put := func(b []byte) {
		if err := os.WriteFile(segments[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(damaged)
	if s, err := Open(Config{Dir: dir, Log: quiet}); err == nil {
		t.Fatal("a damaged log was opened", s.Close())
	}
	if got := say(); got != "2" {
		t.Errorf("after a start that failed the folder says %s", got)
	}
	put(whole)
	golden(t, dir)
	if got := say(); got != strconv.Itoa(version) {
		t.Errorf("after a start the folder says %s", got)
	}
}
