package rewrite

import "encoding/binary"

// plan is how a function is written.
//
// A function that calls others keeps in a local what Depth is to them, and sets it
// before each call: so nothing has to be put back on any way out. One with a loop that
// calls nobody keeps Fuel in a local, since a loop can be so small that memory is what
// it would wait for; it becomes a block, so that every way out leads behind it, where
// Fuel is set again.
type plan struct {
	frames, tight bool   // whether its frames count, and Fuel is in a local
	fuel, depth   uint32 // the locals
	size          int64  // of a frame
}

// plan decides.
func (b *body) plan() (p plan) {
	next := uint32(len(b.locals))
	if p.tight = b.tight; p.tight {
		p.fuel = next
		next++
	}
	if p.frames = b.calls > 0 && b.m.cfg.Limits.StackBytes > 0; p.frames {
		p.depth, p.size = next, b.frameSize()
	}
	return p
}

// emit writes what was walked through.
func (b *body) emit(out, code []byte) []byte {
	b.settle()
	p := b.plan()
	out = b.head(out, &p)
	from := 0
	for _, e := range b.edits {
		out = append(out, code[from:e.at]...)
		from = e.end
		switch e.kind {
		case editPay:
			out = b.pays(out, &p, &b.regions[e.n])
		case editIndex:
			out = indexed(out, code[e.at], e.n)
		case editImport: // it may say how much was used
			out = indexed(b.save(out, &p, false), opCall, e.n)
		case editCall:
			out = b.load(indexed(b.save(out, &p, p.frames), opCall, e.n), &p)
		case editIndirect:
			out = b.load(append(b.save(out, &p, p.frames), code[e.at:e.end]...), &p)
		case editHelper:
			out = b.load(indexed(b.save(out, &p, false), opCall, uint32(len(b.m.functions)+1)+e.n), &p)
		case editReturn:
			if p.tight {
				out = indexed(out, opBr, e.n)
			} else {
				out = append(out, opReturn)
			}
		}
	}
	out = append(out, code[from:]...)
	if p.tight {
		out = append(b.save(out, &p, false), opEnd)
	}
	return out
}

// head is what comes before a function's own instructions.
func (b *body) head(out []byte, p *plan) []byte {
	added := uint32(0)
	if p.tight || p.frames {
		added = 1
	}
	out = append(binary.AppendUvarint(out, uint64(b.groups+added)), b.declared...)
	switch {
	case p.tight && p.frames:
		out = append(out, 2, i32)
	case added > 0:
		out = append(out, 1, i32)
	}
	fuel := b.m.fuel()
	if out = less(out, fuel, b.regions[0].cost); p.tight {
		out = indexed(out, opLocalTee, p.fuel)
	} else {
		out = indexed(indexed(out, opGlobalSet, fuel), opGlobalGet, fuel)
	}
	if p.frames {
		out = indexed(less(out, b.m.depth(), p.size), opLocalTee, p.depth)
		out = append(out, opI32Or) // negative if either is
	}
	b.m.info.Checks++
	if out = b.asks(out, p, p.frames); p.tight {
		out = b.m.blockType(append(out, opBlock), b.of.out)
	}
	return out
}

// asks is ask, with what is in locals where Tick sees it.
func (b *body) asks(out []byte, p *plan, depth bool) []byte {
	out = b.save(append(out, opI32Const, 0, opI32LtS, opIf, emptyBlock), p, depth)
	return append(b.load(indexed(out, opCall, b.m.tick()), p), opEnd)
}

// save puts what is in locals where others find it.
func (b *body) save(out []byte, p *plan, depth bool) []byte {
	if p.tight {
		out = indexed(get(out, p.fuel), opGlobalSet, b.m.fuel())
	}
	if depth {
		out = indexed(get(out, p.depth), opGlobalSet, b.m.depth())
	}
	return out
}

// load takes into a local what others left.
func (b *body) load(out []byte, p *plan) []byte {
	if p.tight {
		out = set(indexed(out, opGlobalGet, b.m.fuel()), p.fuel)
	}
	return out
}

// pays takes fuel for a region; a check then asks for more.
func (b *body) pays(out []byte, p *plan, r *region) []byte {
	if r.cost == 0 || r.elsewhere {
		return out
	}
	if r.check {
		b.m.info.Checks++
	} else {
		b.m.info.Charges++
	}
	if !p.tight {
		if out = less(out, b.m.fuel(), r.cost); r.check {
			out = indexed(indexed(out, opGlobalSet, b.m.fuel()), opGlobalGet, b.m.fuel())
			return b.asks(out, p, false)
		}
		return indexed(out, opGlobalSet, b.m.fuel())
	}
	out = minus(get(out, p.fuel), r.cost)
	if r.check {
		return b.asks(indexed(out, opLocalTee, p.fuel), p, false)
	}
	return set(out, p.fuel)
}

// frameSize guesses what one call of the function takes of the stack, in bytes: what
// an engine keeps of each local and operand when it has no register for it. It may keep
// several values of one local at places of their own, at most one for each instruction
// and for each value that blocks join: a share of those, so that however a function is
// written, its real frames are no more than hiddenShare times as large.
func (b *body) frameSize() int64 {
	slots := int64(len(b.locals)+b.most) + (b.instructions+b.work)/hiddenShare
	for _, t := range b.locals {
		if t == v128 {
			slots++
		}
	}
	lim := &b.m.cfg.Limits
	return max(frameBytes+slots*slotBytes, lim.StackBytes/lim.Frames)
}

const (
	slotBytes   = 8
	frameBytes  = 48 // where to return to, and registers that are kept
	hiddenShare = 32
)

// bodies reads and writes all functions.
func (m *module) bodies(r *reader) error {
	n, err := r.count(m.cfg.Limits.Functions, "functions")
	if err == nil && int(n) != len(m.functions)-len(m.imported) {
		err = r.fault("there are other functions than announced")
	}
	out := make([]byte, 0, len(r.b)+len(r.b)/2)
	b, left := &body{m: m}, m.cfg.Limits.ModuleBytes // a byte for each local is what a compiler needs at least
	var code []byte
	for i := uint32(0); i < n && err == nil; i++ {
		at := r.at
		if b.r, err = r.take(); err != nil {
			return err
		}
		if int64(len(b.r.b)) > m.cfg.Limits.FunctionBytes {
			return &FaultError{What: "a function is too large", Offset: at}
		}
		b.of = m.types[m.functions[len(m.imported)+int(i)]]
		if err = b.declare(&left, at); err != nil {
			return err
		}
		instructions := b.r.b
		b.from = b.r.at
		if err = b.walk(); err == nil {
			m.info.Wide = max(m.info.Wide, len(b.locals)+b.most)
			code = b.emit(code[:0], instructions)
			out = append(binary.AppendUvarint(out, uint64(len(code))), code...)
		}
		if err == nil && int64(len(out)) > 2*m.cfg.Limits.ModuleBytes {
			err = &FaultError{What: "the module is too large with what is put into it", Offset: at}
		}
	}
	m.info.Functions = len(m.functions) - len(m.imported)
	m.out.code = out
	return err
}

// declare reads the locals of a function, and takes them from those of the module.
func (b *body) declare(left *int64, at int) error {
	b.locals = append(b.locals[:0], b.of.in...)
	groups, err := b.r.u32()
	b.groups, b.declared = groups, b.r.b
	for mine := int64(0); groups > 0 && err == nil; groups-- {
		var n uint32
		var of byte
		if n, err = b.r.u32(); err != nil {
			return err
		}
		if of, err = b.r.valueType(); err != nil {
			return err
		}
		if mine += int64(n); mine > b.m.cfg.Limits.Locals {
			return &FaultError{What: "a function has too many locals", Offset: at}
		}
		if *left -= int64(n); *left < 0 {
			return &FaultError{What: "the functions have too many locals", Offset: at}
		}
		for range n {
			b.locals = append(b.locals, of)
		}
	}
	b.declared = b.declared[:len(b.declared)-len(b.r.b)]
	return err
}
