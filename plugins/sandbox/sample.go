package sandbox

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/centerleap/postern/sdk/abi"
)

// sample is the Host of a module that is made ready: it answers about a message that
// nobody wrote, remembers nothing and permits nothing.
type sample struct {
	event abi.Event
	part  string
}

// sampleTime is when the sample was written, in Unix milliseconds: always the same, so
// that images are.
const sampleTime = 1_767_225_600_000

// newSample makes one with so many bytes of text.
func newSample(size int) *sample {
	text := strings.Repeat("The quick brown fox jumps over the lazy dog.\r\n", size/46+1)[:size]
	person := func(name string) abi.Address {
		return abi.Address{Name: name, Addr: strings.ToLower(name) + "@sample.invalid"}
	}
	s := &sample{part: text, event: abi.Event{
		V: 1, Hook: abi.HookInbound, Time: "2026-01-01T00:00:00Z", Domain: "sample.invalid", Mailbox: "ann@sample.invalid",
		Envelope: abi.Envelope{MailFrom: "bob@sample.invalid", RcptTo: []string{"ann@sample.invalid"}, RemoteIP: "192.0.2.1", Helo: "sample.invalid"},
		Auth:     abi.Auth{SPF: "pass", DKIM: "pass", DMARC: "pass", FromAligned: true, Disposition: "none"}, Size: int64(size), Subject: "A sample",
		From: person("Bob"), To: []abi.Address{person("Ann")}, Cc: []abi.Address{}, ReplyTo: []abi.Address{}, References: []string{},
		RFCMessageID: "<sample@sample.invalid>", Text: text, DryRun: true, Parts: []abi.Part{{Type: "text/plain", Size: int64(size)}},
	}}
	for range 20 {
		s.event.Headers = append(s.event.Headers, [2]string{"X-Sample", "a header field of a usual length, as there are twenty of"})
	}
	return s
}

func (s *sample) Event() ([]byte, error) { return json.Marshal(&s.event) }

func (s *sample) Get(path string) (string, error) {
	if v, ok := s.event.Value(path); ok {
		return v, nil
	}
	return "", abi.Absent
}

func (s *sample) Header(name string, index int) (string, error) {
	n, _ := s.HeaderCount(name)
	if index == -1 {
		index = n - 1
	}
	if index < 0 || index >= n {
		return "", abi.Absent
	}
	return s.event.Headers[index][1], nil
}

func (s *sample) HeaderCount(name string) (int, error) {
	if strings.EqualFold(name, s.event.Headers[0][0]) {
		return len(s.event.Headers), nil
	}
	return 0, nil
}

func (s *sample) Part(part int, off int64, p []byte) (int, error) {
	if part != 0 {
		return 0, abi.Absent
	}
	if off < 0 {
		return 0, abi.BadArgument
	}
	return copy(p, s.part[min(off, int64(len(s.part))):]), nil
}

func (s *sample) Verdict([]byte) error              { return nil }
func (s *sample) Log(int, string)                   {}
func (s *sample) Config(string) (string, error)     { return "", abi.Absent }
func (s *sample) Now() int64                        { return sampleTime }
func (s *sample) KVGet(string) ([]byte, error)      { return nil, abi.Absent }
func (s *sample) KVPut(string, []byte, int64) error { return abi.Denied }
func (s *sample) KVDelete(string) error             { return abi.Denied }

func (s *sample) KVIncr(string, int64, int64) (int64, error) { return 0, abi.Denied }
func (s *sample) KVList(string, string) ([]byte, error)      { return nil, abi.Denied }
func (s *sample) HTTP(context.Context, []byte) (int, error)  { return 0, abi.Denied }
func (s *sample) HTTPRead(int, int64, []byte) (int, error)   { return 0, abi.Denied }
func (s *sample) Send([]byte) error                          { return abi.Denied }
func (s *sample) Thread() ([]byte, error)                    { return nil, abi.Denied }
