package rewrite

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// FaultError is what is wrong with a module that is refused. Its text is for whoever
// uploaded it.
type FaultError struct {
	What   string
	Offset int // in the module, in bytes; -1 if it is about no place
}

func (f *FaultError) Error() string {
	if f.Offset < 0 {
		return f.What
	}
	return fmt.Sprintf("%s (at byte %d)", f.What, f.Offset)
}

// quoted makes a name of a module fit to be shown.
func quoted(name string) string { return strconv.QuoteToASCII(name[:min(len(name), 100)]) }

// reader takes apart what lies at some place of a module.
type reader struct {
	b  []byte
	at int // of b[0] in the module
}

func (r *reader) fault(what string) error { return &FaultError{What: what, Offset: r.at} }

func (r *reader) early() error { return r.fault("the module ends too early") }

func (r *reader) skip(n int) {
	r.b = r.b[n:]
	r.at += n
}

func (r *reader) byte() (byte, error) {
	if len(r.b) == 0 {
		return 0, r.early()
	}
	v := r.b[0]
	r.skip(1)
	return v, nil
}

// u32 reads an unsigned number in LEB128.
func (r *reader) u32() (uint32, error) {
	if len(r.b) > 0 && r.b[0] < 0x80 { // most are
		v := r.b[0]
		r.skip(1)
		return uint32(v), nil
	}
	v, n := binary.Uvarint(r.b[:min(len(r.b), binary.MaxVarintLen32)])
	if n <= 0 || v > math.MaxUint32 {
		return 0, r.fault("there is no number where one is expected")
	}
	r.skip(n)
	return uint32(v), nil
}

// signed reads a signed number of so many bits in LEB128.
func (r *reader) signed(bits uint) (v int64, err error) {
	most := int(bits+6) / 7
	for i := range min(most, len(r.b)) {
		c := r.b[i]
		v |= int64(c&0x7f) << (7 * i)
		if c >= 0x80 {
			continue
		}
		if left := bits - uint(7*i); left < 7 { // of the last byte only the low bits count; the others are the sign
			if high := int8(c<<1) >> left; high != 0 && high != -1 {
				break
			}
		}
		if shift := 64 - 7*(i+1); shift > 0 {
			v = v << shift >> shift
		}
		r.skip(i + 1)
		return v, nil
	}
	return 0, r.fault("there is no number where one is expected")
}

// count reads how many items follow, at most so many of what is named.
func (r *reader) count(most int64, of string) (uint32, error) {
	at := r.at
	n, err := r.u32()
	if err == nil && int64(n) > most {
		err = &FaultError{What: "the module has too many " + of, Offset: at}
	}
	return n, err
}

// each reads a list, item by item.
func (r *reader) each(most int64, of string, item func() error) error {
	n, err := r.count(most, of)
	for i := uint32(0); i < n && err == nil; i++ {
		err = item()
	}
	return err
}

// pass skips bytes that are not looked at.
func (r *reader) pass(n int) error {
	if len(r.b) < n {
		return r.early()
	}
	r.skip(n)
	return nil
}

// take reads bytes behind their length.
func (r *reader) take() (reader, error) {
	n, err := r.u32()
	if err != nil {
		return reader{}, err
	}
	if uint64(n) > uint64(len(r.b)) {
		return reader{}, r.fault("something is longer than what contains it")
	}
	in := reader{r.b[:n:n], r.at}
	r.skip(int(n))
	return in, nil
}

// name reads a name in UTF-8.
func (r *reader) name() (string, error) {
	at := r.at
	in, err := r.take()
	if err == nil && !utf8.Valid(in.b) {
		err = &FaultError{What: "a name is not UTF-8", Offset: at}
	}
	return string(in.b), err
}

// valueType reads a type of version 2: a number, a vector or a reference.
func (r *reader) valueType() (byte, error) {
	t, err := r.byte()
	if err == nil && !isValueType(t) {
		r.at--
		err = r.fault("the module has a type of a later version")
	}
	return t, err
}

// refType reads the type of a reference.
func (r *reader) refType() (byte, error) {
	t, err := r.byte()
	if err == nil && t != funcRef && t != externRef {
		r.at--
		err = r.fault("the module has a reference of a later version")
	}
	return t, err
}

// names lists what is offered, for people.
func names(of map[string]map[string]Import) string {
	return strings.Join(slices.Sorted(maps.Keys(of)), " and ")
}

// shown is a function's type for people.
func shown(in, out []byte) string {
	list := func(types []byte) string {
		names := make([]string, len(types))
		for i, t := range types {
			names[i] = typeNames[t]
		}
		return "(" + strings.Join(names, ", ") + ")"
	}
	return list(in) + " -> " + list(out)
}
