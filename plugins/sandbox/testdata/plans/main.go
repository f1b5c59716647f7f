// Plans has the filters that the plans of plugins were measured with, without the SDK: the
// same decision from three header fields, from an event that is looked through byte by
// byte, and from one that encoding/json decodes.
package main

import (
	"encoding/json"
	"strings"
	"unsafe"
)

//go:wasmimport postern_v1 header
func header(name unsafe.Pointer, nameLen uint32, index int32, dst unsafe.Pointer, dstLen uint32) int32

//go:wasmimport postern_v1 event
func event(dst unsafe.Pointer, dstLen uint32) int32

//go:wasmimport postern_v1 verdict
func verdict(doc unsafe.Pointer, docLen uint32) int32

var (
	value [512]byte
	doc   [8 << 10]byte
	room  [256]byte
)

func field(name string) string {
	n := header(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)), 0, unsafe.Pointer(&value[0]), uint32(len(value)))
	if n < 0 {
		return ""
	}
	return string(value[:n])
}

type message struct {
	Subject string `json:"subject"`
	From    struct {
		Name string `json:"name"`
		Addr string `json:"addr"`
	} `json:"from"`
	Headers [][2]string `json:"headers"`
	Size    int         `json:"size"`
}

type decision struct {
	Action string   `json:"action"`
	Folder string   `json:"folder,omitempty"`
	Labels []string `json:"labels,omitempty"`
}

func decide(subject, from string, bulk bool) decision {
	subject = strings.ToLower(subject)
	switch {
	case strings.HasSuffix(from, "@spam.example"):
		return decision{Action: "reject"}
	case strings.Contains(subject, "lottery"):
		return decision{Action: "accept", Folder: "Junk", Labels: []string{"spam"}}
	case strings.Contains(subject, "invoice") && !bulk:
		return decision{Action: "accept", Labels: []string{"invoice"}}
	}
	return decision{Action: "accept"}
}

// say writes a decision by hand.
func say(d decision) int32 {
	b := append(room[:0], `{"action":"`...)
	b = append(append(b, d.Action...), '"')
	if d.Folder != "" {
		b = append(append(append(b, `,"folder":"`...), d.Folder...), '"')
	}
	for _, l := range d.Labels {
		b = append(append(append(b, `,"labels":["`...), l...), `"]`...)
	}
	b = append(b, '}')
	return verdict(unsafe.Pointer(&b[0]), uint32(len(b)))
}

//go:wasmexport postern_inbound
func pull() int32 {
	return say(decide(field("subject"), field("from.addr"), field("List-Unsubscribe") != ""))
}

//go:wasmexport postern_outbound
func scan() int32 {
	n := event(unsafe.Pointer(&doc[0]), uint32(len(doc)))
	s := scanner{b: doc[:n]}
	return say(decide(s.message()))
}

//go:wasmexport postern_thread
func decode() int32 {
	n := event(unsafe.Pointer(&doc[0]), uint32(len(doc)))
	var m message
	if json.Unmarshal(doc[:n], &m) != nil {
		return 1
	}
	bulk := false
	for _, f := range m.Headers {
		bulk = bulk || strings.EqualFold(f[0], "List-Unsubscribe")
	}
	said, err := json.Marshal(decide(m.Subject, m.From.Addr, bulk))
	if err != nil {
		return 2
	}
	return verdict(unsafe.Pointer(&said[0]), uint32(len(said)))
}

func main() {}
