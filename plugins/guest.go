package plugins

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// guest is one plugin during one call: it answers what the plugin asks for, and
// gathers what it decides. It satisfies sandbox.Host. An abi.Errno is the plugin's
// to handle; any other error is ours and ends the call.
type guest struct {
	ctx     context.Context // of the call
	plugins *Plugins
	scope   gateway.Scope // of the domain
	inst    *gateway.Plugin
	now     time.Time
	*view

	reader  partReader
	used    int64 // bytes of its KV,
	counted int   // if asked: 1 as noted, 2 counted anew

	verdict gateway.Verdict
	reason  string // of the verdict, for the tenant
	refused error  // why the last verdict can't be acted on
	writes  []gateway.PluginWrite
	thread  []byte // the conversation, if it was asked for
	intents []gateway.Intent
	sent    int64 // bytes of them
	asked   int   // requests made
	answers []answer
	tried   map[string]*cell     // counters, as a dry run sees them
	lines   []gateway.PluginLine // said so far
}

// newGuest is the next one that a view is shown to: whoever was before has been closed.
func newGuest(ctx context.Context, p *Plugins, s gateway.Scope, inst *gateway.Plugin, v *view, now time.Time) *guest {
	g := &v.guest
	*g = guest{ctx: ctx, plugins: p, scope: s, inst: inst, view: v, now: now}
	if v.look.Message != nil {
		g.reader.budget = 2*v.look.Message.Blob.Size + partSlack
	}
	return g
}

func (g *guest) close() { g.reader.close() }

// may reports whether the plugin was granted a permission.
func (g *guest) may(permission string) bool { return slices.Contains(g.inst.Grants, permission) }

// Event is the event document.
func (g *guest) Event() ([]byte, error) { return g.document() }

// Get is one value of it.
func (g *guest) Get(path string) (string, error) {
	v, ok, err := g.value(path)
	if err == nil && !ok {
		err = abi.Absent
	}
	return v, err
}

// Header is one header field; -1 is the last one of that name.
func (g *guest) Header(name string, index int) (string, error) {
	fields, err := g.header()
	if err != nil {
		return "", err
	}
	if index == -1 {
		index = count(fields, name) - 1
	}
	for i := range fields {
		if !strings.EqualFold(fields[i].Name, name) {
			continue
		}
		if index == 0 {
			return fields[i].Value, nil
		}
		index--
	}
	return "", abi.Absent
}

// HeaderCount is how often a field stands in the header.
func (g *guest) HeaderCount(name string) (int, error) {
	fields, err := g.header()
	return count(fields, name), err
}

func count(fields []gateway.HeaderField, name string) (n int) {
	for i := range fields {
		if strings.EqualFold(fields[i].Name, name) {
			n++
		}
	}
	return n
}

// Part reads decoded bytes of a part from an offset on.
func (g *guest) Part(part int, off int64, p []byte) (int, error) {
	if part == -1 && !g.may(abi.PermitRaw) {
		return 0, abi.Denied
	}
	if g.look.Reading == nil {
		return 0, abi.Absent
	}
	return g.reader.read(g.look.Reading, part, off, p)
}

// Verdict takes the plugin's decision; the last one counts.
func (g *guest) Verdict(doc []byte) error {
	v, err := g.judge(doc)
	g.verdict, g.refused = v, err
	if err != nil {
		g.reason = ""
	}
	if errno, ok := errors.AsType[abi.Errno](err); ok {
		return errno
	}
	return err
}

// hostLines is how many lines the gateway may add to those of a plugin; ours.
const hostLines = 8

// Log keeps a line for the tenant. What the plugin says is bounded before it comes
// here; this bounds what we say about it.
func (g *guest) Log(level int, text string) {
	lim := &g.plugins.cfg.Limits
	if int64(len(g.lines)) >= lim.PluginLogLines+hostLines {
		return
	}
	g.lines = append(g.lines, gateway.PluginLine{Level: gateway.LineLevelOf(level), Text: cut(text, lim.PluginLogLine)})
}

// cut is the start of a text, whole characters of at most most bytes.
func cut(text string, most int64) string {
	return strings.ToValidUTF8(text[:min(int64(len(text)), most)], "")
}

// Config is one value of the installation's configuration, or one of its secrets.
func (g *guest) Config(key string) (string, error) {
	if v, ok := g.inst.Config[key]; ok {
		return v, nil
	}
	if v, ok := g.inst.Secrets[key]; ok {
		return v.Reveal(), nil
	}
	return "", abi.Absent
}

// Now is the time of the call, in milliseconds.
func (g *guest) Now() int64 { return g.now.UnixMilli() }

// partSlack is what a plugin may read of parts over twice the message's size; ours.
const partSlack = 64 << 10

// partReader reads parts by ranges: on in the part it has open, from the start
// again for what lies before. A budget bounds the work.
type partReader struct {
	open   io.ReadCloser
	part   int
	at     int64
	budget int64
}

func (r *partReader) read(from gateway.Reading, part int, off int64, p []byte) (n int, err error) {
	if off < 0 {
		return 0, abi.BadArgument
	}
	if r.open == nil || r.part != part || off < r.at {
		r.close()
		if r.open, err = from.Part(part); gateway.KindOf(err) == gateway.NotFound && err != nil {
			r.open = nil
			return 0, abi.Absent
		} else if err != nil {
			return 0, err
		}
		r.part, r.at = part, 0
	}
	skipped, err := io.CopyN(io.Discard, r.open, min(off-r.at, r.budget))
	r.at += skipped
	r.budget -= skipped
	if errors.Is(err, io.EOF) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	if r.at < off || r.budget <= 0 {
		return 0, abi.OverQuota
	}
	n, err = io.ReadFull(r.open, p[:min(int64(len(p)), r.budget)])
	r.at += int64(n)
	r.budget -= int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

func (r *partReader) close() {
	if r.open != nil {
		_ = r.open.Close() // it was only read
		r.open = nil
	}
}
