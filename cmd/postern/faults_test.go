package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every fault of the libraries has what holds it, and what is named is there.
func TestFaultTable(t *testing.T) {
	raw, err := os.ReadFile("testdata/faults.txt")
	if err != nil {
		t.Fatal(err)
	}
	missing := make(map[string]bool)
	for i := range 18 {
		missing[fmt.Sprint("S", i+1)] = true
	}
	for i := range 23 {
		missing[fmt.Sprint("I", i+1)] = true
	}
	for i := range 16 {
		missing[fmt.Sprint("A", i+1)] = true
	}
	for row := range strings.Lines(string(raw)) {
		if strings.HasPrefix(row, "#") {
			continue
		}
		cells := strings.SplitN(strings.TrimSpace(row), " | ", 3)
		if len(cells) != 3 {
			t.Errorf("%q is no row", row)
			continue
		}
		delete(missing, cells[0])
		kind, holder, _ := strings.Cut(cells[2], " ")
		file, text, _ := strings.Cut(holder, " ")
		if kind == "test" {
			text = "func " + text + "("
		}
		source, err := os.ReadFile(filepath.Join("../..", strings.TrimSuffix(file, ":")))
		if err != nil || kind != "test" && kind != "line" || text == "" || !strings.Contains(string(source), text) {
			t.Errorf("%s: there is no %q in %s (%v)", cells[0], text, file, err)
		}
	}
	for id := range missing {
		t.Errorf("%s has no row", id)
	}
}
