package rewrite

import (
	"encoding/binary"
	"strconv"
)

// global reads one variable and what it begins with.
func (m *module) global(r *reader) error {
	at := r.at
	of, err := r.valueType()
	if err != nil {
		return err
	}
	mutable, err := r.byte()
	if err == nil && mutable > 1 {
		r.at--
		err = r.fault("the module has a global of a later version")
	}
	if err == nil && mutable == 1 && (of == v128 || isRef(of)) {
		err = &FaultError{What: "a global that can change may not be of type " + typeNames[of] + ": it could not be put back after a call", Offset: at}
	}
	if err != nil {
		return err
	}
	if mutable == 1 {
		m.info.Globals = append(m.info.Globals, globals+strconv.Itoa(len(m.globals)))
		m.changing++
	}
	m.globals = append(m.globals, global{of, mutable == 1})
	m.out.globals, err = m.constant(r, append(m.out.globals, of, mutable), of)
	return err
}

// constant reads an expression of a type, appends it to out, and says so. No global
// can stand in it: those that could are imported.
func (m *module) constant(r *reader, out []byte, want byte) ([]byte, error) {
	at, whole, changed := r.at, r.b, []byte(nil)
	op, err := r.byte()
	if err != nil {
		return out, err
	}
	var got byte
	if op == opRefFunc {
		var f uint32
		got = funcRef
		if f, err = m.functionOf(r); err == nil {
			m.declared[f] = true
			changed = append(indexed(nil, op, m.byValue(f)), opEnd)
		}
	} else {
		got, err = constantType(r, op, at)
	}
	if err != nil {
		return out, err
	}
	if got != want {
		return out, &FaultError{What: "an expression is of type " + typeNames[got] + ", not " + typeNames[want], Offset: at}
	}
	end, err := r.byte()
	if err == nil && end != opEnd {
		r.at--
		err = r.fault("an expression is not constant")
	}
	if changed == nil {
		changed = whole[:len(whole)-len(r.b)]
	}
	return append(out, changed...), err
}

// constantType reads what stands behind an instruction that is constant.
func constantType(r *reader, op byte, at int) (got byte, err error) {
	switch op {
	case opI32Const:
		_, err = r.signed(32)
		return i32, err
	case opI64Const:
		_, err = r.signed(64)
		return i64, err
	case opF32Const:
		return f32, r.pass(4)
	case opF64Const:
		return f64, r.pass(8)
	case opRefNull:
		return r.refType()
	case opVector:
		sub, err := r.byte()
		if err != nil {
			return 0, err
		}
		if sub == vectorConst {
			return v128, r.pass(16)
		}
	}
	return 0, &FaultError{What: "an expression is not constant", Offset: at}
}

// elements reads one segment of a table, and takes what it holds from entries.
func (m *module) elements(r *reader, entries *int64) error {
	at, out := r.at, m.out.elements
	form, err := r.u32()
	if err == nil && form > 7 {
		err = &FaultError{What: "the module has an element segment of a later version", Offset: at}
	}
	if err != nil {
		return err
	}
	out = binary.AppendUvarint(out, uint64(form))
	expressions, to := form&4 != 0, uint32(0)
	active := form&1 == 0
	if active {
		if form&2 != 0 { // of another table than the first
			if to, err = r.u32(); err != nil {
				return err
			}
			out = binary.AppendUvarint(out, uint64(to))
		}
		if int(to) >= len(m.tables) {
			return &FaultError{What: "there is no such table", Offset: at}
		}
		if out, err = m.constant(r, out, i32); err != nil {
			return err
		}
	}
	of := funcRef
	if form&3 != 0 { // the type, in one of two forms
		if of, err = m.elementType(r, expressions); err != nil {
			return err
		}
		if out = append(out, 0); expressions {
			out[len(out)-1] = of
		}
	}
	if active && m.tables[to] != of {
		return &FaultError{What: "an element segment is of another type than its table", Offset: at}
	}
	m.out.elements, err = m.entries(r, out, entries, expressions, of)
	return err
}

func (m *module) elementType(r *reader, expressions bool) (byte, error) {
	if expressions {
		return r.refType()
	}
	kind, err := r.byte()
	if err == nil && kind != 0 {
		r.at--
		err = r.fault("the module has an element segment of a later version")
	}
	return funcRef, err
}

// entries reads what a segment holds.
func (m *module) entries(r *reader, out []byte, left *int64, expressions bool, of byte) ([]byte, error) {
	n, err := r.count(*left, "functions in tables")
	*left -= int64(n)
	out = binary.AppendUvarint(out, uint64(n))
	for i := uint32(0); i < n && err == nil; i++ {
		if expressions {
			out, err = m.constant(r, out, of)
			continue
		}
		var f uint32
		if f, err = m.functionOf(r); err == nil {
			m.declared[f] = true
			out = binary.AppendUvarint(out, uint64(m.byValue(f)))
		}
	}
	return out, err
}

// segment reads one segment of memory.
func (m *module) segment(r *reader) error {
	at := r.at
	form, err := r.u32()
	if err == nil && form > 2 {
		err = &FaultError{What: "the module has a data segment of a later version", Offset: at}
	}
	if err == nil && form == 2 { // it names the memory
		var of uint32
		if of, err = r.u32(); err == nil && of != 0 {
			err = &FaultError{What: "there is no such memory", Offset: at}
		}
	}
	d := data{passive: form == 1}
	if err == nil && !d.passive {
		if m.memories == 0 {
			return &FaultError{What: "there is no memory for data", Offset: at}
		}
		var where []byte
		if where, err = m.constant(r, nil, i32); err == nil { // of type i32 there is i32.const alone
			v, _ := (&reader{b: where[1:]}).signed(32) // it was read before
			d.at = uint32(v)
		}
	}
	if err != nil {
		return err
	}
	in, err := r.take()
	d.init = in.b
	m.data = append(m.data, d)
	return err
}

// countData reads how many segments the code may refer to.
func (m *module) countData(r *reader) error {
	at := r.at
	n, err := r.u32()
	m.counted = true
	there := uint32(0)
	if s := m.by[sectionData]; err == nil && s != nil {
		in := s.in
		there, err = in.u32()
	}
	if err == nil && n != there {
		err = &FaultError{What: "the number of data segments is another than announced", Offset: at}
	}
	return err
}
