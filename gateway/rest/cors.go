package rest

import (
	"slices"

	"github.com/gofiber/fiber/v2"
)

// What a page of a configured origin may send and read besides what the fetch standard
// always lets it.
const (
	corsMethods = "GET, HEAD, POST, PUT, PATCH, DELETE"
	corsSent    = "Authorization, Content-Type, Idempotency-Key, X-Batch-Validation, Last-Event-ID, Range, If-None-Match, If-Range"
	corsRead    = "X-Request-Id, Retry-After, RateLimit, RateLimit-Policy, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, " +
		"Idempotency-Replayed, ETag, Content-Disposition, X-Has-More"
	corsSeconds = "600" // for which a browser need not ask again; ours
)

// cors lets scripts of the configured origins read answers, by the fetch standard. They
// still need a key or a token: cookies mean nothing here.
func (s *Server) cors(c *fiber.Ctx) error {
	c.Vary("Origin")
	from := c.Get("Origin")
	if !slices.Contains(s.cfg.Origins, from) {
		return c.Next()
	}
	c.Set("Access-Control-Allow-Origin", from)
	c.Set("Access-Control-Expose-Headers", corsRead)
	if c.Method() != fiber.MethodOptions || c.Get("Access-Control-Request-Method") == "" {
		return c.Next()
	}
	requestID(c)
	c.Set("Access-Control-Allow-Methods", corsMethods)
	c.Set("Access-Control-Allow-Headers", corsSent)
	c.Set("Access-Control-Max-Age", corsSeconds)
	return c.JSON(struct{}{})
}
