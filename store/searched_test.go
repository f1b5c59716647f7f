package store_test

import (
	"bytes"
	"io"
	"reflect"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// What a search is shown of many messages is what each has, in whatever order they are
// asked for, near together or not, twice or gone; of bodies, those that are not too large.
func TestSearched(t *testing.T) {
	w := newWorld(t)
	_, _ = w.inboxOf(w.ann, 40)
	near := make([]gateway.MessageNumber, 0, 60)
	for n := range 50 {
		near = append(near, gateway.MessageNumber(n*7%50+1))
	}
	near = append(near, 3, 3, 40)
	for _, numbers := range [][]gateway.MessageNumber{near, {1, 1000, 2, 40}, {5}, nil} {
		all, err := w.Messages(w.ctx(), of(w.ann), w.ann.Domain, w.ann.ID, numbers, true)
		w.ok(err)
		for _, whole := range []int64{0, 1, 1 << 20} {
			shown := make([]int, len(numbers))
			w.ok(w.Searched(w.ctx(), of(w.ann), w.ann.Domain, w.ann.ID, numbers, whole, func(i int, m *gateway.Message, body []byte) error {
				shown[i]++
				want := all[i]
				if m.Number != want.Number || m.Blob != want.Blob || !bytes.Equal(m.Prefix, want.Prefix) || m.Content.Subject != want.Content.Subject {
					t.Errorf("message %d of %v is %+v", i, numbers, m)
				}
				if whole > 0 && (m.Content.HeaderSize != want.Content.HeaderSize || !reflect.DeepEqual(m.Content.Parts, want.Content.Parts)) {
					t.Errorf("message %d of %v has %+v", i, numbers, m.Content)
				}
				if read := want.Blob.Size <= whole; read != (body != nil) || read && !bytes.Equal(body, w.bodyOf(want)) {
					t.Errorf("message %d of %v, to %d bytes: a body of %d bytes", i, numbers, whole, len(body))
				}
				return nil
			}))
			for i := range all {
				if there := all[i] != nil; there != (shown[i] == 1) {
					t.Errorf("message %d of %v is shown %d times; there: %v", i, numbers, shown[i], there)
				}
			}
		}
	}
	err := w.Searched(w.ctx(), of(w.eve), w.ann.Domain, w.ann.ID, near, 1<<20, func(int, *gateway.Message, []byte) error { return nil })
	if gateway.KindOf(err) != gateway.NotFound {
		t.Errorf("another account: %v", err)
	}
}

func (w *world) bodyOf(m *gateway.Message) []byte {
	w.Helper()
	r, err := w.OpenBlob(w.ctx(), of(w.ann), m.Blob, 0, -1)
	w.ok(err)
	defer r.Close()
	b, err := io.ReadAll(r)
	w.ok(err)
	return b
}
