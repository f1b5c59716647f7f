package dashboard

import (
	"net/url"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// linePage is a plugin's log, the newest lines first.
type linePage struct {
	pluginRow
	Base  string
	Level string
	Lines []gateway.PluginLine
	Next  string // the address of the next page, "" at the end
}

// Levels are what the log can be narrowed to.
func (linePage) Levels() []choice {
	return []choice{{"debug", "all"}, {"info", "info and above"}, {"warning", "warnings and errors"}, {"error", "errors"}}
}

func (d *Dashboard) pluginLog(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	page := linePage{pluginRow: d.pluginRow(v, *p), Base: v.pluginPath(p), Level: v.c.Query("level", "debug")}
	f := gateway.LineFilter{Limit: pageSize}
	if f.Level, err = gateway.ParseLineLevel(page.Level); err != nil {
		return err
	}
	if before := v.c.Query("before"); before != "" {
		if f.Beyond, err = strconv.ParseUint(before, 10, 64); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "before", "before is the number of a line")
		}
	}
	lines, err := d.cfg.Plugins.Lines(v.ctx, v.scope, p.ID, f)
	if err != nil {
		return err
	}
	if page.Lines = lines.Lines; lines.More && len(page.Lines) > 0 {
		last := page.Lines[len(page.Lines)-1].Sequence
		page.Next = "?" + url.Values{"level": {page.Level}, "before": {strconv.FormatUint(last, 10)}}.Encode()
	}
	return d.show(v, fiber.StatusOK, "pluginlog", p.Name, &page)
}

// failurePage is what a plugin's event hook could not do.
type failurePage struct {
	pluginRow
	Base     string
	Failures []gateway.Failure
	Next     string // the address of the next page, "" at the end
}

func (d *Dashboard) pluginFailures(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	var before uint64
	if s := v.c.Query("before"); s != "" {
		if before, err = strconv.ParseUint(s, 10, 64); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "before", "before is the number of a failure")
		}
	}
	all, err := d.cfg.Plugins.Failures(v.ctx, v.scope, p.ID, before, pageSize)
	if err != nil {
		return err
	}
	page := failurePage{pluginRow: d.pluginRow(v, *p), Base: v.pluginPath(p), Failures: all.Failures}
	if all.More && len(all.Failures) > 0 {
		page.Next = "?before=" + strconv.FormatUint(all.Failures[len(all.Failures)-1].Sequence, 10)
	}
	return d.show(v, fiber.StatusOK, "pluginfailures", p.Name, &page)
}

// settleFailure tells the plugin once more of what failed, or forgets it.
func (d *Dashboard) settleFailure(v *visit) error {
	p, err := d.plugin(v)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(v.field("failure"), 10, 64)
	if err != nil {
		return gateway.Fieldf(gateway.InvalidParameter, "failure", "failure is the number of one")
	}
	said := "It is told again."
	if v.field("do") == "drop" {
		said, err = "It is forgotten.", d.cfg.Plugins.DropFailure(v.ctx, v.scope, p.ID, n)
	} else {
		_, err = d.cfg.Plugins.RetryFailure(v.ctx, v.scope, p.ID, n)
	}
	if err != nil {
		return err
	}
	v.signin.tell(said)
	return v.redirect(v.pluginPath(p, "failures"))
}
