package badgerstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	badger "github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// checkTables reads every table that the manifest names, whole. Badger would do
// the same when it opens them, but it passes over a table whose checksum differs
// as if it were not there, and a damaged footer ends the process, since that
// panic is in a goroutine of its own.
func checkTables(dir string, opt badger.Options) error {
	f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // then there are no tables, whatever lies there
	} else if err != nil {
		return err
	}
	defer f.Close()
	manifest, _, err := badger.ReplayManifestFile(f, opt.ExternalMagicVersion, opt)
	if err != nil {
		return err
	}
	for id, t := range manifest.Tables {
		if err := checkTable(table.NewFilename(id, dir), t.Compression, opt); err != nil {
			return fmt.Errorf("table %06d: %w", id, err)
		}
	}
	return nil
}

func checkTable(path string, compression options.CompressionType, opt badger.Options) (err error) {
	file, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it can't be read")
		}
		err = errors.Join(err, file.Close(-1))
	}()
	if len(file.Data) < 16 {
		return errors.New("it is cut short")
	}
	_, err = table.OpenTable(file, table.Options{
		ReadOnly: true, BlockSize: opt.BlockSize, Compression: compression,
		ChkMode: options.OnTableAndBlockRead, ZSTDCompressionLevel: opt.ZSTDCompressionLevel,
	})
	return err
}

// openBadger is badger.OpenManaged, with a panic over damaged files as an error.
func openBadger(opt badger.Options) (db *badger.DB, err error) {
	defer func() {
		if p := recover(); p != nil {
			db, err = nil, fmt.Errorf("badger: %v", p)
		}
	}()
	if err := checkTables(opt.Dir, opt); err != nil {
		return nil, err
	}
	return badger.OpenManaged(opt)
}
