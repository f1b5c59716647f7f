package rest

import (
	_ "embed" // for the document
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// openapiYAML is the contract as a document. Tests hold it to the table of
// routes and to the answers.
//
//go:embed openapi.yaml
var openapiYAML []byte

// openapiJSON is the document as GET /openapi.json serves it.
func openapiJSON() ([]byte, error) {
	var doc map[string]any
	if err := yaml.Unmarshal(openapiYAML, &doc); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return json.Marshal(doc)
}
