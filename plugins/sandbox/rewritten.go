package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/centerleap/postern/plugins/sandbox/rewrite"
)

// rewritten keeps rewritten modules on disk, beside what was compiled of them: to rewrite
// one of Go takes longer than to load its compiled code. A module is found by its bytes, by
// what it was held to and by the version of the rewrite, so one that was taken once and
// would be refused now is not found. What can't be read or written is made anew.
type rewritten struct {
	dir    string // empty: nothing is kept
	heldTo []byte // digest of version and Config
	most   int    // files, and
	bytes  int64  // what they hold together; the oldest ones go
}

// How many files there are at most, and their bytes; ours. One of Go takes 4 MB, one that
// was made to be large 32.
const (
	mostRewritten      = 64
	mostRewrittenBytes = 256 << 20
)

func newRewritten(dir string, cfg *rewrite.Config) (*rewritten, error) {
	if dir == "" {
		return &rewritten{}, nil
	}
	doc, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append(rewrite.Version(), doc...))
	r := &rewritten{dir: filepath.Join(dir, "rewritten"), heldTo: sum[:], most: mostRewritten, bytes: mostRewrittenBytes}
	return r, os.MkdirAll(r.dir, 0o700)
}

// module is rewrite.Module.
func (r *rewritten) module(wasm []byte, cfg *rewrite.Config) ([]byte, *rewrite.Info, error) {
	if r.dir == "" {
		return rewrite.Module(wasm, cfg)
	}
	key := sha256.New()
	key.Write(r.heldTo)
	key.Write(wasm)
	file := filepath.Join(r.dir, hex.EncodeToString(key.Sum(nil)))
	if code, info, err := readRewritten(file); err == nil {
		return code, info, nil
	}
	code, info, err := rewrite.Module(wasm, cfg)
	if err == nil && r.write(file, code, info) == nil {
		r.trim()
	}
	return code, info, err
}

// A file is a checksum of what follows, how long Info is, Info in JSON, and the module.
const (
	checksumBytes = 4
	headBytes     = checksumBytes + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errDamaged is a file that is not as it was written.
var errDamaged = errors.New("sandbox: a rewritten module is damaged")

func readRewritten(file string) ([]byte, *rewrite.Info, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	if len(content) < headBytes || crc32.Checksum(content[checksumBytes:], castagnoli) != binary.LittleEndian.Uint32(content) {
		return nil, nil, errDamaged
	}
	size, rest := binary.LittleEndian.Uint32(content[checksumBytes:]), content[headBytes:]
	if int64(size) > int64(len(rest)) {
		return nil, nil, errDamaged
	}
	info := &rewrite.Info{}
	return rest[size:], info, json.Unmarshal(rest[:size], info)
}

func (r *rewritten) write(file string, code []byte, info *rewrite.Info) error {
	doc, err := json.Marshal(info)
	if err != nil {
		return err
	}
	content := slices.Concat(make([]byte, headBytes), doc, code)
	binary.LittleEndian.PutUint32(content[checksumBytes:], uint32(len(doc)))
	binary.LittleEndian.PutUint32(content, crc32.Checksum(content[checksumBytes:], castagnoli))
	to, err := os.CreateTemp(r.dir, "new-*")
	if err != nil {
		return err
	}
	_, err = to.ReadFrom(bytes.NewReader(content))
	if err = errors.Join(err, to.Close()); err == nil {
		err = os.Rename(to.Name(), file)
	}
	if err != nil {
		_ = os.Remove(to.Name()) // there may be none
	}
	return err
}

// trim removes the files written longest ago, if there are too many or they are too large.
func (r *rewritten) trim() {
	all, err := os.ReadDir(r.dir)
	if err != nil {
		return
	}
	files := make([]fs.FileInfo, 0, len(all))
	for _, f := range all {
		if info, err := f.Info(); err == nil { // or it is gone
			files = append(files, info)
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	left := r.bytes
	for i, f := range files {
		if left -= f.Size(); i >= r.most || left < 0 {
			_ = os.Remove(filepath.Join(r.dir, f.Name())) // somebody else may have
		}
	}
}
