package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Functions that call each other run no loop, and are stopped all the same.
func TestDeadlineWithoutLoop(t *testing.T) {
	twice := append([]byte{0x20, 0, 0x41, 1, 0x6b}, invoke(0)...) // itself, of its argument less 1
	wasm := (&assembler{}).
		fn("", "i:", []byte{0x20, 0, 0x45, 0x04, 0x40, 0x0f, 0x0b}, twice, twice). // return at 0
		fn("postern_inbound", ":i", konst(40), invoke(0), konst(0)).bytes()
	started := time.Now()
	err := compile(t, newEngine(t, ""), wasm).Call(t.Context(), "inbound", &fakeHost{})
	if known, ok := errors.AsType[*CallError](err); !ok || known.Reason != ReasonDeadline {
		t.Errorf("%v, want %s", err, ReasonDeadline)
	}
	if took := time.Since(started); took > 10*testLimits().CallTime {
		t.Errorf("it took %v", took)
	}
}

// Tables are outside of an instance's memory and bounded on their own.
func TestTableGrows(t *testing.T) {
	e := newEngine(t, "")
	lim := testLimits()
	most := int32(lim.maxEntries())
	for _, tt := range []struct {
		name  string
		table []byte
		by    int32
		ok    bool
	}{
		{"to its own maximum", []byte{refFunction, 1, 0, 5}, 5, true},
		{"beyond its own maximum", []byte{refFunction, 1, 0, 5}, 6, false},
		{"without one", []byte{refFunction, 0, 0}, most, true},
		{"without one, beyond ours", []byte{refFunction, 0, 0}, most + 1, false},
		{"beyond ours", append([]byte{refExternal, 1, 0}, binary.AppendUvarint(nil, math.MaxUint32)...), 100_000_000, false},
	} {
		a := hook([]byte{0xd0, tt.table[0]}, konst(tt.by), []byte{0xfc, 15, 0}) // ref.null, table.grow: the size before, or -1
		a.tables = [][]byte{tt.table}
		err := compile(t, e, a.bytes()).Call(t.Context(), "inbound", &fakeHost{})
		if tt.ok && err != nil || !tt.ok && (err == nil || !strings.HasSuffix(err.Error(), "returned -1")) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// A module that prints the same memory again and again in one question is stopped.
func TestPrintingIsBounded(t *testing.T) {
	vectors := func(n int32) []byte {
		fill := slices.Concat([]byte{0x03, 0x40, 0x23, 0}, konst(0), []byte{0x36, 2, 0, 0x23, 0}, konst(4<<20), []byte{0x36, 2, 4}, // at the counter: 0, 4 MiB
			[]byte{0x23, 0, 0x41, 8, 0x6a, 0x24, 0, 0x23, 0}, konst(8*n), []byte{0x48, 0x0d, 0, 0x0b}) // counter += 8, to 8 n
		a := (&assembler{}).imp("wasi_snapshot_preview1", "fd_write", "iiii:i").global().
			fn("postern_inbound", ":i", fill, konst(1), konst(0), konst(n), konst(8*n), invoke(0))
		a.memories = [][]byte{{0, 64}}
		return a.bytes()
	}
	e := newEngine(t, "")
	for n, want := range map[int32]string{2: "", 500: ReasonHostCalls} {
		err := compile(t, e, vectors(n)).Call(t.Context(), "inbound", &fakeHost{})
		known, ok := errors.AsType[*CallError](err)
		if want == "" && err != nil || want != "" && (!ok || known.Reason != want) {
			t.Errorf("%d buffers: %v, want %q", n, err, want)
		}
	}
	lim := testLimits()
	over, end := context.WithCancel(t.Context())
	end()
	defer func() {
		if err, _ := recover().(error); !errors.Is(err, context.Canceled) {
			t.Errorf("a write after the end: %v", err)
		}
	}()
	_, _ = (&lineWriter{call: &call{host: &fakeHost{}, limits: &lim}, over: over.Err}).Write([]byte("x"))
}

// A few bytes that announce a lot are refused before memory is set aside for it.
func TestBombs(t *testing.T) {
	e := newEngine(t, "")
	many := binary.AppendUvarint(nil, math.MaxUint32)
	alone := func(id byte, before ...byte) []byte {
		return append(slices.Clone(preamble), sectionOf(id, append(before, many...))...)
	}
	behind := func(id byte, before ...byte) []byte {
		return append(hook(konst(0)).bytes(), sectionOf(id, append(before, many...))...)
	}
	table := hook(konst(0))
	table.tables = [][]byte{append([]byte{refFunction, 0}, binary.AppendUvarint(nil, 100_000_000)...)}
	locals := hook(konst(0))
	for range 90 {
		locals.fn("", ":")
	}
	for i := range locals.code {
		locals.code[i] = sized([]byte{1, 50, 0x7f, 0x41, 0, 0x0b})
	}
	small := testLimits()
	small.ModuleBytes = 2000
	for _, tt := range []struct {
		name string
		wasm []byte
		want string
	}{
		{"types", alone(sectionType), "too many types"},
		{"parameters", alone(sectionType, 1, 0x60), "too many parameters"},
		{"results", alone(sectionType, 1, 0x60, 0), "too many parameters"},
		{"imports", alone(sectionImport), "too many imports"},
		{"functions", alone(sectionFunction), "too many functions"},
		{"tables", alone(sectionTable), "too many tables"},
		{"a table", table.bytes(), "table is too large"},
		{"globals", alone(sectionGlobal), "too many globals"},
		{"exports", alone(sectionExport), "too many exports"},
		{"the name of an export", alone(sectionExport, 1), "longer than what contains it"},
		{"element segments", alone(sectionElement), "too many element segments"},
		{"elements", alone(sectionElement, 1, 0, 0x41, 0, 0x0b), "too many functions in tables"},
		{"passive elements", alone(sectionElement, 1, 1, 0), "too many functions in tables"},
		{"elements of a table", alone(sectionElement, 1, 2, 0, 0x41, 0, 0x0b, 0), "too many functions in tables"},
		{"elements that are expressions", alone(sectionElement, 1, 5, refFunction), "too many functions in tables"},
		{"bodies", alone(sectionCode), "too many functions"},
		{"a body", alone(sectionCode, 1), "longer than what contains it"},
		{"locals in all", locals.bytes(), "too many locals"},
		{"data segments", behind(sectionData), "too many data segments"},
		{"data", behind(sectionData, 1, 1), "longer than what contains it"},
		{"a large function", hook(bytes.Repeat([]byte{0x01}, 128<<10), konst(0)).bytes(), "function is too large"},
		{"blocks", hook(bytes.Repeat([]byte{0x03, 0x40, 0x0b}, 20_001), konst(0)).bytes(), "too many blocks"},
		{"a tag section", alone(13), "later version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := inspect(tt.wasm, &small)
			if tt.name != "locals in all" {
				_, err = e.Compile(t.Context(), tt.wasm)
			}
			runtime.ReadMemStats(&after)
			if fault, ok := errors.AsType[*FaultError](err); !ok || !strings.Contains(fault.What, tt.want) {
				t.Errorf("%v, want a fault with %q", err, tt.want)
			}
			if mib := (after.TotalAlloc - before.TotalAlloc) >> 20; mib > 8 {
				t.Errorf("%d MiB were allocated", mib)
			}
		})
	}
}

// Names of functions announce their number too, and are not compiled.
func TestNamesAreLeftOut(t *testing.T) {
	many := binary.AppendUvarint(nil, math.MaxUint32)
	names := sectionOf(sectionCustom, append(append(name("name"), 1, byte(len(many))), many...))
	m := compile(t, newEngine(t, ""), append(hook(konst(0)).bytes(), names...))
	if err := m.Call(t.Context(), "inbound", &fakeHost{}); err != nil {
		t.Error(err)
	}
}

// Whoever waits no longer for a module to be compiled gets that as the answer.
func TestCompileCancelled(t *testing.T) {
	e := newEngine(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 8 { // it may get the slot, or not
		if m, err := e.Compile(ctx, hook(konst(0)).bytes()); m != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("%v %v", m, err)
		}
	}
}
