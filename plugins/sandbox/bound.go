package sandbox

import (
	"encoding/binary"
	"math"
	"slices"
)

// check is an empty loop. The engine asks at the head of every loop whether the
// call's time is over, and nowhere else: without one in each function, functions
// that call each other twice would run for as long as they like. It is valid
// wherever an instruction is, and makes nothing valid that was not.
var check = []byte{0x03, 0x40, 0x0b}

// bounded returns what is compiled in place of a module that passed inspection:
// each function begins with a check, each table has a maximum, and what is not run
// is left out. So the same code is compiled once under any manifest.
func bounded(wasm []byte, lim *Limits) ([]byte, error) {
	all, err := sections(wasm)
	if err != nil {
		return nil, err
	}
	out := slices.Clone(preamble)
	for _, s := range all {
		content := s.contents.b
		switch s.id {
		case sectionCustom:
			continue
		case sectionTable:
			content, err = boundedTables(s.contents, lim)
		case sectionCode:
			content, err = checkedCode(s.contents, lim)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s.id)
		out = append(binary.AppendUvarint(out, uint64(len(content))), content...)
	}
	return out, nil
}

// boundedTables gives every table its maximum.
func boundedTables(r reader, lim *Limits) (out []byte, err error) {
	n, err := r.u32()
	out = binary.AppendUvarint(nil, uint64(n))
	for i := uint32(0); i < n && err == nil; i++ {
		var t table
		t, err = r.table(lim)
		out = append(out, t.of, 1) // 1: there is a maximum
		out = binary.AppendUvarint(binary.AppendUvarint(out, uint64(t.min)), uint64(t.max))
	}
	return append(out, r.b...), err // what is left over stays at fault
}

// checkedCode puts a check in front of every function's instructions.
func checkedCode(r reader, lim *Limits) (out []byte, err error) {
	n, err := r.u32()
	out = binary.AppendUvarint(make([]byte, 0, len(r.b)+len(r.b)/4), uint64(n))
	locals := int64(math.MaxInt64) // inspection counted them
	for i := uint32(0); i < n && err == nil; i++ {
		declared, code, fault := r.function(lim, &locals)
		err = fault
		out = binary.AppendUvarint(out, uint64(len(declared)+len(check)+len(code.b)))
		out = append(append(append(out, declared...), check...), code.b...)
	}
	return append(out, r.b...), err
}
