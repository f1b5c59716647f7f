package sandbox

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/centerleap/postern/sdk/abi"
)

// eventHost answers about one message, with an event of 5 KB. It costs as little as a
// host can: what is measured is what comes to it.
type eventHost struct {
	fakeHost
	doc    []byte
	values map[string]string
}

func (h *eventHost) Event() ([]byte, error) { return h.doc, nil }

func (h *eventHost) Get(path string) (string, error) {
	if v, ok := h.values[path]; ok {
		return v, nil
	}
	return "", abi.Absent
}

func (h *eventHost) Header(name string, _ int) (string, error) { return h.Get(name) }

func (h *eventHost) Verdict(doc []byte) error {
	if len(doc) == 0 {
		return abi.BadArgument
	}
	return nil
}

func newEventHost() *eventHost {
	field := []byte(`["X-Received","by 2002:a05:6214:1946 with SMTP id q6mr1234567qvk.33.1700000000000"],`)
	const subject, from = "Re: Invoice 4711 you have WON the lottery payment", "john.doe@example.com"
	start := fmt.Sprintf(`{"v":1,"hook":"inbound","size":18234,"subject":%q,"from":{"name":"John","addr":%q},"headers":[`, subject, from)
	return &eventHost{values: map[string]string{
		"subject": subject, "from.addr": from, "List-Unsubscribe": "<https://example.com/u/4711>",
	}, doc: slices.Concat([]byte(start), bytes.Repeat(field, 58), []byte(`["Subject","x"]]}`))}
}
