package activity

import (
	"bytes"
	"context"
	"encoding/csv"
	"strconv"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Table is List for a file: up to LogExport rows as CSV, RFC 4180, with a header row. It
// stands in memory. more says that the last row is not the oldest.
func (l *Log) Table(ctx context.Context, s gateway.Scope, f gateway.ActivityFilter) (table []byte, more bool, err error) {
	rows, more, err := l.list(ctx, s, f, l.cfg.Limits.LogExport)
	if err != nil {
		return nil, false, err
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	w.UseCRLF = true
	_ = w.Write(columns) // a bytes.Buffer takes everything
	for i := range rows {
		_ = w.Write(tableRow(&rows[i]))
	}
	w.Flush()
	return out.Bytes(), more, nil
}

// columns is the header row, and tableRow the others.
var columns = []string{
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
		id(a.ID), a.At.UTC().Truncate(time.Second).Format(time.RFC3339), id(a.Key), a.KeyPrefix, a.Protocol, a.Method, a.Endpoint, strconv.Itoa(a.Status), a.IP, a.UserAgent, id(a.Email), a.Error, a.Reason, strings.Join(tags, " "),
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
