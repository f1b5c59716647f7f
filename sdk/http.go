package sdk

import (
	"bytes"
	"encoding/base64"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// HTTP asks servers: those that the manifest names in http_hosts, from the event and tick
// hooks, while the call waits; in a dry run nobody is asked. A redirect is an answer like
// others. Permission http.
var HTTP client

type client struct{}

// Request is what a server is asked.
type Request struct {
	Method string // GET if empty
	URL    string
	Header [][2]string // names and values
	Body   []byte
}

// StatusError is an answer that is none of those that say it went well, 200 to 299.
type StatusError struct{ Status int }

// Error names the status.
func (e *StatusError) Error() string { return "the server answered " + strconv.Itoa(e.Status) }

// Get asks for a page. If the status is not 200 to 299, err is a *StatusError, and the
// Response is there, too.
func (c client) Get(url string) (*Response, error) { return c.judged(Request{URL: url}) }

// PostJSON sends a value in JSON, and a token as a bearer's (RFC 6750) unless that is
// empty. The value is made of maps by string, slices, strings, numbers, booleans and
// nil, or has a method MarshalJSON, as json.RawMessage does. The error is as Get's.
func (c client) PostJSON(url string, body any, token string) (*Response, error) {
	doc, err := appendValue(nil, body, 0)
	if err != nil {
		return nil, err
	}
	r := Request{Method: "POST", URL: url, Body: doc, Header: [][2]string{{"Content-Type", "application/json"}}}
	if token != "" {
		r.Header = append(r.Header, [2]string{"Authorization", "Bearer " + token})
	}
	return c.judged(r)
}

func (c client) judged(r Request) (*Response, error) {
	answer, err := c.Do(r)
	if err == nil && (answer.Status < 200 || answer.Status > 299) {
		err = &StatusError{answer.Status}
	}
	return answer, err
}

// Do asks anything. An answer with any status is no error.
func (client) Do(r Request) (*Response, error) {
	handle, err := host.HTTP(appendRequest(nil, &r))
	if err != nil {
		return nil, err
	}
	doc, err := host.HTTPResponse(handle)
	if err != nil {
		return nil, err
	}
	head, err := decode(doc, (*scanner).response)
	if err != nil {
		return nil, err
	}
	return &Response{Status: head.Status, Headers: head.Headers, Size: head.Size, handle: handle}, nil
}

func appendRequest(b []byte, r *Request) []byte {
	w := objectWriter{b: append(b, '{')}
	w.text(`"method":`, r.Method)
	w.text(`"url":`, r.URL)
	if len(r.Header) > 0 {
		w.name(`"headers":`)
		for i, f := range r.Header {
			w.b = append(w.b, "[,"[min(i, 1)], '[')
			w.b = append(appendText(w.b, f[0]), ',')
			w.b = append(appendText(w.b, f[1]), ']')
		}
		w.b = append(w.b, ']')
	}
	if utf8.Valid(r.Body) {
		w.text(`"body":`, shared(r.Body))
	} else {
		w.text(`"body_base64":`, base64.StdEncoding.EncodeToString(r.Body))
	}
	return append(w.b, '}')
}

// Response is what a server answered.
type Response struct {
	Status  int
	Headers [][2]string // names and values
	Size    int64       // of the body, in bytes

	handle int32
	body   []byte // once it is read whole
}

// Header is the first header field of a name; empty if there is none.
func (r *Response) Header(name string) string {
	for _, f := range r.Headers {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// Body reads the answer's body, from its beginning each time.
func (r *Response) Body() io.Reader { return &bodyReader{handle: r.handle} }

// Bytes is the whole body.
func (r *Response) Bytes() ([]byte, error) {
	if r.body != nil {
		return r.body, nil
	}
	all := bytes.NewBuffer(make([]byte, 0, r.Size+bytes.MinRead))
	if _, err := all.ReadFrom(r.Body()); err != nil {
		return nil, err
	}
	r.body = all.Bytes()
	return r.body, nil
}

// String is one value of a body in JSON, by its path: names and indexes with dots between
// them, such as choices.0.message.content. A string is as it reads, anything else as it
// is written; empty if there is no such value, or no JSON.
func (r *Response) String(path string) string {
	doc, err := r.Bytes()
	if err != nil {
		return ""
	}
	v, _ := lookUp(doc, path)
	return v
}

type bodyReader struct {
	handle int32
	off    int64
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := host.HTTPRead(r.handle, r.off, p)
	r.off += int64(n)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}
