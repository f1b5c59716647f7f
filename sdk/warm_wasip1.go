//go:build wasip1

package sdk

import (
	"io"
	"runtime"
	"unsafe"

	"github.com/centerleap/postern/sdk/abi"
)

// warm is what an author wants done once; nil: nothing.
var warm func(*Message)

func onReady(f func(*Message)) { warm = f }

// ready does once what a fresh program would do in every call: it has the heap grow to
// what the sample needs, and the allocator take memory for objects of usual sizes. Hooks
// are not asked: what an author keeps in a variable of the sample would stay.
func ready() int32 {
	m := &Message{}
	for range 2 {
		sampled(m)
		if warm != nil {
			warm(m)
		}
	}
	kept.plain = make([]byte, headroom)
	kept.plain = nil
	runtime.GC() // or each call would come to the point where one is due
	sampled(m)
	sizes()
	done := make(chan bool)
	go func() { done <- deep(frames) }() // on a stack that is small yet
	<-done
	clear(room[:])
	wishes = nil
	answers = make([]byte, answersLeast)
	return abi.InitOnly
}

// headroom is how much memory calls find free, in bytes: one whose memory has to grow costs
// its instance. Half of what the collector lets come together; ours.
const headroom = 2 << 20

// sampled reads of the sample what plugins read of messages, and answers.
func sampled(m *Message) {
	_ = m.Subject() + m.From().Addr + m.Header("Subject") + m.Text(1<<20)
	_, _ = host.Event()
	_, _ = io.Copy(io.Discard, m.Part(0))
	v := Accept().Folder("A").Label("a").Reason("a")
	say(&v)
}

// Sizes of objects that the allocator has room for when a call begins: those of which a
// piece of its memory holds many. Beyond, each takes a piece of its own anyway.
const (
	smallest = 8
	largest  = 1 << 10
)

// sizes allocates a few objects of each size, with and without pointers.
func sizes() {
	for size := smallest; size <= largest; size += smallest {
		kept.plain = make([]byte, size)
		kept.pointers = make([]unsafe.Pointer, size/smallest)
	}
	kept.plain, kept.pointers = nil, nil
}

// frames of half a KiB are as much stack as plugins need; ours.
const frames = 64

// deep has a stack grow.
func deep(n int) bool {
	var local [512]byte
	local[n] = 1
	return n == 0 || deep(n-1) && local[n] == 1
}

// kept has what is allocated not be left out.
var kept struct {
	plain    []byte
	pointers []unsafe.Pointer
}
