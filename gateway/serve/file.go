package serve

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// maxFile bounds a configuration file; a full one has 4 KiB.
const maxFile = 1 << 20

// LoadFile applies a TOML file. The error lists every fault of it, each with its
// line, in their order.
func (c *Config) LoadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = fmt.Errorf("the file is larger than %d bytes", maxFile)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return c.load(path, raw)
}

func (c *Config) load(path string, raw []byte) error {
	var doc map[string]any
	if err := toml.Unmarshal(raw, &doc); err != nil {
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := d.Position()
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	var faults []error
	for _, at := range places(raw) {
		if err := c.assign(at, doc); err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %s: %w", path, at.line, at.name(), err))
		}
	}
	return errors.Join(faults...)
}

// place is where a file names a table or a key.
type place struct {
	path []string
	line int
	list bool // [[path]]
	key  bool // path = value, else [path]
}

func (p place) name() string { return strings.Join(p.path, ".") }

// places lists the tables and keys of a valid file, in their order. The values
// come from the decoder; it does not tell where they stand.
func places(raw []byte) (all []place) {
	var p unstable.Parser
	p.Reset(raw)
	var within []string
	for p.NextExpression() {
		switch n := p.Expression(); n.Kind {
		case unstable.Table, unstable.ArrayTable:
			at := place{list: n.Kind == unstable.ArrayTable}
			at.path, at.line = keyOf(&p, n)
			within = at.path
			all = append(all, at)
		case unstable.KeyValue:
			all = append(all, pairs(&p, n, within)...)
		}
	}
	return all
}

// pairs is one assignment, or those inside an inline table.
func pairs(p *unstable.Parser, n *unstable.Node, within []string) (all []place) {
	path, line := keyOf(p, n)
	path = slices.Concat(within, path)
	if v := n.Value(); v.Kind == unstable.InlineTable {
		all = append(all, place{path: path, line: line})
		for kids := v.Children(); kids.Next(); {
			all = append(all, pairs(p, kids.Node(), path)...)
		}
		return all
	}
	return []place{{path: path, line: line, key: true}}
}

func keyOf(p *unstable.Parser, n *unstable.Node) (path []string, line int) {
	for it := n.Key(); it.Next(); {
		k := it.Node()
		path = append(path, string(k.Data))
		if line == 0 {
			line = p.Shape(k.Raw).Start.Line
		}
	}
	return path, line
}

// assign applies what stands at a place, whose type must be the setting's.
func (c *Config) assign(at place, doc map[string]any) error {
	if !at.key {
		switch known := isTable(at.name()); {
		case at.list && known:
			return fmt.Errorf("it stands once, as [%s]", at.name())
		case !known:
			return fmt.Errorf("unknown table; did you mean [%s]?", nearestTable(at.name()))
		}
		return nil
	}
	v, ok := valueAt(doc, at.path)
	if !ok {
		return nil // inside [[...]], which is a fault already
	}
	s := find(at.name())
	if s == nil {
		return c.Set(at.name(), "") // says what may be meant
	}
	if !s.kind.holds(v) {
		return fmt.Errorf("%s is expected, not %v", s.kind, v)
	}
	return c.Set(s.name, plainText(v))
}

// plainText is a decoded value as a variable would hold it.
func plainText(v any) string {
	all, ok := v.([]any)
	if !ok {
		return fmt.Sprint(v)
	}
	items := make([]string, len(all))
	for i, item := range all {
		items[i] = fmt.Sprint(item)
	}
	return strings.Join(items, ",")
}

// holds reports whether a decoded value is of the kind.
func (k kind) holds(v any) bool {
	switch v := v.(type) {
	case []any:
		return k == listKind && !slices.ContainsFunc(v, func(item any) bool {
			text, ok := item.(string)
			return !ok || strings.Contains(text, ",")
		})
	case string:
		return k == textKind || k == sizeKind
	case bool:
		return k == boolKind
	case int64:
		return k == numberKind || k == sizeKind
	}
	return false
}

func valueAt(doc map[string]any, path []string) (any, bool) {
	var v any = doc
	for _, step := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil, false
		}
		if v, ok = m[step]; !ok {
			return nil, false
		}
	}
	return v, true
}

func isTable(name string) bool {
	return slices.ContainsFunc(table, func(s setting) bool { return strings.HasPrefix(s.name, name+".") })
}

func nearestTable(name string) string {
	best, least := "", len(name)+maxName
	for _, s := range table {
		t, _, _ := strings.Cut(s.name, ".")
		if d := distance(name, t); d < least {
			best, least = t, d
		}
	}
	return best
}
