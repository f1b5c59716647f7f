package store

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/centerleap/postern/gateway"
)

// A structure of many parts takes little room, and comes back as it was; one that is
// damaged is an error.
func TestLongStructure(t *testing.T) {
	c := gateway.Content{TextPart: -1, HTMLPart: -1, HeaderSize: 300}
	for i := range 10_000 {
		c.Parts = append(c.Parts, gateway.Part{Number: fmt.Sprint(i + 1), Type: "image/png", Filename: "logo.png", HeaderAt: int64(500 * i), BodySize: 400})
	}
	for _, n := range []int{0, 1, 300, 10_000} {
		want := c
		want.Parts = c.Parts[:n:n]
		b := encodeStructure(&want)
		if len(b) > 200<<10 || n < 300 && b[0] != recordVersion {
			t.Errorf("%d parts take %d bytes, version %d", n, len(b), b[0])
		}
		var got gateway.Content
		if err := decodeStructure(b, &got); err != nil || got.HeaderSize != 300 || len(got.Parts) != n || n > 0 && !reflect.DeepEqual(got.Parts, want.Parts) {
			t.Errorf("%d parts come back as %d, %v", n, len(got.Parts), err)
		}
		if b[0] != deflated {
			continue
		}
		for _, damaged := range [][]byte{b[:1], b[:len(b)/2], append(b[:len(b)/2:len(b)/2], make([]byte, len(b)/2)...)} {
			if err := decodeStructure(damaged, &got); !errors.Is(err, errRecord) {
				t.Errorf("%d of %d bytes: %v", len(damaged), len(b), err)
			}
		}
	}
}

// What would take too much memory to read is not deflated, and so refused by its length;
// nor is such a record believed.
func TestVastStructure(t *testing.T) {
	c := gateway.Content{TextPart: -1, HTMLPart: -1}
	long := strings.Repeat("x", 100_000)
	for range 100 {
		c.Parts = append(c.Parts, gateway.Part{Type: "image/png", Filename: long})
	}
	if b := encodeStructure(&c); b[0] != recordVersion || len(b) <= inflatedMost {
		t.Errorf("%d bytes of version %d", len(b), b[0])
	}
	bomb := bytes.NewBuffer([]byte{deflated})
	w, err := flate.NewWriter(bomb, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plainStructure(&c)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := decodeStructure(bomb.Bytes(), &c); !errors.Is(err, errRecord) {
		t.Errorf("%d bytes: %v", bomb.Len(), err)
	}
}
