package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

const (
	// watchInterval is how often files are looked at, and how long they have to stay as they
	// are: an editor's save takes less. Ours.
	watchInterval = 300 * time.Millisecond
	// mostWatched bounds the files of a plugin's folder; ours. An SDK has about 40.
	mostWatched = 10_000
)

// watch pushes, and again after each change, until the command is interrupted. What fails
// is said, and waits for the next change.
func (u *pluginPush) watch(cmd *cobra.Command) error {
	ctx := cmd.Context()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	var pushed, before map[string]stamp
	for {
		now, err := u.look()
		switch {
		case err != nil && pushed == nil:
			return err // there is nothing to watch
		case err != nil:
			u.say(cmd, "postern: %v", err)
		case pushed == nil, maps.Equal(now, before) && !maps.Equal(now, pushed): // and nobody writes any more
			if err := u.once(cmd); err != nil && ctx.Err() == nil {
				u.say(cmd, "postern: %v", err)
			}
			u.say(cmd, "waiting for changes in %s", u.from)
			pushed = now
		}
		before = now
		select {
		case <-ctx.Done():
			return nil // that is how it ends
		case <-tick.C:
		}
	}
}

// stamp is what changes with a file.
type stamp struct {
	size int64
	at   time.Time
}

// look lists the sources of a folder, or the one file.
func (u *pluginPush) look() (map[string]stamp, error) {
	all := make(map[string]stamp)
	return all, filepath.WalkDir(u.from, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist) && path != u.from:
			return nil // it went just now
		case err != nil:
			return err
		case d.IsDir() && path != u.from && (d.Name() == "node_modules" || d.Name() == "target" || strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir(), path != u.from && !isSource(path):
			return nil
		case len(all) == mostWatched:
			return fmt.Errorf("%s has more than %d files", u.from, mostWatched)
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		all[path] = stamp{info.Size(), info.ModTime()}
		return nil
	})
}

// isSource reports whether a file is the author's, not what build, or an editor, makes.
func isSource(path string) bool {
	name := filepath.Base(path)
	return !strings.HasPrefix(name, ".") && !strings.HasSuffix(name, "~") && !isModule(name) && !isModule(strings.TrimSuffix(name, ".new"))
}
