// Guest is a plugin in Go that keeps what it is told, makes garbage and decodes JSON.
package main

import (
	"encoding/json"
	"runtime"
	"strconv"
	"strings"
)

// kept is what a plugin must not remember from one call to the next.
var kept = map[string]string{}

// calls counts the calls since the image was taken, in memory and on the heap.
var calls = new(int32)

// ready fills the caches that the first calls would, and collects the garbage.
//
//go:wasmexport postern_init
func ready() int32 {
	for range 3 {
		work(40)
		runtime.GC()
	}
	clear(kept)
	*calls = 0
	return 0
}

// work decodes a document of some fields and remembers them. It returns how many it
// remembers.
//
//go:wasmexport work
func work(fields int32) int32 {
	*calls++
	doc := []string{}
	for i := range int(fields) {
		doc = append(doc, strconv.Quote("field "+strconv.Itoa(i))+":"+strconv.Quote(strings.Repeat("x", i)))
	}
	if err := json.Unmarshal([]byte("{"+strings.Join(doc, ",")+"}"), &kept); err != nil {
		return -1
	}
	return int32(len(kept))
}

// before returns how many calls there were before this one, and what they left.
//
//go:wasmexport before
func before() int32 {
	*calls++
	return *calls - 1 + int32(len(kept))
}

// hoard keeps some bytes, each written.
//
//go:wasmexport hoard
func hoard(n int32) int32 {
	kept["hoard"] = strings.Repeat("h", int(n))
	return int32(len(kept["hoard"]))
}

func main() {}
