package serve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway/keys"
	"github.com/centerleap/postern/gateway/threading"
	"github.com/centerleap/postern/store"
	"github.com/centerleap/postern/store/badgerstore"
)

const (
	tlsFolder       = "tls"
	restoringFolder = ".restoring"
)

// Backup writes the gateway to w as one moment saw it, while it goes on: the
// store, and what else of the data folder a gateway needs to be the same one. What
// is written is a whole backup only if it returns nil.
func (g *Gateway) Backup(ctx context.Context, w io.Writer) error {
	out, err := newBackupWriter(w)
	if err != nil {
		return err
	}
	if err := out.info(BackupInfo{CreatedAt: g.now().UTC().Truncate(time.Millisecond)}); err != nil {
		return err
	}
	names, err := keptFiles(g.cfg.Data)
	if err != nil {
		return err
	}
	for _, name := range names {
		f, err := readKept(g.cfg.Data, name)
		if err == nil {
			err = out.file(f)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if err := g.Snapshot(ctx, out); err != nil {
		return err
	}
	return out.end()
}

// kept reports whether a file of the data folder is in a backup beside the store:
// keys and certificates, and a configuration if it is there. The rest is made anew
// when it is missing: spool, cache, socket.
func kept(name string) bool {
	if dir, file := path.Split(name); dir == tlsFolder+"/" {
		return file != "" && !strings.HasPrefix(file, ".") // one that is being written
	}
	return path.Ext(name) == ".toml" && path.Base(name) == name && !strings.HasPrefix(name, ".")
}

func keptFiles(data string) (names []string, err error) {
	for _, dir := range []string{".", tlsFolder} {
		entries, err := os.ReadDir(filepath.Join(data, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if !kept(name) {
				continue
			}
			if info, err := os.Stat(filepath.Join(data, name)); err != nil {
				return nil, err
			} else if info.Mode().IsRegular() {
				names = append(names, name)
			}
		}
	}
	return names, nil
}

func readKept(data, name string) (f keptFile, err error) {
	in, err := os.Open(filepath.Join(data, name))
	if err != nil {
		return f, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return f, err
	}
	f = keptFile{name: name, mode: info.Mode().Perm()}
	if f.data, err = io.ReadAll(io.LimitReader(in, maxFile+1)); err != nil {
		return f, err
	}
	return f, f.check()
}

// check holds a file to what a backup may bring.
func (f keptFile) check() error {
	switch {
	case !kept(f.name) || !filepath.IsLocal(f.name):
		return fmt.Errorf("%q has no place in a data folder", f.name)
	case len(f.data) > maxFile:
		return fmt.Errorf("%q is larger than %d bytes", f.name, maxFile)
	}
	return nil
}

// Restore makes a data folder of a backup. dir is empty or missing; when it fails,
// it is so again.
func Restore(ctx context.Context, r io.Reader, dir string, log *slog.Logger) (info BackupInfo, err error) {
	made, err := emptyFolder(dir)
	if err != nil {
		return info, err
	}
	work := filepath.Join(dir, restoringFolder)
	err = os.Mkdir(work, 0o700)
	if err == nil {
		if info, err = restoreInto(ctx, r, work, log); err == nil {
			err = moveUp(work)
		}
		err = errors.Join(err, os.RemoveAll(work))
	}
	if err == nil {
		return info, errors.Join(syncDir(dir), syncDir(filepath.Dir(filepath.Clean(dir))))
	}
	if made {
		err = errors.Join(err, os.Remove(dir))
	}
	return info, err
}

// emptyFolder makes a folder, or sees to it that it is ours alone and holds
// nothing but what a fresh disk has. What a restore that was killed left is
// removed.
func emptyFolder(dir string) (made bool, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		if n := e.Name(); n != "lost+found" && n != restoringFolder {
			return false, fmt.Errorf("%s is not empty: it holds %s", dir, n)
		}
	}
	return false, errors.Join(os.RemoveAll(filepath.Join(dir, restoringFolder)), os.Chmod(dir, 0o700))
}

func restoreInto(ctx context.Context, r io.Reader, dir string, log *slog.Logger) (info BackupInfo, err error) {
	b, err := openBackup(cancelReader{ctx, r}, func(f keptFile) error { return f.write(dir) })
	if err != nil {
		return info, err
	}
	if err := badgerstore.Restore(b, filepath.Join(dir, storeFolder), log); err != nil {
		return info, err
	}
	more, err := io.Copy(io.Discard, b)
	if err == nil && more > 0 {
		err = damagedBackup(errors.New("something follows the store"))
	}
	if err == nil {
		err = restored(ctx, storeConfig(dir, log))
	}
	return b.info, err
}

// restored has clients see that a store is not the one they knew.
func restored(ctx context.Context, cfg badgerstore.Config) (err error) {
	e, err := badgerstore.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	s, err := store.New(e, store.Config{Threading: threading.Rules{}})
	if err != nil {
		return err
	}
	return s.Restored(ctx, keys.System())
}

// cancelReader ends when ctx does: restoring has no other place to ask.
type cancelReader struct {
	ctx context.Context
	r   io.Reader
}

func (c cancelReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

func (f keptFile) write(dir string) error {
	if err := f.check(); err != nil {
		return err
	}
	to := filepath.Join(dir, f.name)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	_, err = out.Write(f.data)
	return errors.Join(err, out.Sync(), out.Close(), syncDir(filepath.Dir(to)))
}

// moveUp moves what is in a folder to its parent, the store last: a folder with a
// store is taken for a whole one. When it fails, it takes back what it moved.
func moveUp(work string) (err error) {
	entries, err := os.ReadDir(work)
	if err != nil {
		return err
	}
	var names, moved []string
	for _, e := range entries {
		if e.Name() != storeFolder {
			names = append(names, e.Name())
		}
	}
	for _, name := range append(names, storeFolder) {
		to := filepath.Join(filepath.Dir(work), name)
		if err = os.Rename(filepath.Join(work, name), to); err != nil {
			break
		}
		moved = append(moved, to)
	}
	if err != nil {
		for _, to := range moved {
			err = errors.Join(err, os.RemoveAll(to))
		}
	}
	return err
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// BackupReport is what VerifyBackup found in a backup.
type BackupReport struct {
	BackupInfo
	StoreReport
}

// VerifyBackup restores a backup into a folder that it makes in tmp and removes
// again, and runs every check on it. found gets each thing that is wrong; a backup
// that can't be restored is an error.
func VerifyBackup(ctx context.Context, r io.Reader, tmp string, log *slog.Logger, found func(what string)) (b BackupReport, err error) {
	dir, err := os.MkdirTemp(tmp, "postern-verify-")
	if err != nil {
		return b, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if b.BackupInfo, err = Restore(ctx, r, dir, log); err != nil {
		return b, err
	}
	b.StoreReport, err = VerifyStore(ctx, dir, log, found)
	return b, err
}
