package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// soakTime is how long the gateway is soaked: make soak sets an hour.
const soakTime = "POSTERN_SOAK"

// soakLeast is how many messages a client delivers at least, however busy the machine is:
// fewer show little.
const soakLeast = 100

// The real binary takes mail over and over and has it expunged: its memory, its open
// files and its disk stay where they were.
func TestSoak(t *testing.T) {
	life := 12 * time.Second
	if s := os.Getenv(soakTime); s != "" {
		var err error
		if life, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	p := startBinary(t)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var taken [3]int
	for i := range taken {
		clients.Go(func() { taken[i] = soakDeliver(p, i, life, stop) })
	}
	clients.Go(func() { soakExpunge(p, life, stop) })
	var thirds [3]soaked
	for i := range thirds {
		thirds[i] = soakWatch(p, life/3)
	}
	close(stop)
	clients.Wait()
	t.Logf("%v messages; of each third of %s the most: %+v", taken, life, thirds)
	for i, n := range taken {
		if n < soakLeast {
			t.Errorf("client %d delivered %d messages: the test shows little", i, n)
		}
	}
	was, is := thirds[1], thirds[2]
	if is.memory > 400<<20 { // what server.memory allows
		t.Errorf("%d MiB are resident", is.memory>>20)
	}
	// In the first minutes memtables and caches fill; what tables are mapped comes and
	// goes.
	if life >= 10*time.Minute && is.memory > was.memory+was.memory/2 {
		t.Errorf("memory grew from %d to %d MiB", was.memory>>20, is.memory>>20)
	}
	if is.files > was.files+20 {
		t.Errorf("open files grew from %d to %d", was.files, is.files)
	}
	// Two segments ready, two that wait to be collected, snapshots and the index.
	if most := int64(2 << 30); is.disk > most {
		t.Errorf("the store takes %d MiB of disk for a mailbox that is kept small", is.disk>>20)
	}
}

// soaked is the most that was seen for a while.
type soaked struct {
	memory int64 // resident bytes
	files  int   // open ones
	disk   int64 // bytes
}

func soakWatch(p *process, d time.Duration) (most soaked) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.banner.PID))
		if err != nil {
			p.Fatal(err)
		}
		most.memory, most.files = max(most.memory, p.resident()), max(most.files, len(open))
		most.disk = max(most.disk, soakDisk(p))
	}
	return most
}

func soakDisk(p *process) (n int64) {
	_ = filepath.WalkDir(filepath.Join(p.banner.Data, "store"), func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(d.Name()) == ".mem" { // sparse
			return nil //nolint:nilerr // what is gone meanwhile takes no disk
		}
		if info, err := d.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n
}

// soakDeliver is a server that delivers mail, now and then a large one, and
// connects anew after each hundred.
func soakDeliver(p *process, client int, life time.Duration, stop <-chan struct{}) (n int) {
	for ; ; n++ {
		t := dial(p.banner.MX, life+patience)
		t.say("", "220 ")
		if _, ok := t.say("EHLO peer.example", "250 "); !ok {
			p.Errorf("the MX does not answer: %s", t.no)
			return n
		}
		for ; n%100 != 99; n++ {
			select {
			case <-stop:
				if n >= soakLeast {
					t.close()
					return n
				}
			default:
			}
			body := fourKB
			if n%100 == 50 {
				body = strings.Repeat(fourKB, 100)
			}
			if !t.transact(fmt.Sprintf("<%d.%d.%d@peer.example>", client, n, time.Now().UnixNano()), "soak", body) {
				p.Errorf("a message was not taken: %s", t.no)
				return n
			}
			time.Sleep(2 * time.Millisecond)
		}
		t.close()
	}
}

// soakExpunge is a mail program that deletes whatever comes, for good.
func soakExpunge(p *process, life time.Duration, stop <-chan struct{}) {
	for {
		t := dial(p.banner.IMAP, life+patience)
		t.say("a STARTTLS", "a OK")
		t.secure(gatewaytest.TrustLocal(p, p.banner.Data))
		t.say("b LOGIN bot@demo.localhost "+p.banner.Keys.Account, "b OK")
		t.say("c SELECT INBOX", "c OK")
		for range 20 {
			select {
			case <-stop:
				t.close()
				return
			case <-time.After(100 * time.Millisecond):
			}
			t.say("d STORE 1:* +FLAGS.SILENT (\\Deleted)", "d ")
			if _, ok := t.say("e EXPUNGE", "e OK"); !ok {
				p.Errorf("EXPUNGE: %s", t.no)
				return
			}
		}
		t.close()
	}
}
