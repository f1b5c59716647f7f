package snapshot

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// linux is the kernel of that name. Sources: memfd_create(2), mmap(2), madvise(2),
// getrusage(2), and "Examining Process Page Tables" (pagemap) in the kernel's
// administration guide.
type linux struct {
	pagemap *os.File
	page    int
	scans   bool // it tells which pages are private
}

// pagemapFile tells of each page of this process where it lies. It needs no privilege
// since Linux 4.2, as long as only flags are asked for.
const pagemapFile = "/proc/self/pagemap"

func newKernel() (kernel, error) { return openKernel(pagemapFile) }

// openKernel makes a kernel that has shown that it can do what is asked of it.
func openKernel(pagemap string) (kernel, error) {
	f, err := os.Open(pagemap)
	if err != nil {
		return nil, err
	}
	k := &linux{pagemap: f, page: os.Getpagesize(), scans: true}
	if k.probe() == nil {
		return k, nil
	}
	k.scans = false // it does not, or not so
	if err := k.probe(); err != nil {
		f.Close()
		return nil, err
	}
	return k, nil
}

func (k *linux) pageSize() int { return k.page }

func (k *linux) close() error { return k.pagemap.Close() }

func (k *linux) reserve(size uint64) ([]byte, error) {
	n := int(size)
	if n < 0 || uint64(n) != size {
		return nil, unix.ENOMEM
	}
	return unix.Mmap(-1, 0, n, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
}

func (k *linux) release(all []byte) error { return unix.Munmap(all) }

func (k *linux) commit(part []byte) error {
	return unix.Mprotect(part, unix.PROT_READ|unix.PROT_WRITE)
}

// populate needs Linux 5.14.
func (k *linux) populate(part []byte) error { return unix.Madvise(part, unix.MADV_POPULATE_WRITE) }

func (k *linux) drop(memory []byte) error { return unix.Madvise(memory, unix.MADV_DONTNEED) }

func (k *linux) faults() (int, error) {
	var u unix.Rusage
	err := unix.Getrusage(unix.RUSAGE_THREAD, &u)
	return int(u.Minflt) + int(u.Majflt), err
}

// memoryFile is a sealed file that lies in memory, and what it keeps, mapped.
type memoryFile struct {
	f     *os.File
	page  int    // bytes
	parts []part // of it that are mapped
	all   []byte
}

func (k *linux) store(content []byte, parts []part) (_ stored, err error) {
	f, err := newMemoryFile()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if err := k.fill(f, content); err != nil {
		return nil, err
	}
	const seals = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_SEAL
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	if !k.scans { // the map of pages does not tell the page of zeros from one's own
		parts = []part{{0, len(content) / k.page}}
	}
	m := &memoryFile{f: f, page: k.page, parts: parts}
	if err := m.show(len(content)); err != nil {
		return nil, err
	}
	return m, nil
}

// show maps it where it can be read.
func (m *memoryFile) show(size int) error {
	all, err := unix.Mmap(-1, 0, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return err
	}
	if err := m.lay(all, unix.PROT_READ); err != nil {
		return errors.Join(err, unix.Munmap(all))
	}
	m.all = all
	return nil
}

// newMemoryFile makes an empty one. Kernels before 6.3 do not know that it is not to
// be run, later ones may insist on being told.
func newMemoryFile() (*os.File, error) {
	const name = "postern-image"
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_NOEXEC_SEAL)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// fill writes content; pages of zeros stay holes, which take no memory until they are
// mapped and touched.
func (k *linux) fill(f *os.File, content []byte) error {
	if err := f.Truncate(int64(len(content))); err != nil {
		return err
	}
	zeros := make([]byte, k.page)
	for at := 0; at < len(content); at += k.page {
		page := content[at : at+k.page]
		if bytes.Equal(page, zeros) {
			continue
		}
		if _, err := f.WriteAt(page, int64(at)); err != nil {
			return err
		}
	}
	return nil
}

func (m *memoryFile) view() []byte { return m.all }

func (m *memoryFile) close() error {
	return errors.Join(unix.Munmap(m.all), m.f.Close())
}

func (m *memoryFile) cover(memory []byte) error {
	// Its own pages go, also those that nothing is laid over.
	if err := unix.Madvise(memory, unix.MADV_DONTNEED); err != nil {
		return err
	}
	if err := m.lay(memory, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return err
	}
	// One byte written must not make megabytes private, which each reset would clear, and
	// whose finding can take the kernel milliseconds. EINVAL: it never does.
	if err := unix.Madvise(memory, unix.MADV_NOHUGEPAGE); err != nil && !errors.Is(err, unix.EINVAL) {
		return err
	}
	return nil
}

// lay maps its parts over memory that is zero. Private, also what is only read: before
// Linux 6.7 what is sealed can't be mapped as shared.
func (m *memoryFile) lay(memory []byte, protection int) error {
	const flags = unix.MAP_PRIVATE | unix.MAP_FIXED | unix.MAP_NORESERVE
	for _, p := range m.parts {
		from := p.first * m.page
		_, err := unix.MmapPtr(int(m.f.Fd()), int64(from), unsafe.Pointer(unsafe.SliceData(memory[from:])), uintptr(p.size()*m.page), protection, flags)
		if err != nil {
			return err
		}
	}
	return nil
}
