package rest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/rest"
)

// transport is what the tests' clients use, below the witness.
var transport = http.DefaultTransport.(*http.Transport).Clone()

// seen is what the gateways of all tests have answered.
var seen = &witness{statuses: make(map[string]bool), names: make(map[string]bool)}

// compiled is where plugins are compiled to, once for all tests: with the race
// detector it takes many seconds.
var compiled string

// TestMain holds the tests together to the document: whatever it promises, one of
// them has got. It asks only when all of them ran.
func TestMain(m *testing.M) {
	flag.Parse()
	http.DefaultTransport = seen
	dir, err := os.MkdirTemp("", "compiled")
	if err != nil {
		panic(err)
	}
	compiled = dir
	code := m.Run()
	os.RemoveAll(dir)
	if code == 0 && whole() {
		for _, fault := range seen.faults() {
			fmt.Fprintln(os.Stderr, fault)
			code = 1
		}
	}
	os.Exit(code)
}

// whole reports whether every test was asked for.
func whole() bool {
	for _, name := range []string{"run", "skip", "fuzz", "list"} {
		if f := flag.Lookup("test." + name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	f := flag.Lookup("test.fuzzworker")
	return f == nil || f.Value.String() != "true"
}

// witness is a transport that notes which operation answered with which status and
// error.
type witness struct {
	mu       sync.Mutex
	statuses map[string]bool // "operation status"
	names    map[string]bool // of errors
}

func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return resp, err
	}
	var name struct{ Name string }
	if resp.StatusCode >= 400 && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(raw))
		_ = json.Unmarshal(raw, &name) // what is no JSON has no name
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if op := rest.Operation(req.Method, req.URL.EscapedPath()); op != "" {
		w.statuses[fmt.Sprint(op, " ", resp.StatusCode)] = true
	}
	if name.Name != "" {
		w.names[name.Name] = true
	}
	return resp, nil
}

// untold are the statuses that no request alone can cause.
var untold = map[string]string{
	"500": "it needs a fault of ours, and none is known",
	"503": "it needs a busy gateway or a full disk; TestBusy shows one",
}

// faults compares what was seen with the document and the table of kinds.
func (w *witness) faults() (out []string) {
	doc, err := document()
	if err != nil {
		return []string{err.Error()}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	documented := make(map[string]bool)
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			for status := range op.Responses.Map() {
				documented[op.OperationID+" "+status] = true
				if !w.statuses[op.OperationID+" "+status] && untold[status] == "" {
					out = append(out, "no test gets "+op.OperationID+" to answer "+status)
				}
			}
		}
	}
	for s := range w.statuses {
		if !documented[s] {
			out = append(out, s+" is not in the document")
		}
	}
	for _, k := range gateway.Kinds() {
		if !w.names[k.String()] && k != gateway.Internal { // see untold
			out = append(out, "no test produces "+k.String())
		}
	}
	return out
}

// document is the contract, as it is in the folder.
func document() (*openapi3.T, error) {
	raw, err := os.ReadFile("openapi.yaml")
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(raw)
}
