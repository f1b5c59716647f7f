package serve

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func smallBackup(t *testing.T, snapshot []byte, files ...keptFile) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := newBackupWriter(&out)
	if err != nil {
		t.Fatal(err)
	}
	err = w.info(BackupInfo{CreatedAt: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)})
	for _, f := range files {
		err = errors.Join(err, w.file(f))
	}
	_, writeErr := w.Write(snapshot)
	if err = errors.Join(err, writeErr, w.end()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What was written is read, and every flipped bit, cut and addition is noticed.
func TestBackupFile(t *testing.T) {
	snapshot := []byte("the snapshot of a store")
	kept := keptFile{name: "tls/ca.key", mode: 0o600, data: []byte("secret")}
	whole := smallBackup(t, snapshot, kept, keptFile{name: "postern.toml", mode: 0o644})
	var files []keptFile
	b, err := openBackup(bytes.NewReader(whole), func(f keptFile) error {
		files = append(files, f)
		return f.check()
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, snapshot) {
		t.Errorf("%q, %v", got, err)
	}
	if len(files) != 2 || files[0].name != kept.name || files[0].mode != kept.mode || !bytes.Equal(files[0].data, kept.data) || files[1].mode != 0o644 {
		t.Errorf("%+v", files)
	}
	if info, n, err := ReadBackup(bytes.NewReader(whole)); err != nil || n != int64(len(whole)) || info.CreatedAt.Year() != 2026 {
		t.Errorf("%v, %d of %d bytes, %v", info, n, len(whole), err)
	}
	for i := range whole {
		for bit := range 8 {
			bad := slices.Clone(whole)
			bad[i] ^= 1 << bit
			if _, _, err := ReadBackup(bytes.NewReader(bad)); err == nil {
				t.Errorf("bit %d of byte %d is flipped, and nothing is noticed", bit, i)
			}
		}
		if _, _, err := ReadBackup(bytes.NewReader(whole[:i])); err == nil || errors.Is(err, io.EOF) {
			t.Errorf("cut after %d bytes: %v", i, err)
		}
	}
	if _, _, err := ReadBackup(bytes.NewReader(append(whole, 0))); err == nil {
		t.Error("a byte follows, and nothing is noticed")
	}
}

// Large writes become several items.
func TestBackupPieces(t *testing.T) {
	snapshot := bytes.Repeat([]byte("0123456789"), maxPiece/4)
	b, err := openBackup(bytes.NewReader(smallBackup(t, snapshot)), keptFile.check)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(b); err != nil || !bytes.Equal(got, snapshot) {
		t.Errorf("%d bytes of %d, %v", len(got), len(snapshot), err)
	}
}

// A backup can't bring a file to where it likes.
func TestBackupNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"tls/ca.pem": true, "tls/server.key": true, "postern.toml": true,
		"": false, "tls": false, "tls/": false, "tls/.ca.pem.1": false, "tls/x/y": false, "tls/../x": false, "../x.toml": false, "/x.toml": false,
		"x/y.toml": false, ".x.toml": false, "store/VERSION": false, "tls/../../x.toml": false, "postern.sock": false,
	} {
		if err := (keptFile{name: name}).check(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
	err := keptFile{name: "postern.toml", data: make([]byte, maxFile+1)}.check()
	if err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("a large file: %v", err)
	}
}

func FuzzReadBackup(f *testing.F) {
	f.Add([]byte(backupMagic + "i\x00\x00\x00\x02{}s\x00\x00\x00\x01x"))
	f.Add([]byte(backupMagic + "i\x00\x00\x00\x02{}f\x00\x00\x00\x05\x01\x80\x00\x01a"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, n, err := ReadBackup(bytes.NewReader(raw)); err == nil && n != int64(len(raw)) {
			t.Errorf("%d bytes of %d make a backup", n, len(raw))
		}
	})
}
