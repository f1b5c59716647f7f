// Package rewrite makes of a WebAssembly module that a stranger wrote one that can't
// run on: it holds the module to what an engine may be given, and puts into it the
// counting by which its host stops it. It knows nothing of mail, and runs nothing.
//
// In goes a module of version 2 of the specification, and what it may import. Out
// comes either a FaultError, which names the offence and the byte where it stands, or
// a module that does what the first one did, and
//
//   - has paid for all it runs before it runs it: at the head of each function and each
//     loop, the weights of the instructions up to the next such place are taken from the
//     global Fuel. Below zero the function Tick is called, which is imported from
//     Runtime; it puts more there, or ends the call. What a loop or a call may not reach
//     is paid for where it begins, so code that is jumped over costs little.
//   - jumps ahead at once where Go's compiler goes around by a table: see jumps.go;
//   - pays for bulk memory by its length, in pieces: none runs longer than one slice;
//   - counts the bytes of its frames down in the global Depth, and asks Tick when one
//     more would be below zero. Functions that call no other are not counted: there is
//     only one of them at a time. Whoever calls the module sets Depth before;
//   - exports Fuel, Depth and each global that can change, so that what an instance
//     holds outside of its memory can be read and set. Tables never change;
//   - has fewer segments of data, where they lie close to each other;
//   - has no custom sections, no start function, and imports nothing but functions.
//
// Invariants, which tests hold: whatever is accepted, an engine compiles, and the
// output too; both give the same results, memory and globals; the fuel that a call uses
// depends on nothing but the module and its input, where it ends in a trap also on the
// slices of fuel: what was used since the last one may be missing.
//
// Read module.go for what is looked at outside of functions, body.go for what is inside,
// fuel.go and jumps.go for where and how much is paid, function.go for what is put into a function.
package rewrite

// Names of what is put in. A module that uses them is refused.
const (
	Runtime = "postern_rt"       // the module to import from
	Tick    = "tick"             // () -> ()
	Fuel    = "postern_rt.fuel"  // i32, exported; 0 at first
	Depth   = "postern_rt.depth" // i32, exported; Limits.StackBytes at first
	globals = "postern_rt.g"     // what the names of exported globals begin with
)

// Limits of a module; all are required, but for those of its stack.
type Limits struct {
	ModuleBytes int64
	Functions   int64 // of a module; also types, imports, exports and globals
	Locals      int64 // of one function
	// FunctionBytes and Blocks bound one function: its bytes, and the blocks that
	// a compiler makes of it: one of each block and each entry of a table, two of each if,
	// branch on a condition and check. The time to compile it grows with their square.
	FunctionBytes, Blocks int64
	MemoryBytes           int64 // of an instance, in steps of PageBytes
	StackBytes            int64 // of the frames of a call; 0: they are not counted
	Frames                int64 // that StackBytes may hold
}

// PageBytes is the step in which memory grows.
const PageBytes = 64 << 10

// Import is a function that is offered.
type Import struct {
	Params, Results []byte // types as the specification encodes them
	Weight          int64  // of a call, in fuel
}

// Config says what a module may be.
type Config struct {
	Limits  Limits
	Imports map[string]map[string]Import // by module and name
	Exports map[string]Import            // functions that have to be of a type, if they are there
}

// Info is what a module turned out to be.
type Info struct {
	Functions, Loops   int
	Exports            []string // functions
	Globals            []string // names under which those that can change are exported, without Fuel and Depth
	MinBytes, MaxBytes int64    // of memory
	Checks, Charges    int      // places where fuel is asked for, and those where it is only paid
	Jumps              int      // that became direct ones
	Wide               int      // values that one function has at once: locals, and most operands
}

// Module returns what is compiled in place of wasm. A *FaultError says why wasm is
// refused.
func Module(wasm []byte, cfg *Config) ([]byte, *Info, error) {
	if int64(len(wasm)) > cfg.Limits.ModuleBytes {
		return nil, nil, &FaultError{What: "the module is too large", Offset: -1}
	}
	all, err := Sections(wasm)
	if err != nil {
		return nil, nil, err
	}
	m := &module{cfg: cfg, declared: map[uint32]bool{}, exported: map[string]byte{}}
	if err := m.arrange(all); err != nil {
		return nil, nil, err
	}
	if err := m.read(); err != nil {
		return nil, nil, err
	}
	return m.write(), &m.info, nil
}
