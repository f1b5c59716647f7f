package main

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// Why a secret can't be read is said: there is no line, or it is too long.
func TestSecretFromInput(t *testing.T) {
	for _, tt := range []struct {
		name, in string
		want     error
	}{
		{"a line", "hush\n", nil},
		{"nothing", "", io.EOF},
		{"too long", strings.Repeat("x", bufio.MaxScanTokenSize), bufio.ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := (&pluginSettings{}).change(nil, nil, []string{"key"}, strings.NewReader(tt.in)); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
}
