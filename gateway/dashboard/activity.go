package dashboard

import (
	"net/url"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// activityPage is some of the log, newest first.
type activityPage struct {
	Asked   url.Values // the filters as they were sent
	Rows    []gateway.Activity
	Keys    []gateway.Key // to choose one of
	Base    string        // the path of the log
	Next    string        // the address of the next page, "" at the end
	CSV     string
	Problem string
}

// Protocols are what the list can be narrowed to.
func (activityPage) Protocols() []choice {
	all := []choice{{"", "any"}}
	for _, p := range gateway.Protocols {
		all = append(all, choice{p, p})
	}
	return all
}

// KeyChoices are the keys as options.
func (p activityPage) KeyChoices() []choice {
	all := []choice{{"", "any"}}
	for i := range p.Keys {
		k := &p.Keys[i]
		all = append(all, choice{k.ID.String(), k.Display() + " " + k.Name})
	}
	return all
}

// activityFilters are the fields of the form.
var activityFilters = []string{"key_id", "protocol", "status", "email", "since", "until"}

// wanted reads which rows are asked for.
func (d *Dashboard) wanted(v *visit) (f gateway.ActivityFilter, asked url.Values, err error) {
	asked = make(url.Values)
	for _, name := range activityFilters {
		if value := v.c.Query(name); value != "" {
			asked.Set(name, value)
		}
	}
	for _, name := range gateway.ActivityConditions {
		value := v.c.Query(name)
		if at, err := time.Parse(minute, value); err == nil { // as browsers send one
			value = at.Format(time.RFC3339)
		}
		if err := f.Set(name, value); err != nil {
			return f, asked, err
		}
	}
	if email := asked.Get("email"); email != "" {
		a, err := d.cfg.Domains.Account(v.ctx, v.scope, email)
		if err != nil {
			return f, asked, err
		}
		f.Account = a.ID
	}
	return f, asked, nil
}

// minute is a moment as a browser's field for one has it: HTML standard, "Valid local
// date and time string". Ours are UTC.
const minute = "2006-01-02T15:04"

// activityPath is that of the log of the visit's domain, or of what belongs to none.
func (v *visit) activityPath() string {
	if v.domain == nil {
		return "/activity"
	}
	return "/" + joined([]string{"domains", v.domain.Name, "activity"})
}

func (d *Dashboard) activity(v *visit) error {
	page := activityPage{Base: v.activityPath()}
	f, asked, err := d.wanted(v)
	page.Asked = asked
	status := fiber.StatusOK
	if is, problem, again := mistake(err); again {
		status, page.Problem = is, problem
	} else if err != nil {
		return err
	}
	if v.domain != nil {
		if page.Keys, _, err = d.cfg.Keys.Page(v.ctx, v.scope, gateway.Span{Most: int(d.cfg.Limits.KeysPerDomain)}); err != nil {
			return err
		}
	}
	page.CSV = prefix + page.Base + "/csv?" + asked.Encode()
	if f.Limit = pageSize; page.Problem == "" {
		var more bool
		if page.Rows, more, err = d.cfg.Activity.List(v.ctx, v.scope, f); err != nil {
			return err
		}
		page.Next = nextRows(asked, page.Rows, more)
	}
	return d.show(v, status, "activity", "Activity", page)
}

// nextRows is the address of the rows behind these.
func nextRows(asked url.Values, rows []gateway.Activity, more bool) string {
	if !more || len(rows) == 0 {
		return ""
	}
	asked.Set("after", rows[len(rows)-1].ID.String())
	defer asked.Del("after")
	return "?" + asked.Encode()
}

// activityCSV is the same rows as a file.
func (d *Dashboard) activityCSV(v *visit) error {
	f, _, err := d.wanted(v)
	if err != nil {
		return err
	}
	f.Limit = int(d.cfg.Limits.LogExport)
	table, more, err := d.cfg.Activity.Table(v.ctx, v.scope, f)
	if err != nil {
		return err
	}
	v.c.Set("Content-Type", "text/csv; charset=utf-8; header=present")
	v.c.Set("Content-Disposition", `attachment; filename="activity.csv"`)
	v.c.Set("X-Has-More", strconv.FormatBool(more))
	return v.c.Send(table)
}

// activityKeys are the keys with what each has done lately.
func (d *Dashboard) activityKeys(v *visit) error {
	list := keyList{Of: v.domain.Name, Base: v.activityPath() + "/keys"}
	return d.listKeysAs(v, "activitykeys", list, func(*gateway.Key) bool { return true })
}

// keyActivity is what one key has done.
type keyActivity struct {
	keyRow
	Rows  []gateway.Activity
	Mail  []mailbox.Item // that it sent, of these rows
	Base  string
	Where string // to all rows
}

// Row is the key as a line of a list.
func (p keyActivity) Row() keyRow { return p.keyRow }

// keyMails is how many emails of a key are shown. Ours: a screen.
const keyMails = 20

func (d *Dashboard) keyActivity(v *visit) error {
	key, err := d.keyOfPath(v)
	if err != nil {
		return err
	}
	page := keyActivity{keyRow: d.rowOf(v, *key), Base: v.activityPath()}
	page.Where = prefix + page.Base + "?" + url.Values{"key_id": {key.ID.String()}}.Encode()
	if page.Rows, _, err = d.cfg.Activity.List(v.ctx, v.scope, gateway.ActivityFilter{Key: key.ID, Limit: pageSize}); err != nil {
		return err
	}
	seen := make(map[gateway.ID]bool)
	for i := range page.Rows {
		id := page.Rows[i].Email
		if id.IsZero() || seen[id] || len(page.Mail) == keyMails {
			continue
		}
		seen[id] = true
		it, err := d.cfg.Mail.Get(v.ctx, v.scope, mailbox.Ref{ID: id})
		switch kind := gateway.KindOf(err); {
		case err == nil && it.Message.Key == key.ID:
			page.Mail = append(page.Mail, it)
		case err == nil, kind == gateway.NotFound, kind == gateway.InvalidState: // read by it; deleted; in several folders
		default:
			return err
		}
	}
	return d.show(v, fiber.StatusOK, "keyactivity", "Activity of "+key.Display(), &page)
}

// email leads to an email that is known by its id alone, as rows of the log have it.
func (d *Dashboard) email(v *visit) error {
	id, err := gateway.ParseID(v.param("id"))
	if err != nil {
		return gateway.Errorf(gateway.NotFound, "there is no such email")
	}
	it, err := d.cfg.Mail.Get(v.ctx, v.scope, mailbox.Ref{ID: id})
	if err != nil {
		return err
	}
	return v.redirect("/" + joined([]string{"domains", v.domain.Name, "accounts", it.Email, "messages", it.Message.ID.String()}))
}
