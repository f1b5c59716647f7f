package gateway

import "testing"

func TestStatusClass(t *testing.T) {
	tests := []struct{ words, code, class string }{
		{"5.1.1 nobody of that name", "5.1.1", "address"},
		{"5.2.2", "5.2.2", "mailbox"},
		{"4.4.7 it took too long", "4.4.7", "network and routing"},
		{"5.7.26 not authenticated", "5.7.26", "security or policy"},
		{"5.9.9 what", "5.9.9", "other"},
		{"no such user", "", ""},
		{"3.1.1 what", "", ""},
		{"5.1 what", "", ""},
		{"5.01.1 what", "", ""},
		{"5.1.1000 what", "", ""},
		{"5.-1.1 what", "", ""},
		{"", "", ""},
	}
	for _, tt := range tests {
		if code, class := StatusClass(tt.words); code != tt.code || class != tt.class {
			t.Errorf("StatusClass(%q) = %q, %q, want %q, %q", tt.words, code, class, tt.code, tt.class)
		}
	}
}
