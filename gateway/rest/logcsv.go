package rest

import (
	"bytes"
	"encoding/csv"
	"strconv"
	"strings"

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

// logColumns is the header row, and tableRow the others.
var logColumns = []string{
	"id", "created_at", "key_id", "key_prefix", "protocol", "method", "endpoint", "response_status", "ip", "user_agent", "email_id", "error", "reason", "tags",
}

func tableRow(a *gateway.Activity) []string {
	tags := make([]string, len(a.Tags))
	for i, t := range a.Tags {
		tags[i] = t.Name + ":" + t.Value
	}
	id := func(id gateway.ID) string {
		if id.IsZero() {
			return ""
		}
		return id.String()
	}
	row := []string{
		id(a.ID), stamp(a.At), id(a.Key), a.KeyPrefix, a.Protocol, a.Method, a.Endpoint, strconv.Itoa(a.Status), a.IP, a.UserAgent, id(a.Email), a.Error, a.Reason, strings.Join(tags, " "),
	}
	for i := range row {
		row[i] = plainCell(row[i])
	}
	return row
}

// plainCell keeps a text from being run as a formula by whoever opens the table.
func plainCell(v string) string {
	if v != "" && strings.ContainsRune("=+-@\t\r\n", rune(v[0])) {
		return "'" + v
	}
	return v
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
	rows, more, err := s.cfg.Activity.Export(k.ctx, scope, f)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	_ = w.Write(logColumns) // a bytes.Buffer takes everything
	for i := range rows {
		_ = w.Write(tableRow(&rows[i]))
	}
	w.Flush()
	k.c.Set("Content-Type", csvType+"; charset=utf-8; header=present")
	k.c.Set("Content-Disposition", `attachment; filename="log.csv"`)
	k.c.Set("X-Content-Type-Options", "nosniff")
	k.c.Set("X-Has-More", strconv.FormatBool(more))
	return k.c.Send(out.Bytes())
}
