package sandbox

import "encoding/binary"

// wasiModule is where compilers import the system from.
const wasiModule = "wasi_snapshot_preview1"

// Errors of WASI. Source: WASI preview 1, "errno".
const (
	wasiBadFile    = 8 // no such descriptor
	wasiInvalid    = 28
	wasiNoFunction = 52
	wasiNoSeek     = 70
)

// wasi is all of WASI preview 1. A module finds a clock that stands still, random
// numbers, and a log behind descriptors 1 and 2; no arguments, no environment, no files
// and nobody to talk to. What it can't have is an error, so that the libraries of
// compilers, which import more than they use, can be linked.
var wasi = []function{
	{"args_get", "ii:i", nothing},
	{"args_sizes_get", "ii:i", noneOfThem},
	{"environ_get", "ii:i", nothing},
	{"environ_sizes_get", "ii:i", noneOfThem},
	{"clock_res_get", "ii:i", clockResolution},
	{"clock_time_get", "iIi:i", clockTime},
	{"random_get", "ii:i", randomGet},
	{"sched_yield", ":i", nothing},
	{"proc_exit", "i:", exit},
	{"fd_write", "iiii:i", write},
	{"fd_read", "iiii:i", read},
	{"fd_close", "i:i", onStandard(nothing)},
	{"fd_fdstat_get", "ii:i", onStandard(describe)},
	{"fd_fdstat_set_flags", "ii:i", onStandard(nothing)},
	{"fd_seek", "iIii:i", onStandard(refuse(wasiNoSeek))},
	{"fd_tell", "ii:i", onStandard(refuse(wasiNoSeek))},
	{"fd_prestat_get", "ii:i", refuse(wasiBadFile)},
	{"fd_prestat_dir_name", "iii:i", refuse(wasiBadFile)}, // no folder was opened before
	{"fd_advise", "iIIi:i", noFile},
	{"fd_allocate", "iII:i", noFile},
	{"fd_datasync", "i:i", noFile},
	{"fd_sync", "i:i", noFile},
	{"fd_fdstat_set_rights", "iII:i", noFile},
	{"fd_filestat_get", "ii:i", noFile},
	{"fd_filestat_set_size", "iI:i", noFile},
	{"fd_filestat_set_times", "iIIi:i", noFile},
	{"fd_pread", "iiiIi:i", noFile},
	{"fd_pwrite", "iiiIi:i", noFile},
	{"fd_readdir", "iiiIi:i", noFile},
	{"fd_renumber", "ii:i", noFile},
	{"path_create_directory", "iii:i", noFile},
	{"path_filestat_get", "iiiii:i", noFile},
	{"path_filestat_set_times", "iiiiIIi:i", noFile},
	{"path_link", "iiiiiii:i", noFile},
	{"path_open", "iiiiiIIii:i", noFile},
	{"path_readlink", "iiiiii:i", noFile},
	{"path_remove_directory", "iii:i", noFile},
	{"path_rename", "iiiiii:i", noFile},
	{"path_symlink", "iiiii:i", noFile},
	{"path_unlink_file", "iii:i", noFile},
	{"sock_accept", "iii:i", noFile},
	{"sock_recv", "iiiiii:i", noFile},
	{"sock_send", "iiiii:i", noFile},
	{"sock_shutdown", "ii:i", noFile},
	{"poll_oneoff", "iiii:i", sleep},
	{"proc_raise", "i:i", refuse(wasiNoFunction)},
}

// refuse answers with an error.
func refuse(errno int64) func(*one) (int64, error) {
	return func(*one) (int64, error) { return errno, nil }
}

func nothing(*one) (int64, error) { return 0, nil }

// noFile answers for what needs a file: there is none.
var noFile = onStandard(refuse(wasiNoFunction))

// onStandard answers for descriptors 0 to 2; there are no others.
func onStandard(answer func(*one) (int64, error)) func(*one) (int64, error) {
	return func(u *one) (int64, error) {
		if uint32(u.args[0]) > 2 {
			return wasiBadFile, nil
		}
		return answer(u)
	}
}

// put32 and put64 write where an argument says.
func (u *one) put32(i int, v uint32) { binary.LittleEndian.PutUint32(u.at(uint32(u.args[i]), 4), v) }

func (u *one) put64(i int, v uint64) { binary.LittleEndian.PutUint64(u.at(uint32(u.args[i]), 8), v) }

// noneOfThem says that there are no arguments, or variables: 0 of them, in 0 bytes.
func noneOfThem(u *one) (int64, error) {
	u.put32(0, 0)
	u.put32(1, 0)
	return 0, nil
}

// Clocks. Source: WASI preview 1, "clockid". Those of processor time are not there.
const (
	clockReal      = 0
	clockMonotonic = 1
)

func clockResolution(u *one) (int64, error) {
	switch uint32(u.args[0]) {
	case clockReal:
		u.put64(1, 1e6) // as Host.Now has it
	case clockMonotonic:
		u.put64(1, 1)
	default:
		return wasiInvalid, nil
	}
	return 0, nil
}

// clockTime tells the time of day, which stands still, or the fuel that was used so
// far as nanoseconds: so it goes on, and is the same everywhere.
func clockTime(u *one) (int64, error) {
	switch uint32(u.args[0]) {
	case clockReal:
		u.put64(2, uint64(u.host.Now())*1e6)
	case clockMonotonic:
		u.put64(2, uint64(u.clock+u.meter.used()))
	default:
		return wasiInvalid, nil
	}
	return 0, nil
}

// randomPiece is how much is made between two looks at the time: a module can ask for
// as much as its memory holds.
const randomPiece = 64 << 10

func randomGet(u *one) (int64, error) {
	for p := u.bytes(0); len(p) > 0; p = p[min(len(p), randomPiece):] {
		u.over()
		if _, err := u.random.Read(p[:min(len(p), randomPiece)]); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// exit ends the call, also with 0: what called it does not expect it to return, and so
// the instance is in the middle of something.
func exit(u *one) (int64, error) {
	u.stop(exited(uint32(u.args[0])))
	return 0, nil
}

// read is the end of the input.
func read(u *one) (int64, error) {
	if uint32(u.args[0]) != 0 {
		return wasiBadFile, nil
	}
	u.put32(3, 0)
	return 0, nil
}

// write makes lines of the log of what is printed to 1 and 2. A module can name half a
// million buffers at once, each of all its memory: so each is counted as a question.
func write(u *one) (int64, error) {
	w := &u.stdout
	switch uint32(u.args[0]) {
	case 1:
	case 2:
		w = &u.stderr
	default:
		return wasiBadFile, nil
	}
	const pair = 8 // pointer and length
	count := uint32(u.args[2])
	if uint64(count)*pair > uint64(u.memory.Size()) {
		u.stop(errPointer)
	}
	written := uint32(0)
	for list := u.at(uint32(u.args[1]), count*pair); len(list) > 0; list = list[pair:] {
		p := u.at(binary.LittleEndian.Uint32(list), binary.LittleEndian.Uint32(list[4:]))
		u.spend()
		u.over()
		w.write(u.call, p)
		written += uint32(len(p))
	}
	u.put32(3, written)
	return 0, nil
}

// describe says of a descriptor that it is a terminal, or the like, without any rights
// to it that one could ask for. Source: WASI preview 1, "fdstat".
func describe(u *one) (int64, error) {
	const characterDevice, size = 2, 24
	b := u.at(uint32(u.args[1]), size)
	clear(b)
	b[0] = characterDevice
	binary.LittleEndian.PutUint64(b[8:], 1<<1|1<<6) // to be read and written
	return 0, nil
}

// longestSleep bounds how far a clock goes on at once, in nanoseconds: an hour.
const longestSleep = 3600e9

// sleep takes no time, but the monotonic clock says that it did: Go's runtime sleeps
// before it tells of a panic. There is nothing else to wait for. Source: WASI preview 1,
// "subscription" and "event".
func sleep(u *one) (int64, error) {
	const subscription, event, absolute = 48, 32, 1
	if uint32(u.args[2]) != 1 {
		return wasiNoFunction, nil
	}
	in, out := u.at(uint32(u.args[0]), subscription), u.at(uint32(u.args[1]), event)
	if in[8] != 0 { // a descriptor
		return wasiNoFunction, nil
	}
	until, from := binary.LittleEndian.Uint64(in[24:]), uint64(0)
	if binary.LittleEndian.Uint16(in[40:])&absolute != 0 {
		from = uint64(u.clock + u.meter.used())
	}
	if until > from {
		u.clock += int64(min(until-from, longestSleep))
	}
	who := binary.LittleEndian.Uint64(in)
	clear(out)
	binary.LittleEndian.PutUint64(out, who)
	u.put32(3, 1)
	return 0, nil
}
