// Package sandbox runs one hook of one WebAssembly module: nothing it does reaches
// further than the answers of its Host. It is the only home of wazero, and knows
// nothing of mail, tenants or stores.
//
// Every call starts from the same image: what a module leaves in its memory is gone when
// the call ends, though its instance is used again. Its memory, time, fuel, stack,
// imports used and log lines are bounded. It has a clock that stands still, random
// numbers, and a log; no files, no network, no environment.
//
// Read engine.go for how a module is made ready, image.go for what calls start from,
// call.go for one call, slots.go for how many run at once, pool.go and renew.go for who runs on which instance, meter.go for what stops
// it, imports.go and wasi.go for what it may ask. What is refused at the door is the
// question of package rewrite, how an instance gets its state back that of snapshot.
package sandbox

import (
	"context"
	"time"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
)

// Limits of modules and calls; all are required but where it says otherwise.
type Limits struct {
	ModuleBytes int64
	Functions   int64 // of a module
	Locals      int64 // of one function
	// FunctionBytes and Blocks bound one function: its bytes and the blocks that are made of
	// it. The time to compile it grows with the square of its blocks, and
	// can't be cut short within it.
	FunctionBytes, Blocks int64
	CompileTime           time.Duration // of a module, for each 2 MiB begun; looked at between functions
	MemoryBytes           int64         // of an instance, in steps of 64 KiB
	IdleBytes             int64         // of instances that wait, those that they share with others left out
	HostCalls             int64         // imports used in one call
	LogLines              int64         // of one call; more are dropped
	LogBytes              int64         // of one line; more is cut
	CallTime              time.Duration
	// LateTime and LateMemoryBytes are for the hooks that nobody waits for, event and tick,
	// instead of CallTime and MemoryBytes; 0: the same.
	LateTime        time.Duration
	LateMemoryBytes int64
	Fuel            int64 // of one call, in weights of instructions; package rewrite says how
	StackBytes      int64 // of the frames of one call, as package rewrite guesses them
	Frames          int64 // that StackBytes may hold
}

// Host answers a module during one call, one question at a time. An error that is an
// abi.Errno is the module's to handle; any other ends the call as a HostError.
type Host interface {
	Event() ([]byte, error)
	Get(path string) (string, error)
	Header(name string, index int) (string, error)
	HeaderCount(name string) (int, error)
	// Part fills p with decoded bytes of a part from an offset on; 0 is its end.
	Part(part int, off int64, p []byte) (int, error)
	// Verdict may not keep doc, which is the module's own memory.
	Verdict(doc []byte) error
	Log(level int, text string)
	Config(key string) (string, error)
	Now() int64 // Unix milliseconds, the same for the whole call
	KVGet(key string) ([]byte, error)
	// KVPut may not keep value, either.
	KVPut(key string, value []byte, ttlSeconds int64) error
	KVDelete(key string) error
	// KVIncr answers what the counter is then: never a negative number.
	KVIncr(key string, delta, ttlSeconds int64) (int64, error)
	KVList(prefix, cursor string) ([]byte, error)
	// HTTP makes a request and reads its answer, until ctx ends: then the call's time is
	// over. It may not keep req. Others use the processor meanwhile.
	HTTP(ctx context.Context, req []byte) (handle int, err error)
	// HTTPRead fills p with the answer's body from an offset on. At -1 it is what the
	// answer says of itself, as far as p has room, and n the whole length of that.
	HTTPRead(handle int, off int64, p []byte) (n int, err error)
	// Send may not keep doc.
	Send(doc []byte) error
	Thread() ([]byte, error)
}

// Bounds of one call, lower than the Engine's Limits. What is 0 is as there. A module whose
// image has more than MemoryBytes runs, but gets no more.
type Bounds struct {
	Time        time.Duration
	Fuel        int64
	MemoryBytes int64
}

// FaultError is what is wrong with a module that is refused. Its text is for whoever
// uploaded it.
type FaultError = rewrite.FaultError

// Usage is what one call took, also if it ended badly.
type Usage struct {
	Fuel        int64 // the same for the same module and input
	HostCalls   int64
	MemoryBytes int64 // at its end
	Wall        time.Duration
}

// Reasons why a call ended badly.
const (
	ReasonTrap      = "trap"       // the module did something impossible
	ReasonDeadline  = "deadline"   // it took too long
	ReasonFuel      = "fuel"       // it ran too many instructions
	ReasonDepth     = "depth"      // its functions called each other too deep
	ReasonStatus    = "status"     // it returned other than 0, or left the process
	ReasonPointer   = "pointer"    // it named memory that it does not have
	ReasonHostCalls = "host calls" // it asked too often
	ReasonStart     = "start"      // it could not be started
)

// CallError is a call that ended badly by the module's fault.
type CallError struct {
	Reason string
	Detail string // for the module's author
}

// failedPrefix begins what a CallError says.
const failedPrefix = "the plugin failed: "

func (e *CallError) Error() string {
	if e.Detail == "" {
		return failedPrefix + e.Reason
	}
	return failedPrefix + e.Reason + ": " + e.Detail
}

// HostError is a call that ended because its Host failed; the module is not to
// blame.
type HostError struct{ Err error }

func (e *HostError) Error() string { return "plugin host: " + e.Err.Error() }

// Unwrap returns the Host's error.
func (e *HostError) Unwrap() error { return e.Err }
