package mailauth

import (
	"bytes"
	"crypto/sha256"
	"hash"
)

// bodyHash hashes a body in one of the two forms of RFC 6376 section 3.4, while it
// passes. Blank lines are counted and not kept, so that it needs no more memory for a
// body of nothing else. A lone LF ends a line too; a lone CR is a character.
type bodyHash struct {
	relaxed bool
	sum     hash.Hash
	buf     []byte
	lines   int  // ends of lines that are written only if something follows
	space   bool // white space before what follows; relaxed only
	cr      bool // the last byte was CR
	written bool
}

func newBodyHash(relaxed bool) *bodyHash {
	return &bodyHash{relaxed: relaxed, sum: sha256.New(), buf: make([]byte, 0, 4096)}
}

// Write takes the next bytes of the body. It never fails.
func (h *bodyHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		if h.cr {
			h.cr = false
			if p[0] != '\n' {
				h.wait()
				h.put('\r')
			}
		}
		switch c := p[0]; {
		case c == '\r' && len(p) > 1 && p[1] == '\n':
			h.space = false
			h.lines++
			p = p[2:]
			continue
		case c == '\r':
			h.cr = true
		case c == '\n':
			h.space = false
			h.lines++
		case h.relaxed && (c == ' ' || c == '\t'):
			h.space = true
		default:
			i := 1
			for i < len(p) && (p[i] > ' ' || !h.special(p[i])) {
				i++
			}
			h.wait()
			h.text(p[:i])
			p = p[i:]
			continue
		}
		p = p[1:]
	}
	return n, nil
}

func (h *bodyHash) special(c byte) bool {
	return c == '\r' || c == '\n' || h.relaxed && (c == ' ' || c == '\t')
}

// wait writes what was waiting for something to follow.
func (h *bodyHash) wait() {
	for ; h.lines > 0; h.lines-- {
		h.put('\r')
		h.put('\n')
	}
	if h.space {
		h.space = false
		h.put(' ')
	}
	h.written = true
}

func (h *bodyHash) put(c byte) {
	if len(h.buf) == cap(h.buf) {
		h.flush()
	}
	h.buf = append(h.buf, c)
}

func (h *bodyHash) text(p []byte) {
	if len(h.buf)+len(p) > cap(h.buf) {
		h.flush()
	}
	if len(p) > cap(h.buf) {
		_, _ = h.sum.Write(p) // a hash takes anything
		return
	}
	h.buf = append(h.buf, p...)
}

func (h *bodyHash) flush() {
	_, _ = h.sum.Write(h.buf)
	h.buf = h.buf[:0]
}

// Sum ends the body: with one end of a line, but none in the relaxed form of nothing.
func (h *bodyHash) Sum() []byte {
	if h.cr {
		h.wait()
		h.put('\r')
	}
	if h.written || !h.relaxed {
		h.put('\r')
		h.put('\n')
	}
	h.flush()
	return h.sum.Sum(nil)
}

// canonicalField is a header field in one of the two forms, RFC 6376 section 3.4.
func canonicalField(dst, raw []byte, relaxed bool) []byte {
	if !relaxed {
		for line := range bytes.Lines(raw) {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			dst = append(append(dst, line...), "\r\n"...)
		}
		return dst
	}
	name, value, _ := bytes.Cut(raw, []byte(":"))
	for _, c := range bytes.TrimRight(name, " \t\r\n") {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	dst = append(dst, ':')
	space := false
	start := len(dst)
	for _, c := range value {
		switch c {
		case ' ', '\t', '\r', '\n':
			space = len(dst) > start
		default:
			if space {
				dst = append(dst, ' ')
				space = false
			}
			dst = append(dst, c)
		}
	}
	return append(dst, "\r\n"...)
}

// picker gives the fields that a signature names, RFC 6376 section 5.4.2: of several
// with one name the lowest first, and none once they are used up.
type picker map[string][]field

func newPicker(fields []field) picker {
	p := make(picker, len(fields))
	for _, f := range fields {
		if f.name != "" {
			name := lower(f.name)
			p[name] = append(p[name], f)
		}
	}
	return p
}

// canonical is all that a signature covers of a header, apart from itself.
func (p picker) canonical(names []string, relaxed bool) []byte {
	used := make(map[string]int, len(names))
	var out []byte
	for _, n := range names {
		n = lower(n)
		all := p[n]
		if used[n]++; used[n] <= len(all) {
			out = canonicalField(out, all[len(all)-used[n]].raw, relaxed)
		}
	}
	return out
}
