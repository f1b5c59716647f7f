package badgerstore

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	versionFile = "VERSION"
	// version is of all that the engine writes. 1 was Badger alone; 2 has the log.
	version = 2
)

// upgrade brings the folder to this version, step by step, or refuses one of a
// later version before anything of it is touched.
func upgrade(cfg Config) error {
	v, err := readVersion(cfg.Dir)
	if err != nil {
		return err
	}
	if v > version {
		return fmt.Errorf("the store has version %d, this build knows %d: use a newer one", v, version)
	}
	if v == version {
		return nil
	}
	return writeVersion(cfg.Dir)
}

// readVersion tells a folder's version. One that holds nothing yet has the current one.
func readVersion(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, versionFile))
	switch {
	case err == nil:
		v, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || v < 1 {
			return 0, fmt.Errorf("%s says %q", versionFile, b)
		}
		return v, nil
	case !errors.Is(err, os.ErrNotExist):
		return 0, err
	}
	if _, err := os.Stat(filepath.Join(dir, indexFolder)); err == nil {
		return 1, nil
	}
	return 0, nil
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
