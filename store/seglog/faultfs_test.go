package seglog

import (
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
)

var errPower = errors.New("the power is gone")

// disk is an FS in memory with a volatile cache. What was written counts only
// after Sync, what was created, renamed or removed only after SyncDir. Each call
// that changes something is a step; at the step crashAt the power goes, and
// image says what may be found afterwards.
type disk struct {
	mu      sync.Mutex
	names   map[string]*inode // as a process sees them
	durable map[string]*inode // as of the last SyncDir
	dirOps  []dirOp           // since then
	steps   int
	crashAt int // 0: never
	dead    bool
	// fault, if set, may fail a step; of a write n bytes are done before,
	// cut to whole sectors. A
	// failed sync loses what it should have made durable but n sectors, as Linux
	// does: it is still read, and the next sync says yes.
	fault func(op, name string, bytes int) (n int, err error)
}

type inode struct {
	name   string // newest
	data   []byte // as a process reads it
	base   []byte // as it is on the disk
	ops    []change
	failed int // syncs; every open file learns once of each
}

// change is an unsynced write, or with cut a truncation to off.
type change struct {
	off  int64
	data []byte
	cut  bool
}

// dirOp is a rename; without from a creation, without to a removal.
type dirOp struct {
	from, to string
	n        *inode // of a creation
}

func newDisk() *disk { return &disk{names: map[string]*inode{}, durable: map[string]*inode{}} }

// step is called with mu held.
func (d *disk) step(op, name string, bytes int) (n int, err error) {
	if d.dead {
		return 0, errPower
	}
	if d.steps++; d.steps == d.crashAt {
		d.dead = true
		return bytes, errPower
	}
	if d.fault == nil {
		return bytes, nil
	}
	n, err = d.fault(op, name, bytes)
	if op == "write" && n != bytes {
		n = min(n, bytes) / sector * sector
	}
	return n, err
}

func (d *disk) Create(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("create", name, 0); err != nil && !errors.Is(err, errPower) {
		return nil, err
	}
	if d.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	n := &inode{name: name}
	d.names[name] = n
	d.dirOps = append(d.dirOps, dirOp{to: name, n: n})
	return &handle{d: d, n: n}, d.down()
}

func (d *disk) down() error {
	if d.dead {
		return errPower
	}
	return nil
}

func (d *disk) Open(name string) (File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.names[name]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &handle{d: d, n: n, seen: n.failed}, d.down()
}

func (d *disk) Rename(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("rename", from, 0); err != nil && !errors.Is(err, errPower) {
		return err
	}
	return d.change(dirOp{from: from, to: to})
}

func (d *disk) Remove(name string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if _, err := d.step("remove", name, 0); err != nil && !errors.Is(err, errPower) {
		return err
	}
	return d.change(dirOp{from: name})
}

func (d *disk) change(o dirOp) error {
	if n := d.names[o.from]; n != nil {
		delete(d.names, o.from)
		if o.to != "" {
			d.names[o.to], n.name = n, o.to
		}
	}
	d.dirOps = append(d.dirOps, o)
	return d.down()
}

func (d *disk) List() (names []string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.names {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, d.down()
}

func (d *disk) SyncDir() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, err := d.step("syncdir", "", 0); err != nil {
		return err
	}
	d.durable = maps.Clone(d.names)
	d.dirOps = nil
	return nil
}

// handle is an open file.
type handle struct {
	d    *disk
	n    *inode
	seen int
	shut bool
}

func (h *handle) usable() error {
	if h.shut {
		return fs.ErrClosed
	}
	return h.d.down()
}

func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.usable(); err != nil {
		return 0, err
	}
	if off >= int64(len(h.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, h.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.shut {
		return 0, fs.ErrClosed
	}
	n, err := h.d.step("write", h.n.name, len(p))
	if n > 0 {
		h.n.do(change{off: off, data: slices.Clone(p[:n])})
	}
	return n, err
}

func (h *handle) Truncate(size int64) error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.shut {
		return fs.ErrClosed
	}
	_, err := h.d.step("truncate", h.n.name, 1)
	if err == nil || errors.Is(err, errPower) {
		h.n.do(change{off: size, cut: true})
	}
	return err
}

func (h *handle) Sync() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if err := h.usable(); err != nil {
		return err
	}
	n, err := h.d.step("sync", h.n.name, 0)
	switch {
	case errors.Is(err, errPower):
		return err
	case err != nil:
		for _, c := range h.n.ops {
			for _, c := range c.sectors() {
				if n--; n >= 0 {
					h.n.base = c.apply(h.n.base)
				}
			}
		}
		h.n.ops = nil
		h.n.failed++
	default:
		for _, c := range h.n.ops {
			h.n.base = c.apply(h.n.base)
		}
		h.n.ops = nil
	}
	if h.seen != h.n.failed {
		h.seen = h.n.failed
		return syscall.EIO
	}
	return nil
}

func (h *handle) Size() (int64, error) {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	return int64(len(h.n.data)), h.usable()
}

func (h *handle) Close() error {
	h.d.mu.Lock()
	defer h.d.mu.Unlock()
	if h.shut {
		return fs.ErrClosed
	}
	h.shut = true
	return nil
}

func (n *inode) do(c change) {
	n.data = c.apply(n.data)
	n.ops = append(n.ops, c)
}

func (c change) apply(b []byte) []byte {
	end := int(c.off) + len(c.data)
	if len(b) < end {
		b = append(b, make([]byte, end-len(b))...)
	}
	if c.cut {
		return b[:c.off:c.off]
	}
	copy(b[c.off:], c.data)
	return b
}

// sectors takes a write apart.
func (c change) sectors() (out []change) {
	if c.cut {
		return []change{c}
	}
	for off, rest := c.off, c.data; len(rest) > 0; {
		n := min(sector-int(off%sector), len(rest))
		out = append(out, change{off: off, data: rest[:n]})
		off, rest = off+int64(n), rest[n:]
	}
	return out
}

// Ways in which a cache may be lost.
const (
	keepAll   = iota // everything unsynced arrived
	dropAll          // nothing did
	reordered        // some writes did, in any order
	torn             // some sectors did
	tornShort        // the same, and the file didn't grow as far
	tornLast         // everything but some sectors of the last write
	headOnly         // of the last write, its first sector
	headLost         // of the last write, all but its first sector
	holed            // of the last write, all but one sector
	kinds
)

// image is the disk after the power came back. Of the directory's changes any
// first part was kept.
func (d *disk) image(kind int, rng *rand.Rand) *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := maps.Clone(d.durable)
	keep := 0
	switch kind {
	case keepAll, headOnly, headLost, holed:
		keep = len(d.dirOps)
	case reordered, torn, tornShort, tornLast:
		keep = rng.IntN(len(d.dirOps) + 1)
	}
	for _, o := range d.dirOps[:keep] {
		switch {
		case o.from == "":
			names[o.to] = o.n
		case o.to == "":
			delete(names, o.from)
		default:
			names[o.to] = names[o.from]
			delete(names, o.from)
		}
	}
	out := newDisk()
	for name, n := range names {
		b := n.image(kind, rng)
		out.names[name] = &inode{name: name, data: b, base: slices.Clone(b)}
		out.durable[name] = out.names[name]
	}
	return out
}

func (n *inode) image(kind int, rng *rand.Rand) []byte {
	b, ops := slices.Clone(n.base), slices.Clone(n.ops)
	if kind == dropAll || len(ops) == 0 {
		return b
	}
	var last []change
	if kind >= tornLast {
		last, ops = ops[len(ops)-1].sectors(), ops[:len(ops)-1]
	}
	some := func(in []change) (out []change) {
		p := rng.Float64()
		for _, c := range in {
			if rng.Float64() < p {
				out = append(out, c)
			}
		}
		return out
	}
	switch kind {
	case reordered:
		rng.Shuffle(len(ops), func(i, j int) { ops[i], ops[j] = ops[j], ops[i] })
		ops = some(ops)
	case torn, tornShort:
		var all []change
		for _, c := range ops {
			all = append(all, c.sectors()...)
		}
		ops = some(all)
	case tornLast:
		ops = append(ops, some(last)...)
	case headOnly:
		ops = append(ops, last[0])
	case headLost:
		ops = append(ops, last[1:]...)
	case holed:
		hole := rng.IntN(len(last))
		ops = append(append(ops, last[:hole]...), last[hole+1:]...)
	}
	for _, c := range ops {
		b = c.apply(b)
	}
	if grown := len(b) - len(n.base); kind == tornShort && grown > 0 {
		b = b[:min(len(b), (len(n.base)+rng.IntN(grown+1)+sector-1)/sector*sector)]
	}
	return b
}

// clone is a disk with the same files and nothing unsynced.
func (d *disk) clone() *disk { return d.image(keepAll, nil) }
