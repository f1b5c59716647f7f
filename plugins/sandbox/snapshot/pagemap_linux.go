package snapshot

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of a page in the map of pages.
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageOfFile  = 1 << 61 // or shared; clear for one that is private
)

// The same as categories of pages, for PAGEMAP_SCAN. Source: linux/fs.h, and "Examining
// Process Page Tables" in the kernel's administration guide.
const (
	scanFile    = 1 << 2
	scanPresent = 1 << 3
	scanSwapped = 1 << 4
	scanZero    = 1 << 5 // the page of zeros that all share

	pagemapScan = 3<<30 | unsafe.Sizeof(scanArg{})<<16 | 'f'<<8 | 16 // _IOWR('f', 16, struct pm_scan_arg)
)

// scanArg is what is asked for: struct pm_scan_arg.
type scanArg struct {
	size, flags, start, end, walkEnd, vec, vecLen, maxPages uint64
	inverted, mask, anyOf, returned                         uint64
}

// private asks the kernel for the pages of a memory that are private, or reads the map of
// all of them where it does not tell: before Linux 6.7. That one shows the page of zeros as
// private, so there all of an image lies in its file.
func (k *linux) private(memory []byte, t *tracker) error {
	if k.scans {
		return k.scan(memory, t)
	}
	return k.readMap(memory, t)
}

// scan costs a tenth of what readMap costs: the kernel leaves out what is not private.
func (k *linux) scan(memory []byte, t *tracker) error {
	from := uint64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))
	arg := scanArg{
		start: from, end: from + uint64(len(memory)), vec: uint64(uintptr(unsafe.Pointer(&t.found))), vecLen: uint64(len(t.found)),
		inverted: scanFile | scanZero, mask: scanFile | scanZero, anyOf: scanPresent | scanSwapped,
	}
	arg.size = uint64(unsafe.Sizeof(arg))
	for arg.start < arg.end {
		n, _, errno := unix.Syscall(unix.SYS_IOCTL, k.pagemap.Fd(), pagemapScan, uintptr(unsafe.Pointer(&arg)))
		if errno != 0 {
			return errno
		}
		for _, r := range t.found[:n] {
			for page := r.start; page < r.end; page += uint64(k.page) {
				t.add(int(page-from) / k.page)
			}
		}
		if arg.walkEnd <= arg.start {
			return unix.EINVAL
		}
		arg.start = arg.walkEnd
	}
	return nil
}

func (k *linux) readMap(memory []byte, t *tracker) error {
	const entry = 8 // bytes
	first, pages := int64(uintptr(unsafe.Pointer(unsafe.SliceData(memory))))/int64(k.page), len(memory)/k.page
	for page := 0; page < pages; {
		buf := t.buf[:min(len(t.buf), (pages-page)*entry)]
		if _, err := k.pagemap.ReadAt(buf, (first+int64(page))*entry); err != nil {
			return err
		}
		for ; len(buf) > 0; buf = buf[entry:] {
			flags := binary.LittleEndian.Uint64(buf)
			if flags&(pagePresent|pageSwapped) != 0 && flags&pageOfFile == 0 {
				t.add(page)
			}
			page++
		}
	}
	return nil
}
