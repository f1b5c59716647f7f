package rest

import (
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// failureShape is an event that a plugin could not be told of.
type failureShape struct {
	Object     string            `json:"object"`
	Sequence   uint64            `json:"sequence"`
	EventID    string            `json:"event_id"`
	Type       gateway.EventType `json:"type"`
	EmailID    *string           `json:"email_id"`
	Detail     *string           `json:"detail"`
	HappenedAt string            `json:"happened_at"`
	Attempts   int               `json:"attempts"`
	Error      string            `json:"error"`
	FailedAt   string            `json:"failed_at"`
}

func failureOf(f *gateway.Failure) failureShape {
	return failureShape{
		"plugin_failure", f.Sequence, f.EventID, f.Event.Type, idOrNull(f.Event.Email), orNull(f.Event.Detail), stamp(f.Event.At), f.Attempts, f.Error, stamp(f.At),
	}
}

// backlogShape is what a plugin's event hook has still to be told, and was not told.
type backlogShape struct {
	Waiting int `json:"waiting"`
	Failed  int `json:"failed"`
}

// listPluginFailures shows what a plugin could not be told of, to those who may see it.
func (s *Server) listPluginFailures(k *call) error {
	sc, id, err := s.pluginCall(k)
	if err != nil {
		return err
	}
	limit, err := k.number("limit", defaultPage)
	if err != nil {
		return err
	}
	before := uint64(0)
	if v := k.c.Query("after"); v != "" {
		if before, err = strconv.ParseUint(v, 10, 64); err != nil || before == 0 {
			return gateway.Fieldf(gateway.InvalidParameter, "after", "after is the sequence of a failure")
		}
	}
	page, err := s.cfg.Plugins.Failures(k.ctx, sc, id, before, min(limit, int(s.cfg.Limits.PageSize)))
	if err != nil {
		return err
	}
	out := struct {
		Object  string         `json:"object"`
		Data    []failureShape `json:"data"`
		HasMore bool           `json:"has_more"`
	}{"list", []failureShape{}, page.More}
	for i := range page.Failures {
		out.Data = append(out.Data, failureOf(&page.Failures[i]))
	}
	return k.json(out)
}

// failureCall is the scope and what is named in a call about one failure.
func (s *Server) failureCall(k *call) (sc gateway.Scope, id gateway.ID, n uint64, err error) {
	if sc, id, err = s.pluginCall(k); err != nil {
		return sc, id, n, err
	}
	if n, err = strconv.ParseUint(k.c.Params("sequence"), 10, 64); err != nil {
		err = gateway.Errorf(gateway.NotFound, "no such failure")
	}
	return sc, id, n, err
}

// retryPluginFailure has a plugin told of an event again, from its first attempt on.
func (s *Server) retryPluginFailure(k *call) error {
	sc, id, n, err := s.failureCall(k)
	if err != nil {
		return err
	}
	f, err := s.cfg.Plugins.RetryFailure(k.ctx, sc, id, n)
	if err != nil {
		return err
	}
	return k.json(failureOf(f))
}

func (s *Server) dropPluginFailure(k *call) error {
	sc, id, n, err := s.failureCall(k)
	if err != nil {
		return err
	}
	if err := s.cfg.Plugins.DropFailure(k.ctx, sc, id, n); err != nil {
		return err
	}
	return k.json(fiber.Map{"object": "plugin_failure", "sequence": n, "deleted": true})
}
