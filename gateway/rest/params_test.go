package rest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// common are the header fields that any request may have; HTTP documents them.
var common = []string{"Authorization", "User-Agent", "Content-Type", "Content-Encoding"}

// code is what the code of this folder says about the parameters it reads.
type code struct {
	t     *testing.T
	funcs map[string][]*ast.FuncDecl   // by name, whatever their receiver
	via   map[string]pass              // those that are told which parameter to look for
	lists map[string]*ast.CompositeLit // variables that hold names, of this package and of the one that all share
}

func readCode(t *testing.T) *code {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	shared, err := filepath.Glob("../*.go")
	if err != nil {
		t.Fatal(err)
	}
	c := &code{t, make(map[string][]*ast.FuncDecl), make(map[string]pass), make(map[string]*ast.CompositeLit)}
	for _, name := range slices.Concat(shared, files) {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && f.Name.Name == "rest" {
				c.funcs[fn.Name.Name] = append(c.funcs[fn.Name.Name], fn)
			}
			c.addLists(d)
		}
	}
	c.findPasses()
	return c
}

// addLists notes the variables of a declaration that are lists.
func (c *code) addLists(d ast.Decl) {
	g, ok := d.(*ast.GenDecl)
	if !ok {
		return
	}
	for _, spec := range g.Specs {
		if v, ok := spec.(*ast.ValueSpec); ok && len(v.Names) == 1 && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.CompositeLit); ok {
				c.lists[v.Names[0].Name] = lit
			}
		}
	}
}

// reads collects what a function reads of a request, and what those that it names
// read: "query limit", "header Range".
func (c *code) reads(name string, out map[string]bool, been map[string]bool) {
	if been[name] {
		return
	}
	been[name] = true
	for _, fn := range c.funcs[name] {
		ast.Inspect(fn.Body, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if in, arg := c.asks(call); in != "" {
				for _, v := range c.names(fn, arg) {
					out[in+" "+v] = true
				}
			}
			switch f := call.Fun.(type) {
			case *ast.Ident:
				c.reads(f.Name, out, been)
			case *ast.SelectorExpr:
				c.reads(f.Sel.Name, out, been)
			}
			return true
		})
	}
}

// asks reports where a call looks for a parameter, and which argument names it: one
// of fiber's own, or a function of ours that passes a name of its own on.
func (c *code) asks(call *ast.CallExpr) (in string, arg ast.Expr) {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || len(call.Args) == 0 {
		return "", nil
	}
	if sel.Sel.Name == "PeekAll" {
		return "header", call.Args[0]
	}
	if x, ok := sel.X.(*ast.SelectorExpr); ok && x.Sel.Name == "c" {
		switch sel.Sel.Name {
		case "Query", "QueryInt", "QueryBool", "QueryFloat":
			return "query", call.Args[0]
		case "Get":
			return "header", call.Args[0]
		case "Queries", "QueryParser", "ReqHeaderParser", "GetReqHeaders":
			c.t.Errorf("%s reads parameters without their names", sel.Sel.Name)
		}
		return "", nil
	}
	if via, ok := c.via[sel.Sel.Name]; ok {
		return via.in, call.Args[via.arg]
	}
	return "", nil
}

// pass is a function that looks for the parameter which an argument of its names.
type pass struct {
	in  string
	arg int
}

// findPasses fills via, until nobody passes a name on that is not there yet.
func (c *code) findPasses() {
	for found := true; found; {
		found = false
		for name, fns := range c.funcs {
			for _, fn := range fns {
				ast.Inspect(fn.Body, func(n ast.Node) bool {
					call, ok := n.(*ast.CallExpr)
					if !ok || c.via[name] != (pass{}) {
						return true
					}
					in, arg := c.asks(call)
					if id, ok := arg.(*ast.Ident); ok && in != "" && slices.Contains(paramsOf(fn), id.Name) {
						c.via[name], found = pass{in, slices.Index(paramsOf(fn), id.Name)}, true
					}
					return true
				})
			}
		}
	}
}

func paramsOf(fn *ast.FuncDecl) (all []string) {
	for _, f := range fn.Type.Params.List {
		for _, id := range f.Names {
			all = append(all, id.Name)
		}
	}
	return all
}

// names are the values of an argument: a literal, or the names a loop runs over.
func (c *code) names(fn *ast.FuncDecl, arg ast.Expr) (all []string) {
	if v, ok := text(arg); ok {
		return []string{v}
	}
	id, ok := arg.(*ast.Ident)
	if ok && slices.Contains(paramsOf(fn), id.Name) {
		return nil // its callers say
	}
	known := false
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		loop, isLoop := n.(*ast.RangeStmt)
		if !isLoop || !ok {
			return true
		}
		for _, v := range []ast.Expr{loop.Key, loop.Value} {
			if v, is := v.(*ast.Ident); !is || v.Name != id.Name {
				continue
			}
			if x := c.list(loop.X); x != nil {
				known = true
				for _, e := range x.Elts {
					if kv, is := e.(*ast.KeyValueExpr); is {
						e = kv.Key
					}
					if v, is := text(e); is {
						all = append(all, v)
					}
				}
			}
		}
		return true
	})
	if !known {
		c.t.Errorf("%s reads a parameter whose name can't be told from the code", fn.Name.Name)
	}
	return all
}

// list is what a loop runs over, if the code says what that is.
func (c *code) list(x ast.Expr) *ast.CompositeLit {
	switch x := x.(type) {
	case *ast.CompositeLit:
		return x
	case *ast.Ident:
		return c.lists[x.Name]
	case *ast.SelectorExpr: // gateway.X
		return c.lists[x.Sel.Name]
	}
	return nil
}

func text(e ast.Expr) (string, bool) {
	lit, ok := e.(*ast.BasicLit)
	if !ok || lit.Kind != token.STRING {
		return "", false
	}
	v, err := strconv.Unquote(lit.Value)
	return v, err == nil
}

// Every parameter that a handler reads is in the document, and the document has no
// other. What a handler reads is taken from the code: no test has to get there.
func TestParameters(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromData(openapiYAML)
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]map[string]bool)
	for _, item := range doc.Paths.Map() {
		for _, op := range item.Operations() {
			documented[op.OperationID] = make(map[string]bool)
			for _, p := range op.Parameters {
				if p.Value.In != "path" {
					documented[op.OperationID][p.Value.In+" "+p.Value.Name] = true
				}
			}
		}
	}
	c, total := readCode(t), 0
	for i := range routes {
		full := runtime.FuncForPC(reflect.ValueOf(routes[i].Handle).Pointer()).Name()
		read := make(map[string]bool)
		c.reads(full[strings.LastIndex(full, ".")+1:], read, make(map[string]bool))
		for _, name := range common {
			delete(read, "header "+name)
		}
		total += len(read)
		if want := documented[routes[i].Operation]; !maps.Equal(read, want) {
			t.Errorf("%s reads %v; the document has %v", routes[i].Operation, slices.Sorted(maps.Keys(read)), slices.Sorted(maps.Keys(want)))
		}
	}
	if total < 50 {
		t.Errorf("only %d parameters were found in the code", total)
	}
}
