package plugins

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What is kept of compiled code is what was written, and not too much; what is not the
// engine's stays, whatever the operator named as the folder.
func TestCache(t *testing.T) {
	name := func(c string) string { return "wazero-v1/" + strings.Repeat(c, 64) }
	at := func(minutes int) time.Time {
		return time.Date(2026, 11, 28, 12, minutes, 0, 0, time.UTC)
	}
	for _, tt := range []struct {
		name  string
		begin func(t *testing.T, dir string)
		want  string // which of the files a and b, with hash, and others are left
	}{
		{"as it was", func(*testing.T, string) {}, "a a.sum b b.sum"},
		{"a bit is flipped", func(t *testing.T, dir string) { write(t, dir, name("a"), "aaAa", at(1)) }, "b b.sum"},
		{"nobody reads it", func(t *testing.T, dir string) {
			write(t, dir, name("c"), "c", at(1))
			write(t, dir, name("c")+".sum", "c", at(1))
		}, "a a.sum b b.sum c c.sum"},
		{"it is cut", func(t *testing.T, dir string) { write(t, dir, name("b"), "bbb", at(1)) }, "a a.sum"},
		{"its hash is missing", func(t *testing.T, dir string) { remove(t, dir, name("a")+".sum") }, "b b.sum"},
		{"its hash is cut", func(t *testing.T, dir string) { write(t, dir, name("a")+".sum", "61be", at(1)) }, "b b.sum"},
		{"its hash is that of another", func(t *testing.T, dir string) {
			sum, err := hashFile(filepath.Join(dir, name("b")))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, name("a")+".sum", string(sum), at(1))
		}, "b b.sum"},
		{"it is gone", func(t *testing.T, dir string) { remove(t, dir, name("a")) }, "b b.sum"},
		{"too much", func(t *testing.T, dir string) {
			write(t, dir, name("c"), "cccc", at(3))
			write(t, dir, name("d"), strings.Repeat("d", 40), at(2))
		}, "a a.sum b b.sum"}, // none of the others has a hash
		{"another one is being written", func(t *testing.T, dir string) { write(t, dir, name("a")+".123.tmp", "x", at(0)) }, "a a.123.tmp a.sum b b.sum"},
		{"another one was never finished", func(t *testing.T, dir string) { write(t, dir, name("a")+".sum.123.tmp", "x", at(-59)) }, "a a.sum b b.sum"},
		{"files of others", func(t *testing.T, dir string) {
			write(t, dir, "wazero-v1/notes", "x", at(-59))
			write(t, dir, "letter", "x", at(-59))
		}, "a a.sum b b.sum letter notes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c := &cache{dir: dir, most: 20, log: slog.Default(), now: func() time.Time { return at(2) }}
			write(t, dir, name("a"), "aaaa", at(0))
			write(t, dir, name("b"), "bbbb", at(1))
			c.keep()
			tt.begin(t, dir)
			if err := c.check(); err != nil {
				t.Fatal(err)
			}
			if err := c.vouch([]string{strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("e", 64)}); err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(left(t, dir)); got != "["+tt.want+"]" {
				t.Errorf("there is %s, want %s", got, tt.want)
			}
		})
	}
}

// The oldest go when there is too much, also while the gateway runs.
func TestCacheIsBounded(t *testing.T) {
	dir := t.TempDir()
	c := &cache{dir: dir, most: 20, log: slog.Default(), now: time.Now}
	for i, letter := range []string{"a", "b", "c", "d"} {
		write(t, dir, "wazero-v1/"+strings.Repeat(letter, 64), "12345678", time.Date(2026, 11, 28, 12, i, 0, 0, time.UTC))
		c.keep()
	}
	if got := fmt.Sprint(left(t, dir)); got != "[c c.sum d d.sum]" {
		t.Errorf("there is %s", got)
	}
}

// A folder that can't be looked after is not used.
func TestCacheFails(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "x", time.Now())
	c := &cache{dir: filepath.Join(dir, "file"), most: 20, log: slog.Default(), now: time.Now}
	if err := c.check(); err == nil {
		t.Error("a file is taken for a folder")
	}
	c.dir = filepath.Join(dir, "none")
	if err := c.check(); err != nil {
		t.Errorf("a folder that is not made yet: %v", err)
	}
}

// A file that can't be dropped keeps its hash: without, what it is now would be noted.
func TestCacheDropFails(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "full/file", "x", time.Now())
	write(t, dir, "full"+sumEnding, "x", time.Now())
	if err := drop(filepath.Join(dir, "full")); err == nil {
		t.Error("a folder that is not empty is removed")
	}
	if got := fmt.Sprint(left(t, dir)); got != "[file full.sum]" {
		t.Errorf("there is %s", got)
	}
}

func write(t *testing.T, dir, name, content string, at time.Time) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

// left lists all files; a letter that is repeated stands once.
func left(t *testing.T, dir string) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*", "*/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err != nil || info.IsDir() {
				continue
			}
			base := filepath.Base(path)
			if len(base) >= 64 {
				base = base[63:]
			}
			all = append(all, base)
		}
	}
	slices.Sort(all)
	return all
}
