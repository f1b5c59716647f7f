package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/rogpeppe/go-internal/testscript"
)

// ageKey: agekey FILE NAME makes an identity of age in FILE, and sets $NAME to its
// recipient.
func ageKey(ts *testscript.TestScript, _ bool, args []string) {
	id, err := age.GenerateX25519Identity()
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(id.String()+"\n"), 0o600))
	ts.Setenv(args[1], id.Recipient().String())
}

// flip FILE COPY copies a file with one bit of its middle flipped.
func flip(ts *testscript.TestScript, _ bool, args []string) {
	raw, err := os.ReadFile(ts.MkAbs(args[0]))
	ts.Check(err)
	raw[len(raw)/2] ^= 1
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), raw, 0o600))
}

// A backup that breaks off leaves no file, and the one from before as it was:
// whether the connection is cut, or somebody between makes a short answer look
// whole.
func TestBackupBreaksOff(t *testing.T) {
	const begin = "postern backup 1\ni\x00\x00\x00\x02{}s\x00\x00\x00\x05snaps"
	for what, answer := range map[string]http.HandlerFunc{
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, begin)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"short":          func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, begin) },
		"something else": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"nothing":        func(http.ResponseWriter, *http.Request) {},
	} {
		for _, sealed := range []bool{false, true} {
			server := httptest.NewServer(answer)
			t.Setenv("POSTERN_URL", server.URL)
			file := filepath.Join(t.TempDir(), "backup")
			if err := os.WriteFile(file, []byte("the one before"), 0o600); err != nil {
				t.Fatal(err)
			}
			args := []string{"backup", "create", file, "--force"}
			if sealed {
				id, err := age.GenerateX25519Identity()
				if err != nil {
					t.Fatal(err)
				}
				args = append(args, "--recipient", id.Recipient().String())
			}
			var stdout, stderr bytes.Buffer
			if code := run(args, &stdout, &stderr); code != 1 || stdout.Len() > 0 || !strings.Contains(stderr.String(), "postern: ") {
				t.Errorf("%s: exit %d, %q, %q", what, code, stdout.String(), stderr.String())
			}
			if raw, err := os.ReadFile(file); err != nil || string(raw) != "the one before" {
				t.Errorf("%s: the backup of before is %q, %v", what, raw, err)
			}
			if left, err := filepath.Glob(file + "?*"); err != nil || len(left) > 0 {
				t.Errorf("%s leaves %v, %v", what, left, err)
			}
			server.Close()
		}
	}
}
