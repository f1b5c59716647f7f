package rest

import "github.com/centerleap/postern/gateway"

// logShape is a row of the log. Source: API guide, "Monitoring Usage".
type logShape struct {
	Object    string        `json:"object"`
	ID        string        `json:"id"`
	CreatedAt string        `json:"created_at"`
	KeyID     *string       `json:"key_id"`
	KeyPrefix *string       `json:"key_prefix"`
	Protocol  string        `json:"protocol"`
	Method    string        `json:"method"`
	Endpoint  string        `json:"endpoint"`
	Status    int           `json:"response_status"`
	IP        string        `json:"ip"`
	UserAgent string        `json:"user_agent"`
	EmailID   *string       `json:"email_id"`
	Error     *string       `json:"error"`
	Reason    *string       `json:"reason"`
	Tags      []gateway.Tag `json:"tags"` // of the email, if the row is about sending it
}

func logOf(a *gateway.Activity) logShape {
	tags := a.Tags
	if tags == nil {
		tags = []gateway.Tag{}
	}
	return logShape{
		"log", a.ID.String(), stamp(a.At), idOrNull(a.Key), orNull(a.KeyPrefix), a.Protocol, a.Method, a.Endpoint, a.Status,
		a.IP, a.UserAgent, idOrNull(a.Email), orNull(a.Error), orNull(a.Reason), tags,
	}
}

func idOrNull(id gateway.ID) *string {
	if id.IsZero() {
		return nil
	}
	v := id.String()
	return &v
}

// logPage is a page of the log; after=<id of the last row> is the next one.
type logPage struct {
	Object  string     `json:"object"`
	Data    []logShape `json:"data"`
	HasMore bool       `json:"has_more"`
}

func (s *Server) listLogs(k *call) error {
	scope, err := s.optionalScope(k)
	if err != nil {
		return err
	}
	f, err := s.logFilter(k, scope)
	if err != nil {
		return err
	}
	table, err := k.wantsCSV()
	if err != nil {
		return err
	}
	k.c.Vary("Accept")
	if table {
		return s.exportLogs(k, scope, f)
	}
	if f.Limit, err = k.number("limit", defaultPage); err != nil {
		return err
	}
	f.Limit = min(f.Limit, int(s.cfg.Limits.PageSize))
	rows, more, err := s.cfg.Activity.List(k.ctx, scope, f)
	if err != nil {
		return err
	}
	out := logPage{Object: "list", Data: []logShape{}, HasMore: more}
	for i := range rows {
		out.Data = append(out.Data, logOf(&rows[i]))
	}
	return k.json(out)
}

// logFilter reads which rows are wanted.
func (s *Server) logFilter(k *call, scope gateway.Scope) (f gateway.ActivityFilter, err error) {
	if err = k.oneCursor(); err != nil {
		return f, err
	}
	for _, name := range gateway.ActivityConditions {
		if err := f.Set(name, k.c.Query(name)); err != nil {
			return f, err
		}
	}
	if email := k.c.Query("email"); email != "" {
		a, err := s.cfg.Domains.Account(k.ctx, scope, email)
		if err != nil {
			return f, outside(err, "email", email)
		}
		f.Account = a.ID
	}
	return f, nil
}

func (s *Server) getLog(k *call) error {
	scope, err := s.optionalScope(k)
	if err == nil && k.c.Query("email") != "" {
		_, _, err = s.ownEmail(k)
	}
	if err != nil {
		return err
	}
	id, err := gateway.ParseID(k.c.Params("id"))
	if err != nil {
		return gateway.Errorf(gateway.NotFound, "no such log row")
	}
	row, err := s.cfg.Activity.Get(k.ctx, scope, scope.Domain(), id)
	if err != nil {
		return err
	}
	return k.json(logOf(row))
}
