package gateway_test

import (
	"cmp"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The rooms of the house and what each may import of it: the map of the code. A
// new folder fails until it has a line here. Mail flows one way: doors import
// flows, flows import pure knowledge, and nobody below a door imports one.
// Effects reach a flow as interfaces that it declares; serve wires them.
var rooms = map[string]string{
	// Level 0: vocabulary and tools, which import nothing of ours.
	".":                        "", // the SDKs' sources, embedded
	"gateway":                  "",
	"gateway/flow":             "",
	"gateway/safehttp":         "gateway",
	"gateway/telemetry":        "gateway",
	"sdk/abi":                  "",
	"plugins/hostile":          "sdk/abi", // for tests
	"plugins/conformance":      "",        // only tests: SDKs of all languages, held to the contract
	"store/engine":             "",
	"store/seglog":             "",
	"plugins/sandbox/rewrite":  "",
	"plugins/sandbox/snapshot": "",
	// Level 1: knowledge, one question each.
	"gateway/content":   "gateway",
	"gateway/threading": "gateway",
	"gateway/search":    "gateway",
	"gateway/keys":      "gateway",
	"gateway/resolve":   "gateway",
	"gateway/activity":  "gateway",
	"gateway/guard":     "gateway",
	"plugins/sandbox":   "sdk/abi plugins/sandbox/rewrite plugins/sandbox/snapshot",
	"sdk":               "sdk/abi",
	"sdk/sdktest":       "sdk sdk/abi",
	// Level 2: knowledge that asks others; and the store.
	"gateway/mailauth":  "gateway gateway/resolve",
	"gateway/courier":   "gateway gateway/resolve gateway/safehttp",
	"gateway/domains":   "gateway gateway/resolve",
	"gateway/notify":    "gateway gateway/safehttp",
	"store":             "gateway store/engine",
	"store/badgerstore": "store/engine store/seglog",
	"store/pgstore":     "store/engine",
	"store/storetest":   "store/engine",
	// Level 3: the flows.
	"gateway/inbound":    "gateway gateway/flow gateway/content gateway/threading",
	"gateway/outbound":   "gateway gateway/flow gateway/content gateway/threading",
	"gateway/mailbox":    "gateway gateway/flow gateway/content gateway/threading gateway/search",
	"plugins":            "gateway sdk/abi plugins/sandbox",
	"plugins/plugintest": "gateway gateway/content sdk/abi plugins/sandbox plugins",
	// Level 4: the doors.
	"gateway/rest":      "gateway gateway/outbound gateway/mailbox gateway/keys gateway/domains gateway/guard gateway/content",
	"gateway/dashboard": "gateway gateway/outbound gateway/mailbox gateway/keys gateway/domains gateway/guard",
	"gateway/smtpd":     "gateway gateway/inbound gateway/outbound gateway/keys gateway/domains gateway/guard",
	"gateway/imapd":     "gateway gateway/mailbox gateway/keys gateway/domains gateway/guard",
	// Level 5 and 6: who starts it all.
	"gateway/serve":                 "*",
	"gateway/gatewaytest":           "gateway gateway/serve gateway/gatewaytest/imapread",
	"gateway/gatewaytest/imapread":  "", // for tests: reads what an IMAP server says
	"gateway/gatewaytest/nastymail": "", // for tests: mail that is hard to read
	"cmd/postern":                   ". gateway gateway/serve gateway/telemetry plugins/plugintest",
	"examples":                      "sdk sdk/sdktest",
}

// homes are the only rooms that import a library (its prefix, by module path).
var homes = map[string]string{
	"github.com/tetratelabs/wazero":       "plugins/sandbox",
	"github.com/dgraph-io/badger":         "store/badgerstore",
	"github.com/tidwall/btree":            "store/badgerstore",
	"github.com/gofiber/fiber":            "gateway/rest gateway/dashboard",
	"github.com/valyala/fasthttp":         "gateway/rest gateway/dashboard",
	"go.yaml.in/yaml":                     "gateway/rest",
	"github.com/emersion/go-smtp":         "gateway/smtpd gateway/courier",
	"github.com/emersion/go-sasl":         "gateway/smtpd gateway/courier gateway/imapd",
	"github.com/emersion/go-imap":         "gateway/imapd",
	"github.com/emersion/go-message":      "gateway/content",
	"github.com/microcosm-cc/bluemonday":  "gateway/content",
	"github.com/emersion/go-msgauth":      "gateway/mailauth",
	"blitiri.com.ar/go/spf":               "gateway/mailauth",
	"github.com/miekg/dns":                "gateway/resolve gateway/gatewaytest",
	"code.dny.dev/ssrf":                   "gateway/safehttp",
	"github.com/caddyserver/certmagic":    "gateway/serve",
	"github.com/pelletier/go-toml":        "gateway/serve",
	"github.com/prometheus/client_golang": "gateway/serve gateway/telemetry",
	"github.com/spf13/cobra":              "cmd/postern gateway/serve",
	"filippo.io/age":                      "cmd/postern gateway/serve",
	"google.golang.org/protobuf":          "store",
	"github.com/standard-webhooks":        "gateway/notify gateway/gatewaytest",
	"github.com/jackc/pgx":                "store/pgstore",
}

const module = "github.com/centerleap/postern/"

// topLevel are the folders beside single files and dot-folders.
var topLevel = []string{"gateway", "plugins", "sdk", "store", "cmd", "examples"}

// faults of one file of one room.
func faults(room, file string, imports []string) (out []string) {
	allowed, known := rooms[room]
	if !known {
		return []string{fmt.Sprintf("%s is a room without a line in the table of rooms", room)}
	}
	for _, path := range imports {
		if inside, ours := strings.CutPrefix(path+"/", module); ours {
			inside = cmp.Or(strings.TrimSuffix(inside, "/"), ".")
			if allowed != "*" && !slices.Contains(strings.Fields(allowed), inside) {
				out = append(out, fmt.Sprintf("%s: %s may not import %s", file, room, inside))
			}
			continue
		}
		for lib, home := range homes {
			if (path == lib || strings.HasPrefix(path, lib+"/")) && !slices.Contains(strings.Fields(home), room) {
				out = append(out, fmt.Sprintf("%s: %s is at home in %s, not in %s", file, lib, home, room))
			}
		}
	}
	return out
}

func TestRooms(t *testing.T) {
	root := ".."
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		for _, name := range []string{"util.go", "utils.go", "helpers.go", "common.go", "types.go", "misc.go"} {
			if d.Name() == name {
				t.Errorf("%s: a file is named after what it holds", rel)
			}
		}
		if strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(fset, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		room := filepath.ToSlash(filepath.Dir(rel))
		if strings.HasPrefix(room, "examples/") {
			room = "examples"
		}
		for _, fault := range append(faults(room, rel, importsOf(f)), calls(room, rel, f)...) {
			t.Error(fault)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && e.Name() != "bin" && !slices.Contains(topLevel, e.Name()) {
			t.Errorf("%s: folders at the top are %s and dot-folders", e.Name(), strings.Join(topLevel, ", "))
		}
	}
}

func importsOf(f *ast.File) (paths []string) {
	for _, i := range f.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

// forbidden are calls that only some rooms, or none, may make, and why.
var forbidden = []struct{ name, except, why string }{
	{"gateway.NewScope", "gateway/keys", "only the keys room makes scopes"},
	{"BodyParser", "-", "it unpacks gzip without a limit; bodies are read in body.go"},
	{"FormValue", "-", "it reads a body without a limit"},
}

func calls(room, file string, f *ast.File) (out []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		name := sel.Sel.Name
		if x, ok := sel.X.(*ast.Ident); ok && name == "NewScope" {
			name = x.Name + "." + name
		}
		for _, bad := range forbidden {
			if name == bad.name && room != bad.except {
				out = append(out, fmt.Sprintf("%s: %s: %s", file, bad.name, bad.why))
			}
		}
		// fiber's Body, but not that of its Request: c.Body() and k.c.Body().
		if room == "gateway/rest" && name == "Body" {
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == "c" {
				out = append(out, file+": c.Body unpacks gzip without a limit")
			}
			if x, ok := sel.X.(*ast.SelectorExpr); ok && x.Sel.Name == "c" {
				out = append(out, file+": c.Body unpacks gzip without a limit")
			}
		}
		return true
	})
	return out
}

// TestRoomsTable checks the table itself, and that the rules can fail.
func TestRoomsTable(t *testing.T) {
	for room, allowed := range rooms {
		for a := range strings.FieldsSeq(allowed) {
			if _, known := rooms[a]; !known && a != "*" {
				t.Errorf("%s may import %s, which is no room", room, a)
			}
			if strings.Contains(" "+rooms[a]+" ", " "+room+" ") {
				t.Errorf("%s and %s may import each other", room, a)
			}
		}
	}
	for _, tt := range []struct {
		room    string
		imports []string
		want    int
	}{
		{"gateway/rest", []string{module + "gateway", "fmt", "github.com/gofiber/fiber/v2"}, 0},
		{"gateway/rest", []string{module + "store"}, 1},
		{"gateway/inbound", []string{module + "gateway/rest"}, 1},
		{"gateway", []string{module + "gateway/keys"}, 1},
		{"gateway/keys", []string{"github.com/dgraph-io/badger/v4"}, 1},
		{"gateway/rogue", []string{"fmt"}, 1},
	} {
		if got := faults(tt.room, "x.go", tt.imports); len(got) != tt.want {
			t.Errorf("%s importing %v: %v, want %d faults", tt.room, tt.imports, got, tt.want)
		}
	}
	f, err := parser.ParseFile(token.NewFileSet(), "x.go", "package x\nfunc f() { gateway.NewScope(); c.Body(); k.c.Body(); c.Request().Body() }", 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := calls("gateway/rest", "x.go", f); len(got) != 3 {
		t.Errorf("forbidden calls: %v", got)
	}
	if len(slices.Collect(maps.Keys(homes))) == 0 {
		t.Error("no homes")
	}
}
