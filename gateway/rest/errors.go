package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// problem is the body of every error.
type problem struct {
	StatusCode int      `json:"statusCode"`
	Name       string   `json:"name"`
	Message    string   `json:"message"`
	Limit      string   `json:"limit,omitempty"`
	Errors     []fault  `json:"errors,omitempty"`
	EmailIDs   []string `json:"email_ids,omitempty"` // what an ambiguous id may mean
	RequestID  string   `json:"request_id"`
}

type fault struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// answerError writes err as the client may see it; the log keeps the rest.
func (s *Server) answerError(k *call, err error) error {
	e := gateway.AsError(err)
	if errors.Is(err, context.DeadlineExceeded) && e.Kind == gateway.Internal {
		e = &gateway.Error{Kind: gateway.Unavailable, Message: "the gateway is too busy; try again", Retry: time.Second, Err: err}
	}
	r := e.Kind.Reply()
	k.row.Status, k.row.Error, k.row.Reason = r.Status, r.Name, e.Reason
	if k.row.Reason == "" {
		k.row.Reason = e.Message
	}
	k.logged = false // whatever was to commit with the row did not
	if e.Kind == gateway.Internal {
		s.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "request failed",
			slog.String("request", k.id), slog.String("endpoint", k.row.Endpoint), slog.Any("err", err))
	}
	k.errorHeaders(e)
	if k.route != nil && k.route.Present != nil {
		r.Status = resendStatus(e.Kind, r.Status)
	}
	body := problem{StatusCode: r.Status, Name: r.Name, Message: e.Message, Limit: e.Limit, RequestID: k.id}
	if e.Field != "" {
		body.Errors = []fault{{e.Field, e.Message}}
	}
	for _, id := range e.IDs {
		body.EmailIDs = append(body.EmailIDs, id.String())
	}
	return k.answer(r.Status, body)
}

func (k *call) errorHeaders(e *gateway.Error) {
	switch e.Kind {
	case gateway.MissingKey, gateway.InvalidKey:
		k.c.Set("WWW-Authenticate", "Bearer")
	case gateway.RateLimited, gateway.Unavailable:
		k.c.Set("Retry-After", strconv.Itoa(int(math.Ceil(max(e.Retry, time.Second).Seconds()))))
	}
}

// routeError gives fiber's own errors a Kind.
func routeError(err error) error {
	var f *fiber.Error
	if !errors.As(err, &f) {
		return err
	}
	switch f.Code {
	case fiber.StatusNotFound:
		return gateway.Errorf(gateway.NotFound, "no such route")
	case fiber.StatusMethodNotAllowed:
		return gateway.Errorf(gateway.MethodNotAllowed, "the method is not possible here")
	case fiber.StatusRequestEntityTooLarge, fiber.StatusRequestHeaderFieldsTooLarge:
		return gateway.Errorf(gateway.TooLarge, "the request's header is too large")
	case fiber.StatusBadRequest:
		return gateway.Errorf(gateway.Malformed, "the request can't be read")
	}
	return err
}

// panicked logs a fault of ours; the client learns only that there was one.
func (s *Server) panicked(p any) error {
	s.cfg.Log.LogAttrs(context.Background(), slog.LevelError, "a handler panicked",
		slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
	return fmt.Errorf("panic: %v", p)
}
