package gateway

import (
	"testing"
	"time"
)

func TestActivityFilterSet(t *testing.T) {
	id := "01900000-0000-7000-8000-000000000000"
	tests := []struct {
		name, value string
		ok          bool
	}{
		{"key_id", id, true},
		{"key_id", "x", false},
		{"after", id, true},
		{"after", "1", false},
		{"before", id, true},
		{"before", "newest", false},
		{"since", "2026-03-19T18:00:00Z", true},
		{"until", "2026-03-19T18:00:00+02:00", true},
		{"since", "yesterday", false},
		{"until", "2026-03-19", false},
		{"tag", "campaign", true},
		{"tag", "campaign:spring", true},
		{"tag", "campaign:", false},
		{"protocol", "imap", true},
		{"protocol", "pop", false},
		{"status", "404", true},
		{"status", "99", false},
		{"status", "600", false},
		{"status", "ok", false},
		{"status", "", true},
	}
	for _, tt := range tests {
		t.Run(tt.name+"="+tt.value, func(t *testing.T) {
			var f ActivityFilter
			err := f.Set(tt.name, tt.value)
			if tt.ok != (err == nil) {
				t.Fatalf("error %v", err)
			}
			if err != nil && AsError(err).Field != tt.name {
				t.Errorf("the error names %q", AsError(err).Field)
			}
		})
	}
	var f ActivityFilter
	for _, name := range ActivityConditions {
		values := map[string]string{"key_id": id, "after": id, "before": id, "since": "2026-03-19T18:00:00Z", "until": "2026-03-20T18:00:00Z", "tag": "a:b", "protocol": "rest", "status": "200"}
		if err := f.Set(name, values[name]); err != nil {
			t.Fatal(err)
		}
	}
	if f.Key.IsZero() || f.Before.IsZero() || f.Newer.IsZero() || f.Until.Sub(f.Since) != 24*time.Hour || f.Tag.Name != "a" || f.Protocol != "rest" || f.Status != 200 {
		t.Errorf("%+v", f)
	}
}
