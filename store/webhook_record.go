package store

import (
	"encoding/binary"
	"time"

	"github.com/centerleap/postern/gateway"
)

func encodeWebhook(w *gateway.Webhook) []byte {
	e := newRecord(192)
	e.uint(1, uint64(w.Account))
	e.text(2, w.Endpoint)
	for _, t := range w.Types {
		e.text(3, string(t))
	}
	e.bool(4, w.Enabled)
	e.text(5, w.Stopped)
	e.text(6, w.Secret.Reveal())
	e.text(7, w.Former.Reveal())
	e.time(8, w.FormerUntil)
	e.time(9, w.FailingSince)
	e.time(10, w.CreatedAt)
	e.time(11, w.UpdatedAt)
	return e.b
}

func decodeWebhook(d gateway.DomainID, id gateway.ID, b []byte) (*gateway.Webhook, error) {
	w := &gateway.Webhook{ID: id, Domain: d}
	err := readRecord("webhook", b, func(f field) error {
		switch f.n {
		case 1:
			w.Account = gateway.AccountID(f.v)
		case 2:
			w.Endpoint = f.text()
		case 3:
			w.Types = append(w.Types, gateway.EventType(f.text()))
		case 4:
			w.Enabled = f.bool()
		case 5:
			w.Stopped = f.text()
		case 6:
			w.Secret = gateway.Secret(f.text())
		case 7:
			w.Former = gateway.Secret(f.text())
		case 8:
			w.FormerUntil = f.time()
		case 9:
			w.FailingSince = f.time()
		case 10:
			w.CreatedAt = f.time()
		case 11:
			w.UpdatedAt = f.time()
		}
		return nil
	})
	return w, err
}

func encodeHeard(v *gateway.WebhookEvent) []byte {
	e := newRecord(256)
	e.bytes(1, encodeEvent(&v.Event))
	e.text(2, string(v.State))
	e.int(3, int64(v.Tried))
	for i := range v.Attempts {
		a := &v.Attempts[i]
		e.message(4, func(e *encoder) {
			e.time(1, a.At)
			e.int(2, a.Took.Microseconds())
			e.int(3, int64(a.Status))
			e.text(4, a.Answer)
			e.text(5, a.Error)
		})
	}
	e.time(5, v.Next)
	return e.b
}

// decodeHeard reads a row and the end of its key: its sequence and its part.
func decodeHeard(d gateway.DomainID, k, b []byte) (*gateway.WebhookEvent, error) {
	v := &gateway.WebhookEvent{}
	at := k[len(k)-12:]
	v.Sequence, v.Part = binary.BigEndian.Uint64(at), binary.BigEndian.Uint32(at[8:])
	err := readRecord("event of a webhook", b, func(f field) (err error) {
		switch f.n {
		case 1:
			v.Event, err = decodeEvent(d, v.Sequence, f.b)
		case 2:
			v.State = gateway.WebhookState(f.text())
		case 3:
			v.Tried = int(f.int())
		case 4:
			var a gateway.WebhookAttempt
			a, err = decodeWebhookAttempt(f.b)
			v.Attempts = append(v.Attempts, a)
		case 5:
			v.Next = f.time()
		}
		return err
	})
	return v, err
}

func decodeWebhookAttempt(b []byte) (a gateway.WebhookAttempt, err error) {
	err = readFields(b, func(f field) error {
		switch f.n {
		case 1:
			a.At = f.time()
		case 2:
			a.Took = time.Duration(f.int()) * time.Microsecond
		case 3:
			a.Status = int(f.int())
		case 4:
			a.Answer = f.text()
		case 5:
			a.Error = f.text()
		}
		return nil
	})
	return a, err
}
