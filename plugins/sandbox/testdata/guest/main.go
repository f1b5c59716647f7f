// Guest is what a plugin of standard Go does, without the SDK: header look-ups, JSON,
// and what goes wrong.
package main

import (
	"encoding/json"
	"unsafe"
)

//go:wasmimport postern_v1 header
func header(name unsafe.Pointer, nameLen uint32, index int32, dst unsafe.Pointer, dstLen uint32) int32

//go:wasmimport postern_v1 event
func event(dst unsafe.Pointer, dstLen uint32) int32

//go:wasmimport postern_v1 verdict
func verdict(doc unsafe.Pointer, docLen uint32) int32

var (
	field = []byte("List-Unsubscribe")
	value [256]byte
	doc   [8 << 10]byte
)

// inbound asks for three header fields.
//
//go:wasmexport postern_inbound
func inbound() int32 {
	found := int32(0)
	for i := range int32(3) {
		n := header(unsafe.Pointer(&field[0]), uint32(len(field)), i, unsafe.Pointer(&value[0]), uint32(len(value)))
		if n >= 0 {
			found += n
		}
	}
	return found & 0 // it was looked at
}

// outbound decodes the whole event.
//
//go:wasmexport postern_outbound
func outbound() int32 {
	n := event(unsafe.Pointer(&doc[0]), uint32(len(doc)))
	var v map[string]any
	if json.Unmarshal(doc[:n], &v) != nil || v["v"] == nil {
		return 1
	}
	said := []byte(`{"reason":"`)
	for name := range v { // in an order that random numbers decide
		said = append(said, name...)
	}
	said = append(said, `"}`...)
	return verdict(unsafe.Pointer(&said[0]), uint32(len(said)))
}

var held [][]byte

// thread allocates without end.
//
//go:wasmexport postern_thread
func thread() int32 {
	for {
		held = append(held, make([]byte, 1<<20))
	}
}

func main() {}
