package storetest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/store/engine"
)

// CrashOpener opens the engine in dir, without a test around it.
type CrashOpener func(dir string) (engine.Engine, error)

const (
	crashDir   = "STORETEST_CRASH_DIR"
	crashKills = "STORETEST_KILLS" // how often; default 50
)

// CrashChild turns this process into the writer that Crash kills, if Crash
// started it. Call it first in TestMain.
func CrashChild(open CrashOpener) {
	dir := os.Getenv(crashDir)
	if dir == "" {
		return
	}
	e, err := open(dir)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("open")
	var wg sync.WaitGroup
	for w := range uint64(16) {
		wg.Go(func() {
			for i := uint64(0); ; i++ {
				if err := crashWrite(e, w, i); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
			}
		})
	}
	wg.Wait()
}

// crashWrite commits one numbered write of one writer and tells the ledger: a
// body, two keys that must agree, a counter and a change.
func crashWrite(e engine.Engine, writer, i uint64) error {
	id := e.Boot()<<40 | writer<<32 | i
	size := 2000
	if i%40 == 7 {
		size = 300 << 10 // a file of its own
	}
	w, err := e.Blobs().Create(background, 1, int64(size))
	if err != nil {
		return err
	}
	defer w.Close()
	if _, err := w.Write(bytes.Repeat(u64(id), size/8)); err != nil {
		return err
	}
	ref, err := w.Seal()
	if err != nil {
		return err
	}
	_, err = e.Update(background, engine.Op{Domain: 1, Fn: func(tx engine.Tx) error {
		if err := tx.Link(ref); err != nil {
			return err
		}
		n, err := tx.Get(k("count"))
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		tx.Set(k("count"), u64(number(n)+1))
		tx.Set(append(k("a"), u64(id)...), encodeRef(ref))
		tx.Set(append(k("b"), u64(id)...), u64(tx.Emit(u64(id))))
		return nil
	}})
	if err == nil {
		_, err = os.Stdout.WriteString("ack " + strconv.FormatUint(id, 10) + "\n")
	}
	return err
}

func encodeRef(r engine.BlobRef) []byte {
	b := u64(r.ID)
	b = append(b, u64(uint64(r.Size))...)
	b = binary.BigEndian.AppendUint32(b, r.CRC32C)
	return append(b, r.SHA256[:]...)
}

func decodeRef(b []byte) engine.BlobRef {
	return engine.BlobRef{
		Domain: 1, ID: number(b[:8]), Size: int64(number(b[8:16])),
		CRC32C: binary.BigEndian.Uint32(b[16:]), SHA256: [32]byte(b[20:]),
	}
}

// Crash kills a writing process with SIGKILL at random moments, again and again
// over the same store, and after each kill finds every acknowledged write whole,
// no half of any other, the counter equal to a recount, and the feed complete.
func Crash(t *testing.T, open CrashOpener) {
	kills := 50
	if s := os.Getenv(crashKills); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("%s: %v", crashKills, err)
		}
		kills = n
	}
	dir := t.TempDir()
	ledger := make(map[uint64]bool)
	for i := range kills {
		for _, id := range crashOnce(t, dir) {
			ledger[id] = true
		}
		crashCheck(t, open, dir, ledger, i == kills-1)
	}
	t.Logf("%d kills, %d acknowledged writes", kills, len(ledger))
	if len(ledger) == 0 {
		t.Fatal("nothing was ever acknowledged: the test shows nothing")
	}
}

// crashOnce runs a child, kills it, and returns what it had acknowledged.
func crashOnce(t *testing.T, dir string) (acked []uint64) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "open" {
		t.Fatalf("the child did not open its store: %q", lines.Text())
	}
	kill := time.AfterFunc(time.Duration(20+rand.IntN(400))*time.Millisecond, func() { _ = cmd.Process.Kill() })
	defer kill.Stop()
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		id, err := strconv.ParseUint(rest, 10, 64)
		if word != "ack" || err != nil {
			t.Fatalf("the child says %q", lines.Text())
		}
		acked = append(acked, id)
	}
	_ = cmd.Wait() // killed: that is the point
	return acked
}

func crashCheck(t *testing.T, open CrashOpener, dir string, ledger map[uint64]bool, bodies bool) {
	t.Helper()
	e, err := open(dir)
	if err != nil {
		t.Fatalf("open after a kill: %v", err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}()
	refs, seqs := make(map[uint64]engine.BlobRef), make(map[uint64]uint64)
	var count uint64
	err = e.View(background, func(r engine.Reader) error {
		b, err := r.Get(k("count"))
		if err != nil && !errors.Is(err, engine.ErrNotFound) {
			return err
		}
		count = number(b)
		if err := r.Scan(engine.Prefix(k("a")), func(key, v []byte) error {
			refs[number(key[len(key)-8:])] = decodeRef(v)
			return nil
		}); err != nil {
			return err
		}
		return r.Scan(engine.Prefix(k("b")), func(key, v []byte) error {
			seqs[number(v)] = number(key[len(key)-8:])
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(refs)) != count || uint64(len(seqs)) != count {
		t.Fatalf("the counter says %d, there are %d and %d: half a commit", count, len(refs), len(seqs))
	}
	for id := range ledger {
		if _, ok := refs[id]; !ok {
			t.Fatalf("write %x was acknowledged and is gone", id)
		}
	}
	crashFeed(t, e, seqs)
	for id, ref := range refs {
		if bodies || ref.Size > 2000 {
			crashBody(t, e, id, ref)
		}
	}
}

func crashFeed(t *testing.T, e engine.Engine, seqs map[uint64]uint64) {
	t.Helper()
	feed := e.Feed(1, 0)
	defer feed.Close()
	for at := uint64(0); ; {
		changes, err := feed.Next(background, 1000)
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) == 0 {
			if at != uint64(len(seqs)) {
				t.Fatalf("the feed ends at %d of %d", at, len(seqs))
			}
			return
		}
		for _, c := range changes {
			if at++; c.Sequence != at || number(c.Payload) != seqs[at] {
				t.Fatalf("change %d is %d, for write %x, want %x", at, c.Sequence, number(c.Payload), seqs[at])
			}
		}
	}
}

func crashBody(t *testing.T, e engine.Engine, id uint64, ref engine.BlobRef) {
	t.Helper()
	r, err := e.Blobs().Open(context.Background(), ref, 0, -1)
	if err != nil {
		t.Fatalf("body of write %x: %v", id, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(b, bytes.Repeat(u64(id), len(b)/8)) || int64(len(b)) != ref.Size {
		t.Fatalf("body of write %x: %d other bytes, %v", id, len(b), err)
	}
}
