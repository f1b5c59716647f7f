package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Records are protobuf wire format behind one version byte. A reader skips
// field numbers it does not know, so fields may be added; a change of meaning
// needs a new version. Zero values are not written.

const recordVersion = 1

var errRecord = errors.New("damaged record")

// encoder appends fields of one record.
type encoder struct{ b []byte }

func newRecord(room int) *encoder {
	return &encoder{b: append(make([]byte, 0, room), recordVersion)}
}

func (e *encoder) uint(n protowire.Number, v uint64) {
	if v != 0 {
		e.b = protowire.AppendTag(e.b, n, protowire.VarintType)
		e.b = protowire.AppendVarint(e.b, v)
	}
}

func (e *encoder) int(n protowire.Number, v int64) { e.uint(n, protowire.EncodeZigZag(v)) }

func (e *encoder) bool(n protowire.Number, v bool) { e.uint(n, protowire.EncodeBool(v)) }

func (e *encoder) bytes(n protowire.Number, v []byte) {
	if len(v) > 0 {
		e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
		e.b = protowire.AppendBytes(e.b, v)
	}
}

func (e *encoder) text(n protowire.Number, v string) {
	if v != "" {
		e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
		e.b = protowire.AppendString(e.b, v)
	}
}

func (e *encoder) texts(n protowire.Number, list []string) {
	for _, v := range list { // an empty element is written: it has a place in the list
		e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
		e.b = protowire.AppendString(e.b, v)
	}
}

// time keeps milliseconds; the zero time is absent.
func (e *encoder) time(n protowire.Number, t time.Time) {
	if !t.IsZero() {
		e.int(n, t.UnixMilli())
	}
}

func (e *encoder) id(n protowire.Number, id [16]byte) {
	if id != ([16]byte{}) {
		e.bytes(n, id[:])
	}
}

// message appends a nested record, which has no version byte of its own.
func (e *encoder) message(n protowire.Number, fill func(*encoder)) {
	e.b = protowire.AppendTag(e.b, n, protowire.BytesType)
	at := len(e.b)
	e.b = append(e.b, 0) // its length, of which most need one byte
	fill(e)
	size := len(e.b) - at - 1
	if more := protowire.SizeVarint(uint64(size)) - 1; more > 0 {
		e.b = slices.Insert(e.b, at, make([]byte, more)...)
	}
	protowire.AppendVarint(e.b[:at], uint64(size))
}

// field is one field as read.
type field struct {
	n protowire.Number
	v uint64
	b []byte
}

func (f field) int() int64   { return protowire.DecodeZigZag(f.v) }
func (f field) bool() bool   { return f.v != 0 }
func (f field) text() string { return string(f.b) }

func (f field) time() time.Time { return time.UnixMilli(f.int()).UTC() }

func (f field) id() (id [16]byte) {
	copy(id[:], f.b)
	return id
}

func (f field) clone() []byte { return append([]byte(nil), f.b...) }

// readRecord calls fn for each field of a record. what names it in errors.
func readRecord(what string, b []byte, fn func(field) error) error {
	if len(b) == 0 {
		return fmt.Errorf("%w: %s is empty", errRecord, what)
	}
	if b[0] != recordVersion {
		return fmt.Errorf("%w: %s has version %d; this build reads %d", errRecord, what, b[0], recordVersion)
	}
	if err := readFields(b[1:], fn); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func readFields(b []byte, fn func(field) error) error {
	for len(b) > 0 {
		n, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return errRecord
		}
		b = b[size:]
		f := field{n: n}
		switch typ {
		case protowire.VarintType:
			f.v, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.b, size = protowire.ConsumeBytes(b)
		default:
			size = protowire.ConsumeFieldValue(n, typ, b)
		}
		if size < 0 {
			return errRecord
		}
		b = b[size:]
		if err := fn(f); err != nil {
			return err
		}
	}
	return nil
}
