package dashboard

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"io/fs"
	"mime"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

//go:embed pages static
var files embed.FS

// view is what every page's template sees; Data is the page's own.
type view struct {
	Title  string
	Page   string // the template's name
	Path   string // of the page, without the prefix and query
	Level  string // of the key: instance, domain or account; "" for who is not signed in
	Key    string // as it is displayed
	Domain string // the page's, or the last one looked at
	Own    string // an account key's own address
	Notice string
	Now    time.Time
	Data   any
}

// show writes a page.
func (d *Dashboard) show(v *visit, status int, page, title string, data any) error {
	pages, err := d.pages()
	if err != nil {
		return err
	}
	t := pages[page]
	if t == nil {
		return fmt.Errorf("dashboard: there is no template %q", page)
	}
	out := view{Title: title, Page: page, Path: strings.TrimPrefix(v.c.Path(), prefix), Now: d.clock(), Data: data}
	if v.signin != nil {
		d.describe(v, &out)
	}
	var b bytes.Buffer
	if err := t.ExecuteTemplate(&b, "layout", &out); err != nil {
		return fmt.Errorf("dashboard: page %s: %w", page, err)
	}
	v.c.Set("Content-Type", "text/html; charset=utf-8")
	return v.c.Status(status).Send(b.Bytes())
}

// describe fills in who is signed in and where they are.
func (d *Dashboard) describe(v *visit, out *view) {
	key := v.signin.session.Key()
	out.Key, out.Level, out.Notice = key.Display(), key.Level.String(), v.signin.told()
	switch {
	case v.domain != nil:
		out.Domain = v.domain.Name
	case key.Domain == 0:
		out.Domain = v.signin.visited()
	default:
		if dom, err := d.cfg.Domains.ByID(v.ctx, v.signin.session.Scope(), key.Domain); err == nil {
			out.Domain = dom.Name
		}
	}
	if key.Account != 0 {
		if a, err := d.cfg.Domains.AccountByID(v.ctx, v.signin.session.Scope(), key.Domain, key.Account); err == nil {
			out.Own = a.Email
		}
	}
}

// parse reads every page: layout.html and part-*.html are in each.
func (d *Dashboard) parse(from fs.FS) (map[string]*template.Template, error) {
	base, err := template.New("").Funcs(d.funcs()).ParseFS(from, "pages/layout.html", "pages/part-*.html")
	if err != nil {
		return nil, err
	}
	all, err := fs.Glob(from, "pages/*.html")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]*template.Template)
	for _, file := range all {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || strings.HasPrefix(name, "part-") {
			continue
		}
		t, err := base.Clone()
		if err != nil {
			return nil, err
		}
		if pages[name], err = t.ParseFS(from, file); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// funcs are what templates may call.
func (d *Dashboard) funcs() template.FuncMap {
	return template.FuncMap{
		"ui":       func(parts ...string) string { return prefix + "/" + joined(parts) },
		"asset":    d.assets.path,
		"stamp":    stamp,
		"day":      func(t time.Time) string { return t.UTC().Format("2006-01-02") },
		"hour":     func(t time.Time) string { return t.UTC().Format("01-02 15:00") },
		"ago":      ago,
		"in":       in,
		"bytes":    size,
		"once":     token,
		"rfc":      func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"clock":    func(t time.Time) string { return t.UTC().Format(time.TimeOnly) },
		"held":     heldBy,
		"origin":   origin,
		"status":   func(words string) string { code, _ := gateway.StatusClass(words); return code },
		"about":    func(words string) string { _, class := gateway.StatusClass(words); return class },
		"fate":     func(reason string) string { what, _, _ := strings.Cut(reason, ": "); return what },
		"said":     func(reason string) string { _, line, _ := strings.Cut(reason, ": "); return line },
		"words":    func(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "_", " ") },
		"here":     here,
		"dict":     dict,
		"answered": answered,
		"decision": func(hook string, a gateway.Action) string { return actionName(gateway.Hook(hook), a) },
		"parent":   path.Dir,
		"list":     func(all ...any) []any { return all },
		"link":     func(to, name string) place { return place{to, name, false} },
		"tab":      func(name, to, at string) place { return place{to, name, prefix+at == to} },
	}
}

// place is a link of a tab or a trail.
type place struct {
	To, Name string
	Here     bool
}

// here reports whether a page lies at or under an entry of the navigation. Under a
// domain the longest entry counts, and the domain's own tabs are below Domains.
func here(path, to string) bool {
	path, to = strings.TrimSuffix(prefix+path, "/"), strings.TrimSuffix(to, "/")
	if path == to {
		return true
	}
	under, ok := strings.CutPrefix(path, to+"/")
	if !ok || to == prefix {
		return false
	}
	section := strings.Split(under, "/")
	return to != prefix+"/domains" || len(section) < 2 || section[1] == "keys" || section[1] == "overview"
}

// joined is a path of segments, each escaped.
func joined(parts []string) string {
	out := make([]string, len(parts))
	for i, p := range parts {
		out[i] = url.PathEscape(p)
	}
	return strings.Join(out, "/")
}

// stamp is a moment for people: UTC, to the second.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// ago is how long before now something was, in its largest unit.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	since := now.Sub(t)
	switch {
	case since < time.Minute:
		return "just now"
	case since < time.Hour:
		return counted(int(since/time.Minute), "minute") + " ago"
	case since < 48*time.Hour:
		return counted(int(since/time.Hour), "hour") + " ago"
	}
	return counted(int(since/(24*time.Hour)), "day") + " ago"
}

// in is how long after now something will be, in its largest unit.
func in(t, now time.Time) string {
	switch wait := t.Sub(now); {
	case wait < time.Minute:
		return "in a moment"
	case wait < time.Hour:
		return "in " + counted(int(wait/time.Minute), "minute")
	case wait < 48*time.Hour:
		return "in " + counted(int(wait/time.Hour), "hour")
	default:
		return "in " + counted(int(wait/(24*time.Hour)), "day")
	}
}

// counted is a number with its unit. The plural adds an s, unless it is given.
func counted(n int, unit string, plural ...string) string {
	switch {
	case n == 1:
	case len(plural) > 0:
		unit = plural[0]
	default:
		unit += "s"
	}
	return strconv.Itoa(n) + " " + unit
}

// size is a number of bytes for people.
func size(n int64) string {
	const unit = 1 << 10
	switch {
	case n < unit:
		return counted(int(n), "byte")
	case n < unit*unit:
		return fmt.Sprintf("%.1f KiB", float64(n)/unit)
	case n < unit*unit*unit:
		return fmt.Sprintf("%.1f MiB", float64(n)/unit/unit)
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/unit/unit/unit)
}

// dict hands several values to a part of a page: names and values in turn.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict: %d values are no pairs", len(pairs))
	}
	out := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		out[name] = pairs[i+1]
	}
	return out, nil
}

// assets are the files of static/, each under a name that changes with it.
type assets map[string]asset

type asset struct {
	body    []byte
	media   string
	version string
}

func newAssets(from fs.FS) (assets, error) {
	all := make(assets)
	err := fs.WalkDir(from, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		body, err := fs.ReadFile(from, name)
		digest := sha256.Sum256(body)
		all[name] = asset{body, mime.TypeByExtension(path.Ext(name)), hex.EncodeToString(digest[:6])}
		return err
	})
	return all, err
}

// path is where a page finds a file.
func (a assets) path(name string) (string, error) {
	file, ok := a[name]
	if !ok {
		return "", fmt.Errorf("there is no file %q in static", name)
	}
	return prefix + "/static/" + name + "?v=" + file.version, nil
}

// static answers with a file, which a browser may keep: another one has another name.
func (d *Dashboard) static(v *visit) error {
	file, ok := d.assets[v.param("*")]
	if !ok {
		return gateway.Errorf(gateway.NotFound, "there is no such file")
	}
	v.c.Set("Content-Type", file.media)
	if v.c.Query("v") == file.version {
		v.c.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	return v.c.Status(fiber.StatusOK).Send(file.body)
}
