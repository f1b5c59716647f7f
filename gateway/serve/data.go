package serve

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/centerleap/postern/store/badgerstore"
)

// storeFolder is where the store lives in a data folder; a folder with it is
// one of ours.
const storeFolder = "store"

// prepareData makes the data folder ours alone, mode 0700. A folder that holds
// something else is left as it is: a slip in --data must not shut people out of
// their files.
func prepareData(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	at := filepath.Join(dir, storeFolder)
	if badgerstore.Unfinished(at) {
		return fmt.Errorf("the repair of %s was cut short: end it with postern store repair", at)
	}
	if _, err := os.Stat(at); errors.Is(err, fs.ErrNotExist) {
		if err := empty(dir); err != nil {
			return err
		}
	} else if err != nil {
		return err
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

// empty fails if a folder holds anything but what a fresh disk or an operator
// puts there.
func empty(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	for {
		names, err := f.Readdirnames(100)
		for _, n := range names {
			if n != "lost+found" && filepath.Ext(n) != ".toml" {
				return fmt.Errorf("%s holds other files, such as %s: choose an empty or new folder for the data", dir, n)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
