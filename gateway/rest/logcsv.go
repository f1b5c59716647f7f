package rest

import (
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// csvType is the media type of RFC 4180 section 3.
const csvType = "text/csv"

// wantsCSV reports whether the log is asked for as a table: by format, or else by
// the Accept field.
func (k *call) wantsCSV() (bool, error) {
	switch k.c.Query("format") {
	case "":
		return k.c.Accepts(fiber.MIMEApplicationJSON, csvType) == csvType, nil
	case "csv":
		return true, nil
	case "json":
		return false, nil
	}
	return false, gateway.Fieldf(gateway.InvalidParameter, "format", "format is json or csv")
}

// exportLogs answers with rows as a table, RFC 4180. It stands in memory, so it has
// a limit; X-Has-More says that the last row is not the oldest, and
// after=<its id> goes on.
func (s *Server) exportLogs(k *call, scope gateway.Scope, f gateway.ActivityFilter) error {
	most := int(s.cfg.Limits.LogExport)
	n, err := k.number("limit", most)
	if err != nil {
		return err
	}
	f.Limit = min(n, most)
	table, more, err := s.cfg.Activity.Table(k.ctx, scope, f)
	if err != nil {
		return err
	}
	k.c.Set("Content-Type", csvType+"; charset=utf-8; header=present")
	k.c.Set("Content-Disposition", `attachment; filename="log.csv"`)
	k.c.Set("X-Content-Type-Options", "nosniff")
	k.c.Set("X-Has-More", strconv.FormatBool(more))
	return k.c.Send(table)
}
