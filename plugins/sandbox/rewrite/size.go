package rewrite

// table reads the size of one. Tables are outside of an instance's memory, which is
// bounded elsewhere, and can't grow.
func (m *module) table(r *reader) error {
	at := r.at
	of, err := r.refType()
	if err != nil {
		return err
	}
	least, most, err := limits(r, "table", 1<<32-1)
	if err == nil && (int64(least) > 2*m.cfg.Limits.Functions/maxTables && len(m.tables) > 0 || int64(least) > 2*m.cfg.Limits.Functions) {
		err = &FaultError{What: "a table is too large", Offset: at}
	}
	if err == nil && least > most {
		err = &FaultError{What: "a table is larger than it may become", Offset: at}
	}
	m.tables = append(m.tables, of)
	return err
}

// limits reads how large something is and may become; the largest, if it does not say.
func limits(r *reader, what string, largest uint32) (least, most uint32, err error) {
	flags, err := r.byte()
	if err == nil && flags > 1 {
		r.at--
		err = r.fault("the module has a " + what + " of a later version: shared or 64-bit ones are not supported")
	}
	if err != nil {
		return 0, 0, err
	}
	if least, err = r.u32(); err != nil {
		return 0, 0, err
	}
	if flags == 0 {
		return least, largest, nil
	}
	most, err = r.u32()
	return least, most, err
}

// memory reads the size of the one there is.
func (m *module) memory(r *reader) error {
	at := r.at
	least, most, err := limits(r, "memory", 1<<16)
	if err != nil {
		return err
	}
	fault := func(what string) error { return &FaultError{What: what, Offset: at} }
	bound := uint32(min(m.cfg.Limits.MemoryBytes/PageBytes, 1<<16))
	switch {
	case most > 1<<16:
		return fault("the memory may become larger than 4 GiB")
	case least > bound:
		return fault("the memory is too large")
	case least > most:
		return fault("the memory is larger than it may become")
	}
	m.memories++
	m.pages.min, m.pages.max = least, min(most, bound)
	m.info.MinBytes, m.info.MaxBytes = int64(least)*PageBytes, int64(m.pages.max)*PageBytes
	return nil
}
