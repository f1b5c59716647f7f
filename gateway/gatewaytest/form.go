package gatewaytest

import (
	"bytes"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
)

// Form is a body of multipart/form-data, each part a file of its name, and its Content-Type.
// Those of a plugin are wasm and manifest.
func Form(parts map[string]string) (body *bytes.Buffer, contentType string) {
	body = new(bytes.Buffer)
	w := multipart.NewWriter(body)
	for name, text := range parts {
		part, err := w.CreateFormFile(name, name)
		if err != nil {
			panic(err) // a buffer takes everything
		}
		_, _ = io.WriteString(part, text)
	}
	w.Close()
	return body, w.FormDataContentType()
}

// Upload sends a form to a path.
func (g *Gateway) Upload(path, key string, parts map[string]string) (int, Answer) {
	g.t.Helper()
	body, contentType := Form(parts)
	req, err := http.NewRequest(http.MethodPost, g.URL+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		g.t.Fatalf("upload: %v", err)
	}
	defer resp.Body.Close()
	var a Answer
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		g.t.Fatalf("upload: %v", err)
	}
	return resp.StatusCode, a
}
