package plugins

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// cache looks after the folder where the engine keeps compiled code. The engine believes
// what it reads there, but for a checksum over part of it; and what it believes is run. So
// beside each file stands what it hashes to, and what is not as it was written, when it is
// about to be read, goes: it is compiled again. And the folder has an end, or tenants who
// upload one version after the other would fill the disk.
type cache struct {
	dir  string
	most int64 // bytes
	log  *slog.Logger
	now  func() time.Time
	mu   sync.Mutex // one looks at a time
}

const (
	enginePrefix = "wazero-" // of folders, one for each version of the engine
	sumEnding    = ".sum"    // of the file with a hash
	tmpEnding    = ".tmp"    // of what is being written
	// abandoned is how old a file that is being written is when nobody writes it any
	// more; ours, far over plugin_compile_seconds.
	abandoned = time.Hour
)

// cachedName is what files are called, and with which ending.
var cachedName = regexp.MustCompile(`^[0-9a-f]{64}(|\.sum|(?:\.sum)?\.[0-9]+\.tmp)$`)

// kept is a file of compiled code.
type kept struct {
	path string
	info fs.FileInfo
}

// check drops what has no hash, was not finished, or is too much. It is called before
// anything is read; after an error nothing may be.
func (c *cache) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, err := c.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, err := os.Stat(f.path + sumEnding); err != nil {
			if err := drop(f.path); err != nil {
				return err
			}
		}
	}
	return c.trim()
}

// vouch drops what is damaged of the files that have one of some names. The engine calls it
// right before it reads one, since a disk may turn a bit any day; after an error it may not.
func (c *cache) vouch(names []string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, err := c.files()
	if err != nil {
		return err
	}
	for _, f := range files {
		if !slices.Contains(names, f.info.Name()) {
			continue
		}
		if sum, err := hashFile(f.path); err != nil || !c.noted(f.path, sum) {
			c.log.LogAttrs(context.Background(), slog.LevelWarn, "compiled plugin dropped: it is not what was written", slog.String("file", f.path), slog.Any("err", err))
			if err := drop(f.path); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep notes what new files hash to. It is called when a module was compiled. What can't
// be noted is dropped at the next start, so nobody has to hear of it.
func (c *cache) keep() {
	c.mu.Lock()
	defer c.mu.Unlock()
	files, err := c.files()
	for _, f := range files {
		if _, missing := os.Stat(f.path + sumEnding); missing == nil {
			continue
		}
		sum, failed := hashFile(f.path)
		if failed == nil {
			failed = writeWhole(f.path+sumEnding, sum)
		}
		err = errors.Join(err, failed)
	}
	if err = errors.Join(err, c.trim()); err != nil {
		c.log.LogAttrs(context.Background(), slog.LevelWarn, "compiled plugins not kept", slog.Any("err", err))
	}
}

// files lists compiled code, and removes what belongs to none. The folder may be one that
// others use too: what the engine did not name is not looked at.
func (c *cache) files() (all []kept, err error) {
	dirs, err := os.ReadDir(c.dir)
	if err = gone(err); err != nil {
		return nil, err
	}
	for _, d := range dirs {
		if !d.IsDir() || !strings.HasPrefix(d.Name(), enginePrefix) {
			continue
		}
		dir := filepath.Join(c.dir, d.Name())
		in, err := os.ReadDir(dir)
		if err != nil {
			return nil, err
		}
		for _, f := range in {
			name := cachedName.FindStringSubmatch(f.Name())
			info, err := f.Info()
			if name == nil || err != nil || !info.Mode().IsRegular() {
				continue // not ours, or gone
			}
			path := filepath.Join(dir, f.Name())
			switch name[1] {
			case "":
				all = append(all, kept{path, info})
			case sumEnding:
				if _, missing := os.Stat(strings.TrimSuffix(path, sumEnding)); missing != nil {
					err = os.Remove(path)
				}
			default:
				if c.now().Sub(info.ModTime()) > abandoned {
					err = os.Remove(path)
				}
			}
			if err = gone(err); err != nil {
				return nil, err
			}
		}
	}
	return all, nil
}

// gone makes nothing of an error about a file that is not there: another process may look
// after the same folder.
func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// trim drops the oldest files while there is too much.
func (c *cache) trim() error {
	files, err := c.files()
	if err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b kept) int { return b.info.ModTime().Compare(a.info.ModTime()) })
	total := int64(0)
	for _, f := range files {
		if total += f.info.Size(); total > c.most {
			err = errors.Join(err, drop(f.path))
		}
	}
	return err
}

// drop removes a file; its hash goes last: without one, another process that looks after
// the same folder would take it for a new one, and note what it is now.
func drop(path string) error {
	if err := gone(os.Remove(path)); err != nil {
		return err
	}
	return gone(os.Remove(path + sumEnding))
}

// noted reports whether a hash is the one that stands beside a file.
func (c *cache) noted(path string, sum []byte) bool {
	was, err := os.ReadFile(path + sumEnding)
	return err == nil && bytes.Equal(was, sum)
}

// hashFile is the SHA-256 of a file, in hex.
func hashFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return hex.AppendEncode(nil, h.Sum(nil)), nil
}

// writeWhole writes a file that is there whole or not at all.
func writeWhole(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*"+tmpEnding)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // it is of no use
	}
	return err
}
