package badgerstore

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// A full disk is tried for real, on file systems of our own: Badger's way to die of
// one is a signal, so a child process does the writing.
const fullDir = "BADGERSTORE_FULL_DIR"

// fullChild writes until it is told to stop. It says "ack N" for each message that
// was acknowledged, "full" and "room" when that changes, and "error" for whatever
// else goes wrong; after "full" it deletes a few messages now and then, and reads.
func fullChild() {
	dir := os.Getenv(fullDir)
	if dir == "" {
		return
	}
	s, err := Open(Config{Dir: filepath.Join(dir, "store"), Log: quiet})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	stop := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
		close(stop)
	}()
	w := fullWriter{store: s}
	for {
		select {
		case <-stop:
			if err := s.Close(); err != nil {
				fmt.Println("error", err)
			}
			fmt.Println("closed")
			os.Exit(0)
		default:
		}
		if err := w.step(); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
}

type fullWriter struct {
	store   *Store
	refs    []engine.BlobRef
	next    int // message to write
	deleted int // messages before this one are deleted
	full    bool
}

func (w *fullWriter) step() error {
	ref, err := w.write(w.next)
	if errors.Is(err, engine.ErrFull) {
		if !w.full {
			fmt.Println("full")
		}
		w.full = true
		time.Sleep(20 * time.Millisecond)
		return errors.Join(w.read(), w.delete())
	}
	if err != nil {
		return err
	}
	if w.full {
		fmt.Println("room")
	}
	w.full = false
	w.refs = append(w.refs, ref)
	fmt.Println("ack", w.next)
	w.next++
	return nil
}

func fullText(i int) []byte {
	n := 6000
	if i%50 == 17 {
		n = 400 << 10
	}
	return noise(i, n)
}

// noise is n bytes that no compression makes fewer.
func noise(i, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}).Read(b)
	return b
}

func (w *fullWriter) write(i int) (ref engine.BlobRef, err error) {
	b, err := w.store.Blobs().Create(background, 1, 0)
	if err != nil {
		return ref, err
	}
	defer b.Close()
	if _, err := b.Write(fullText(i)); err != nil {
		return ref, err
	}
	if ref, err = b.Seal(); err != nil {
		return ref, err
	}
	_, err = w.store.Update(background, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		tx.Set(key(i), noise(i, 2000))
		return tx.Link(ref)
	}})
	return ref, err
}

// read reads the newest message: reads go on, whatever the disk says.
func (w *fullWriter) read() error {
	if len(w.refs) == 0 {
		return nil
	}
	return w.store.blobs.Check(background, w.refs[len(w.refs)-1])
}

// delete deletes some messages, which may be refused only when the disk is really full.
func (w *fullWriter) delete() error {
	if w.deleted >= len(w.refs)-100 {
		return nil
	}
	_, err := w.store.Update(background, engine.Op{Domain: 1, Frees: true, Fn: func(tx engine.Tx) (err error) {
		for i := w.deleted; i < w.deleted+50 && err == nil; i++ {
			tx.Delete(key(i))
			err = tx.Unlink(w.refs[i])
		}
		return err
	}})
	if errors.Is(err, engine.ErrFull) {
		return nil
	}
	for range 50 {
		if err == nil {
			fmt.Println("deleted", w.deleted)
			w.deleted++
		}
	}
	return err
}

// TestDiskFull: on a small file system, filled by the store itself and by others,
// nothing acknowledged is lost, nobody dies of a signal, and it goes on when there
// is room again.
func TestDiskFull(t *testing.T) {
	for _, kind := range []string{"tmpfs", "ext4"} {
		t.Run(kind, func(t *testing.T) {
			dir := mount(t, kind)
			c := startFull(t, dir)
			c.until("full") // by itself
			c.until("deleted")
			hog := filepath.Join(dir, "hog") // and by somebody else, to the last byte
			fill(t, hog)
			time.Sleep(3 * time.Second)
			if err := os.Remove(hog); err != nil {
				t.Fatal(err)
			}
			c.until("deleted") // goes on
			c.until("room")    // what is deleted comes back by itself
			c.until("ack")
			c.stop()
			s, err := Open(Config{Dir: filepath.Join(dir, "store"), Log: quiet})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i := range c.acked {
				if c.gone[i] {
					continue
				}
				err := s.View(t.Context(), func(r engine.Reader) error { _, err := r.Get(key(i)); return err })
				if err != nil {
					t.Fatalf("message %d was acknowledged and is gone: %v", i, err)
				}
			}
			t.Logf("%d acknowledged, %d deleted", len(c.acked), len(c.gone))
		})
	}
}

// mount makes a file system of 300 MB.
func mount(t *testing.T, kind string) (dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		skip(t, "only root can mount a file system")
	}
	dir = t.TempDir()
	var err error
	var out []byte
	if kind == "tmpfs" {
		out, err = exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=300m", "tmpfs", dir).CombinedOutput()
	} else {
		image := filepath.Join(t.TempDir(), "image")
		out, err = exec.CommandContext(t.Context(), "sh", "-c", fmt.Sprintf("truncate -s 300M %s && mkfs.ext4 -q %s && mount -o loop %s %s", image, image, image, dir)).CombinedOutput()
	}
	if err != nil {
		skip(t, fmt.Sprintf("no %s can be mounted here: %v: %s", kind, err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return dir
}

// skip is for what the machine lacks; in CI nothing may be lacking.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// fill writes a file until the disk has not a byte left, as quickly as a disk is
// written: whoever takes it at the speed of memory is faster than any watch.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 1<<20); len(b) > 0; {
		if _, err := f.Write(b); err != nil {
			b = b[:len(b)/2]
			continue
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// fullProcess is a child and what it has said.
type fullProcess struct {
	t     *testing.T
	cmd   *exec.Cmd
	stdin io.Closer
	lines *bufio.Scanner
	acked map[int]bool
	gone  map[int]bool
}

func startFull(t *testing.T, dir string) *fullProcess {
	t.Helper()
	c := &fullProcess{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0]), acked: make(map[int]bool), gone: make(map[int]bool)}
	c.cmd.Env = append(os.Environ(), fullDir+"="+dir)
	c.cmd.Stderr = os.Stderr
	in, err := c.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.stdin, c.lines = in, bufio.NewScanner(out)
	return c
}

// until reads what the child says up to a word.
func (c *fullProcess) until(want string) {
	c.t.Helper()
	for c.lines.Scan() {
		word, rest, _ := strings.Cut(c.lines.Text(), " ")
		n := 0
		_, _ = fmt.Sscan(rest, &n)
		switch word {
		case "ack":
			c.acked[n] = true
		case "deleted":
			c.gone[n] = true
		case "error":
			c.t.Fatalf("the child says: %s", c.lines.Text())
		}
		if word == want {
			return
		}
	}
	c.t.Fatalf("the child ended before %q: %v", want, c.cmd.Wait())
}

func (c *fullProcess) stop() {
	c.t.Helper()
	if err := c.stdin.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.until("closed")
	if err := c.cmd.Wait(); err != nil {
		c.t.Fatalf("the child: %v", err)
	}
}
