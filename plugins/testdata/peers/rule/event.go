package rule

import "encoding/json"

// FromEvent decides about an event document, and writes the decision as JSON.
func FromEvent(doc []byte) ([]byte, error) {
	var e struct {
		Headers [][2]string `json:"headers"`
	}
	if err := json.Unmarshal(doc, &e); err != nil {
		return nil, err
	}
	return json.Marshal(Decide(func(name string) string {
		for _, f := range e.Headers {
			if f[0] == name {
				return f[1]
			}
		}
		return ""
	}))
}
