//go:build wasip1

package sdk

import (
	"unsafe"

	"github.com/centerleap/postern/sdk/abi"
)

// host is the gateway, behind its imports: of its own type, so that it is called
// without a detour.
var (
	host gateway
	_    Host = host
)

//go:wasmexport postern_init
func posternInit() int32 { return ready() }

//go:wasmexport postern_inbound
func posternInbound() int32 { return run(inbound) }

//go:wasmexport postern_outbound
func posternOutbound() int32 { return run(outbound) }

//go:wasmexport postern_thread
func posternThread() int32 { return run(thread) }

//go:wasmexport postern_event
func posternEvent() int32 { return happened() }

//go:wasmexport postern_tick
func posternTick() int32 { return ticked() }

//go:wasmimport postern_v1 event
func importEvent(dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 get
func importGet(path string, dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 header
func importHeader(name string, index int32, dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 header_count
func importHeaderCount(name string) int32

//go:wasmimport postern_v1 part
func importPart(part int32, off int64, dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 verdict
func importVerdict(doc unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 log
func importLog(level int32, text string)

//go:wasmimport postern_v1 config
func importConfig(key string, dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 now
func importNow() int64

//go:wasmimport postern_v1 kv_get
func importKVGet(key string, dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 kv_put
func importKVPut(key string, value unsafe.Pointer, size uint32, ttl int64) int32

//go:wasmimport postern_v1 kv_delete
func importKVDelete(key string) int32

//go:wasmimport postern_v1 kv_incr
func importKVIncr(key string, delta, ttl int64) int64

//go:wasmimport postern_v1 kv_list
func importKVList(prefix, cursor string, dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 http
func importHTTP(request unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 http_read
func importHTTPRead(handle int32, off int64, dst unsafe.Pointer, room uint32) int32

//go:wasmimport postern_v1 send
func importSend(mail unsafe.Pointer, size uint32) int32

//go:wasmimport postern_v1 thread
func importThread(dst unsafe.Pointer, room uint32) int32

// gateway makes of the imports what a Go program expects.
type gateway struct{}

// answers is the rest of a piece of memory that answers of the gateway are read into, one
// behind the other. What was read is never written again, so strings may point there.
var answers []byte

// answersLeast is how much such a piece has, in bytes: as one call of most plugins takes.
const answersLeast = 4 << 10

// read calls an import that answers with bytes, again with more room if they are many.
// If n is negative it is an error.
func read(ask func(dst unsafe.Pointer, room uint32) int32) (answer []byte, n int32) {
	for {
		n = ask(unsafe.Pointer(unsafe.SliceData(answers)), uint32(len(answers)))
		if size := max(int(n), 0); size <= len(answers) {
			answer, answers = answers[:size:size], answers[size:]
			return answer, n
		}
		answers = make([]byte, n+answersLeast)
	}
}

// text is read for a string.
func text(ask func(dst unsafe.Pointer, room uint32) int32) (string, bool) {
	b, n := read(ask)
	return unsafe.String(unsafe.SliceData(b), len(b)), n >= 0
}

func result(n int32) error {
	if n < 0 {
		return abi.Errno(n)
	}
	return nil
}

// Event and all below are Host's.
func (gateway) Event() ([]byte, error) {
	b, n := read(importEvent)
	return b, result(n)
}

func (gateway) Get(path string) (string, bool) {
	return text(func(dst unsafe.Pointer, room uint32) int32 { return importGet(path, dst, room) })
}

func (gateway) Header(name string, index int) (string, bool) {
	return text(func(dst unsafe.Pointer, room uint32) int32 { return importHeader(name, int32(index), dst, room) })
}

func (gateway) HeaderCount(name string) int { return max(int(importHeaderCount(name)), 0) }

func (gateway) Part(part int, off int64, p []byte) (int, error) {
	n := importPart(int32(part), off, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)))
	return max(int(n), 0), result(n)
}

func (gateway) Verdict(doc []byte) error {
	return result(importVerdict(unsafe.Pointer(unsafe.SliceData(doc)), uint32(len(doc))))
}

func (gateway) Log(level int, text string) { importLog(int32(level), text) }

func (gateway) Config(key string) (string, bool) {
	return text(func(dst unsafe.Pointer, room uint32) int32 { return importConfig(key, dst, room) })
}

func (gateway) Now() int64 { return importNow() }

func (gateway) KVGet(key string) ([]byte, bool) {
	b, n := read(func(dst unsafe.Pointer, room uint32) int32 { return importKVGet(key, dst, room) })
	return b, n >= 0 // the caller's alone
}

func (gateway) KVPut(key string, value []byte, ttlSeconds int64) error {
	return result(importKVPut(key, unsafe.Pointer(unsafe.SliceData(value)), uint32(len(value)), ttlSeconds))
}

func (gateway) KVDelete(key string) error { return result(importKVDelete(key)) }

func (gateway) KVIncr(key string, delta, ttlSeconds int64) (int64, error) {
	n := importKVIncr(key, delta, ttlSeconds)
	return max(n, 0), result(int32(min(n, 0))) // a counter is never below 0
}

func (gateway) KVList(prefix, cursor string) ([]byte, error) {
	b, n := read(func(dst unsafe.Pointer, room uint32) int32 { return importKVList(prefix, cursor, dst, room) })
	return b, result(n)
}

func (gateway) HTTP(request []byte) (int32, error) {
	handle := importHTTP(unsafe.Pointer(unsafe.SliceData(request)), uint32(len(request)))
	return handle, result(handle)
}

func (gateway) HTTPResponse(handle int32) ([]byte, error) {
	b, n := read(func(dst unsafe.Pointer, room uint32) int32 { return importHTTPRead(handle, -1, dst, room) })
	return b, result(n)
}

func (gateway) HTTPRead(handle int32, off int64, p []byte) (int, error) {
	n := importHTTPRead(handle, off, unsafe.Pointer(unsafe.SliceData(p)), uint32(len(p)))
	return max(int(n), 0), result(n)
}

func (gateway) Send(mail []byte) error {
	return result(importSend(unsafe.Pointer(unsafe.SliceData(mail)), uint32(len(mail))))
}

func (gateway) Thread() ([]byte, error) {
	b, n := read(importThread)
	return b, result(n)
}
