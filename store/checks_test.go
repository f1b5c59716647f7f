package store_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/centerleap/postern/gateway"
)

// What was found is kept whole, changes the domain in the same commit with a row and an
// event, and stands in the index where it is due, once.
func TestCheckDomain(t *testing.T) {
	w := newWorld(t)
	at := w.clock.Truncate(time.Millisecond)
	found := gateway.DomainCheck{
		At: at, Due: at.Add(time.Hour), Since: at.Add(-time.Hour), Failing: at.Add(-time.Minute),
		Records: []gateway.RecordCheck{{Record: "MX", Name: "ours.test", Status: gateway.RecordFailed, Seen: []string{"10 a.test", ""}, Reason: "none of them"}, {Record: "SPF"}},
	}
	if c, err := w.DomainCheck(w.ctx(), inside(w.ours.ID), w.ours.ID); err != nil || !reflect.DeepEqual(*c, gateway.DomainCheck{}) {
		t.Errorf("before: %+v, %v", c, err)
	}
	set := func(due time.Time, status gateway.DomainStatus) {
		t.Helper()
		d, err := w.CheckDomain(w.ctx(), inside(w.ours.ID), w.ours.ID, func(d *gateway.Domain, c *gateway.DomainCheck) *gateway.Activity {
			*c, d.Status = found, status
			c.Due = due
			return &gateway.Activity{Protocol: "system", Endpoint: "/domains/" + d.Name, Reason: string(status)}
		})
		w.ok(err)
		if d.Status != status {
			t.Errorf("%s, want %s", d.Status, status)
		}
	}
	due := func(want ...gateway.DomainID) {
		t.Helper()
		got, err := w.DueDomains(w.ctx(), system, 10)
		w.ok(err)
		if len(got) != len(want) || len(got) > 0 && !reflect.DeepEqual(got, want) {
			t.Errorf("due at %s: %v, want %v", w.clock.Format(time.TimeOnly), got, want)
		}
	}
	set(found.Due, gateway.DomainPending)
	w.reopen()
	if c, err := w.DomainCheck(w.ctx(), system, w.ours.ID); err != nil || !reflect.DeepEqual(*c, found) {
		t.Errorf("%+v, %v, want %+v", c, err, found)
	}
	due()
	w.clock = w.clock.Add(time.Hour)
	due(w.ours.ID)
	set(w.clock.Add(time.Minute), gateway.DomainPending)
	due()
	w.clock = w.clock.Add(time.Minute)
	due(w.ours.ID)
	set(time.Time{}, gateway.DomainFailed)
	w.clock = w.clock.Add(100 * time.Hour)
	due()
	rows, _, err := w.Activity(w.ctx(), inside(w.ours.ID), gateway.ActivityFilter{Protocol: "system", Limit: 10})
	w.ok(err)
	if len(rows) != 3 || rows[0].Reason != "failed" {
		t.Errorf("rows: %+v", rows)
	}
	for name, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "an account": of(w.ann), "nobody": {}} {
		if _, err := w.DomainCheck(w.ctx(), sc, w.ours.ID); err == nil || gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s reads it: %v", name, err)
		}
		if _, err := w.CheckDomain(w.ctx(), sc, w.ours.ID, nil); err == nil || gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s changes it: %v", name, err)
		}
		if _, err := w.DueDomains(w.ctx(), sc, 1); err == nil || gateway.KindOf(err) != gateway.NotFound {
			t.Errorf("%s lists what is due: %v", name, err)
		}
	}
	set(w.clock.Add(-time.Hour), gateway.DomainPending)
	w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID))
	due()
	if n, some := w.keysOf(w.ours.ID); n > 0 {
		t.Errorf("%d keys are left of the domain, such as %v", n, some)
	}
}
