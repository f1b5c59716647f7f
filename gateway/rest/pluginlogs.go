package rest

import (
	"context"
	"slices"
	"strconv"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// lineShape is a line of a plugin's log.
type lineShape struct {
	Object    string  `json:"object"`
	ID        string  `json:"id"`
	Time      string  `json:"time"` // to the millisecond
	Level     string  `json:"level"`
	Version   string  `json:"version"`
	Hook      *string `json:"hook"`
	EmailID   *string `json:"email_id"`
	MessageID *string `json:"message_id"`
	Text      string  `json:"text"`
}

func lineOf(l *gateway.PluginLine) lineShape {
	return lineShape{
		"plugin_log", strconv.FormatUint(l.Sequence, 10), exactly(l.At), l.Level.String(), l.Version, orNull(string(l.Hook)),
		idOrNull(l.Email), orNull(l.MessageID), l.Text,
	}
}

// linePage is a page of a plugin's log; after=<id of the last line> is the next one.
type linePage struct {
	Object  string      `json:"object"`
	Data    []lineShape `json:"data"`
	HasMore bool        `json:"has_more"`
}

// listPluginLogs shows what a plugin said, and how it failed: to those who may see the
// plugin, since its lines may hold mail.
func (s *Server) listPluginLogs(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	f, err := s.lineFilter(k)
	if err != nil {
		return err
	}
	follow, err := k.flag("follow")
	if err != nil {
		return err
	}
	if follow {
		return s.followLines(k, sc, id, f)
	}
	page, err := s.cfg.Plugins.Lines(k.ctx, sc, id, f)
	if err != nil {
		return err
	}
	out := linePage{Object: "list", Data: []lineShape{}, HasMore: page.More}
	for i := range page.Lines {
		out.Data = append(out.Data, lineOf(&page.Lines[i]))
	}
	return k.json(out)
}

// lineFilter reads which lines are wanted.
func (s *Server) lineFilter(k *call) (f gateway.LineFilter, err error) {
	if v := k.c.Query("level"); v != "" {
		if f.Level, err = gateway.ParseLineLevel(v); err != nil {
			return f, err
		}
	}
	if f.Since, err = k.time("since"); err != nil {
		return f, err
	}
	if v := k.c.Query("after"); v != "" {
		if f.Beyond, err = strconv.ParseUint(v, 10, 64); err != nil || f.Beyond == 0 {
			return f, gateway.Fieldf(gateway.InvalidParameter, "after", "after is the id of a line")
		}
	}
	if f.Limit, err = k.number("limit", defaultPage); err != nil {
		return f, err
	}
	f.Limit = min(f.Limit, int(s.cfg.Limits.PageSize))
	return f, nil
}

// lineStream tells what a plugin says.
type lineStream struct {
	id     gateway.ID
	read   func(gateway.LineFilter) (gateway.LinePage, error)
	filter gateway.LineFilter
	first  []gateway.PluginLine // said before, to begin with
	woken  <-chan struct{}
	stop   func()
}

// followLines streams lines: the last ones, or with Last-Event-ID those behind it, and
// then each as it is said.
func (s *Server) followLines(k *call, sc gateway.Scope, id gateway.ID, f gateway.LineFilter) error {
	if f.Beyond > 0 {
		return gateway.Fieldf(gateway.InvalidParameter, "after", "after goes back in the log; a stream goes on from Last-Event-ID")
	}
	p, err := s.cfg.Plugins.Get(k.ctx, sc, id)
	if err != nil {
		return err
	}
	if k.session != nil {
		if _, err := s.cfg.Keys.Count(k.session.Key().ID, keys.Streams); err != nil {
			return err
		}
		k.session.ActFor(p.Domain, p.Account)
	}
	st := &lineStream{id: id, filter: f}
	st.read = func(f gateway.LineFilter) (gateway.LinePage, error) {
		ctx, cancel := context.WithTimeout(context.Background(), gateway.RequestTimeout)
		defer cancel()
		return s.cfg.Plugins.Lines(ctx, sc, id, f)
	}
	e, err := s.events(k)
	if err != nil {
		return err
	}
	st.woken, st.stop = s.cfg.Plugins.Watch(id)
	if err := st.resumeAfter(k.lastEvent()); err != nil {
		st.stop()
		e.release()
		return err
	}
	return e.stream(k, st)
}

// resumeAfter finds where to begin. A line behind the newest is of a log that a restore
// took back: whoever has seen it is new here.
func (st *lineStream) resumeAfter(last string) error {
	page, err := st.read(st.filter)
	if err != nil {
		return err
	}
	st.filter.Forward, st.filter.Beyond = true, page.Last
	if n, err := strconv.ParseUint(last, 10, 64); err == nil && n <= page.Last {
		st.filter.Beyond = n
		return nil
	}
	st.first = page.Lines
	slices.Reverse(st.first)
	return nil
}

func (st *lineStream) at() uint64 { return st.filter.Beyond }

func (st *lineStream) wake() <-chan struct{} { return st.woken }

func (st *lineStream) close() { st.stop() }

func (st *lineStream) greet(e *events) error {
	e.write(st.at(), "connected", moment{PluginID: st.id.String(), Timestamp: e.now()})
	st.tell(e, st.first)
	return nil
}

// news writes new lines; it fails when the plugin is gone.
func (st *lineStream) news(e *events) error {
	for more := true; more; {
		page, err := st.read(st.filter)
		if err != nil {
			return err
		}
		st.tell(e, page.Lines)
		st.filter.Beyond, more = max(page.Last, st.filter.Beyond), page.More
		if err := e.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (st *lineStream) tell(e *events, lines []gateway.PluginLine) {
	for i := range lines {
		e.write(lines[i].Sequence, "log", lineOf(&lines[i]))
	}
}
