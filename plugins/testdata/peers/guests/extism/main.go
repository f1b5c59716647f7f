// Extism is the rule as a plugin of Extism: it is given a document, and gives one back.
// It speaks to the kernel as Extism's Go PDK does, which the module proxy has no copy of:
// eight bytes at a time.
package main

import (
	"encoding/binary"
	"strconv"
	"strings"

	"plugin-peers/rule"
)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoad8(offset uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputLoad64(offset uint64) uint64

//go:wasmimport extism:host/env alloc
func alloc(length uint64) uint64

//go:wasmimport extism:host/env store_u8
func store8(offset uint64, v uint32)

//go:wasmimport extism:host/env store_u64
func store64(offset, v uint64)

//go:wasmimport extism:host/env output_set
func outputSet(offset, length uint64)

func input() []byte {
	b := make([]byte, inputLength())
	i := 0
	for ; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], inputLoad64(uint64(i)))
	}
	for ; i < len(b); i++ {
		b[i] = byte(inputLoad8(uint64(i)))
	}
	return b
}

func output(b []byte) {
	at, i := alloc(uint64(len(b))), 0
	for ; i+8 <= len(b); i += 8 {
		store64(at+uint64(i), binary.LittleEndian.Uint64(b[i:]))
	}
	for ; i < len(b); i++ {
		store8(at+uint64(i), uint32(b[i]))
	}
	outputSet(at, uint64(len(b)))
}

// event is given the whole event, as JSON.
//
//go:wasmexport event
func event() int32 {
	said, err := rule.FromEvent(input())
	if err != nil {
		return 1
	}
	output(said)
	return 0
}

// fields is given the three fields that the rule looks at, a line each, and gives back
// three lines: the least that can cross.
//
//go:wasmexport fields
func fields() int32 {
	lines := strings.Split(string(input()), "\n")
	d := rule.Decide(func(name string) string {
		for _, l := range lines {
			if v, ok := strings.CutPrefix(l, name+": "); ok {
				return v
			}
		}
		return ""
	})
	output([]byte(d.Action + "\n" + d.Folder + "\n" + d.Labels[0]))
	return 0
}

// part is given a large file.
//
//go:wasmexport part
func part() int32 {
	output([]byte(strconv.FormatUint(rule.Sum(0, input()), 10)))
	return 0
}

func main() {}
