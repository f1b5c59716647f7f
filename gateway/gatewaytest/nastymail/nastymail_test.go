package nastymail

import (
	"testing"
)

func TestCases(t *testing.T) {
	seen, smtp := make(map[string]bool), 0
	for _, c := range Cases() {
		if seen[c.Name] || c.Name == "" || c.Raw == "" {
			t.Errorf("%q has no name of its own, or no bytes", c.Name)
		}
		seen[c.Name] = true
		if c.CanSMTP() {
			smtp++
		}
	}
	if len(seen) < 60 || smtp < 60 {
		t.Errorf("there are %d cases, %d of them for SMTP", len(seen), smtp)
	}
}
