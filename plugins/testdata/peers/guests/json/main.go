// Json is the rule as a plugin of Postern that decodes the whole event, as those of
// Extism do.
package main

import (
	"unsafe"

	"plugin-peers/rule"
)

//go:wasmimport postern_v1 event
func event(dst unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 verdict
func verdict(doc unsafe.Pointer, size uint32) int32

// ready says that calls may start with the heap, and the decoder's knowledge of types, that
// calls about a sample left.
//
//go:wasmexport postern_init
func ready() int32 {
	rule.Reset()
	return 0
}

//go:wasmexport postern_inbound
func inbound() int32 {
	doc := make([]byte, 8<<10)
	n := int(event(unsafe.Pointer(&doc[0]), uint32(len(doc))))
	if n > len(doc) {
		return 1
	}
	said, err := rule.FromEvent(doc[:n])
	if err != nil {
		return 2
	}
	return verdict(unsafe.Pointer(&said[0]), uint32(len(said)))
}

func main() {}
