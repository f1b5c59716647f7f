package store

import (
	"encoding/binary"

	"github.com/centerleap/postern/gateway"
)

// follows is how far a subscription has come, and what it must never lose.
type follows struct {
	gateway.Cursor
	Off     bool   // it is not told for now; what waits stays
	Failed  uint64 // the number of its last failure
	Webhook bool   // it is one, and no plugin
}

func encodePosition(e *encoder, p gateway.Position) {
	e.uint(1, p.Sequence)
	e.uint(2, uint64(p.Part))
}

func decodePosition(b []byte) (p gateway.Position, err error) {
	err = readFields(b, func(f field) error {
		switch f.n {
		case 1:
			p.Sequence = f.v
		case 2:
			p.Part = uint32(f.v)
		}
		return nil
	})
	return p, err
}

func encodeFollows(v *follows) []byte {
	e := newRecord(32 + 16*len(v.Done))
	e.message(1, func(e *encoder) { encodePosition(e, v.Next) })
	for _, p := range v.Done {
		e.message(2, func(e *encoder) { encodePosition(e, p) })
	}
	e.uint(3, uint64(v.Waiting))
	e.bool(4, v.Off)
	e.uint(5, v.Failed)
	e.bool(6, v.Webhook)
	return e.b
}

func decodeFollows(b []byte) (*follows, error) {
	v := &follows{}
	err := readRecord("subscription", b, func(f field) (err error) {
		switch f.n {
		case 1:
			v.Next, err = decodePosition(f.b)
		case 2:
			var p gateway.Position
			p, err = decodePosition(f.b)
			v.Done = append(v.Done, p)
		case 3:
			v.Waiting = int(f.v)
		case 4:
			v.Off = f.bool()
		case 5:
			v.Failed = f.v
		case 6:
			v.Webhook = f.bool()
		}
		return err
	})
	return v, err
}

func encodeWaiting(w *gateway.Waiting) []byte {
	e := newRecord(128 + len(w.Error))
	e.bytes(1, encodeEvent(&w.Event))
	e.int(2, int64(w.Attempts))
	e.text(3, w.Error)
	return e.b
}

// decodeWaiting reads a row and the end of its key: its time, its sequence and its part.
func decodeWaiting(d gateway.DomainID, k, b []byte) (w gateway.Waiting, err error) {
	at := k[len(k)-20:]
	w.Due, w.Sequence, w.Part = fromMS(at), binary.BigEndian.Uint64(at[8:]), binary.BigEndian.Uint32(at[16:])
	err = readRecord("waiting event", b, func(f field) (err error) {
		switch f.n {
		case 1:
			w.Event, err = decodeEvent(d, w.Sequence, f.b)
		case 2:
			w.Attempts = int(f.int())
		case 3:
			w.Error = f.text()
		}
		return err
	})
	return w, err
}

func encodeFailure(v *gateway.Failure) []byte {
	e := newRecord(128 + len(v.Error))
	e.message(1, func(e *encoder) { encodePosition(e, v.Position) })
	e.bytes(2, encodeEvent(&v.Event))
	e.int(3, int64(v.Attempts))
	e.text(4, v.Error)
	e.time(5, v.At)
	return e.b
}

func decodeFailure(d gateway.DomainID, n uint64, b []byte) (*gateway.Failure, error) {
	v := &gateway.Failure{Sequence: n}
	err := readRecord("failure", b, func(f field) (err error) {
		switch f.n {
		case 1:
			v.Position, err = decodePosition(f.b)
		case 2:
			v.Event, err = decodeEvent(d, v.Position.Sequence, f.b)
		case 3:
			v.Attempts = int(f.int())
		case 4:
			v.Error = f.text()
		case 5:
			v.At = f.time()
		}
		return err
	})
	return v, err
}
