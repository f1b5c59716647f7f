package hostile

import "github.com/centerleap/postern/sdk/abi"

// Sender wants a document sent for each mail.
func Sender(doc string) []byte {
	return (&assembler{}).imported(abi.Module, "send", "ii:i").text(at, doc).
		function(inbound, ":i", 0, i32(at), i32(len(doc)), call(0)).bytes()
}

// Counter counts each mail, and traps until it has counted so many: those it gives a label.
func Counter(label string, enough int) []byte {
	a := (&assembler{}).imported(abi.Module, "kv_incr", "iiII:I").imported(abi.Module, "verdict", "ii:i")
	doc := `{"labels":["` + label + `"]}`
	return a.text(0, "n").text(at, doc).function(
		inbound, ":i", 0, i32(0), i32(1), i64(1), i64(0), call(0), i64(int64(enough)), []byte{0x53}, when(unreachable), // less, signed
		i32(at), i32(len(doc)), call(1),
	).bytes()
}

// Gossip hands on the conversation of each mail as a line of its log.
func Gossip() []byte {
	length := []byte{0x23, 0}
	return (&assembler{pages: 4, globals: 1}).imported(abi.Module, "thread", "ii:i").imported(abi.Module, "log", "iii:").
		function(
			inbound, ":i", 0, i32(0), i32(4*page), call(0), []byte{0x24, 0},
			length, i32(0), []byte{0x48}, when(leave(0)), // there is none
			i32(1), i32(0), length, call(1), i32(0),
		).bytes()
}

// Asker makes a request at its event hook, and says in its log what the answer was.
func Asker(request string) []byte {
	return (&assembler{pages: 2, globals: 1}).imported(abi.Module, "http", "ii:i").imported(abi.Module, "http_read", "iIii:i").imported(abi.Module, "log", "iii:").
		text(at, request).function(
		"postern_event", ":i", 0, i32(at), i32(len(request)), call(0), []byte{0x24, 0},
		i32(1), i32(page), []byte{0x23, 0}, i64(0), i32(page), i32(page), call(1), call(2), i32(0),
	).bytes()
}

// Lister says in its log which names it remembers values under.
func Lister(prefix string) []byte {
	return (&assembler{pages: 2}).imported(abi.Module, "kv_list", "iiiiii:i").imported(abi.Module, "log", "iii:").text(at, prefix).
		function(
			inbound, ":i", 0, i32(1), i32(page), i32(at), i32(len(prefix)), i32(0), i32(0), i32(page), i32(page), call(0), call(1), i32(0),
		).bytes()
}

// Deleter forgets a value.
func Deleter(key string) []byte {
	return (&assembler{}).imported(abi.Module, "kv_delete", "ii:i").text(at, key).
		function(inbound, ":i", 0, i32(at), i32(len(key)), call(0)).bytes()
}
