package rest

import (
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Every route is in the document, and the document has no other.
func TestOpenAPIRoutes(t *testing.T) {
	raw, err := openapiJSON()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			documented[method+" "+path] = op.OperationID
		}
	}
	for _, r := range routes {
		path := r.Path
		for s := range strings.SplitSeq(path, "/") {
			if name, ok := strings.CutPrefix(s, ":"); ok {
				path = strings.Replace(path, s, "{"+name+"}", 1)
			}
		}
		if id := documented[r.Method+" "+path]; id != r.Operation {
			t.Errorf("%s %s is %q in the document, %q in the table", r.Method, path, id, r.Operation)
		}
		delete(documented, r.Method+" "+path)
	}
	for route := range documented {
		t.Errorf("%s is in the document and not in the table", route)
	}
}
