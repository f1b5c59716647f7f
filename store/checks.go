package store

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// What was found in DNS stands apart from a domain's record, which every mail reads. The
// index by the time of the next look spares looking at all domains for those due.

func checkKey(d gateway.DomainID) []byte { return key(subCheck, d) }

func checkDueKey(due time.Time, d gateway.DomainID) []byte {
	k := binary.BigEndian.AppendUint64([]byte{subCheckDue}, ms(due))
	return binary.BigEndian.AppendUint32(k, uint32(d))
}

func encodeCheck(c *gateway.DomainCheck) []byte {
	e := newRecord(256)
	e.time(1, c.At)
	e.time(2, c.Due)
	e.time(3, c.Since)
	e.time(4, c.Failing)
	for _, r := range c.Records {
		e.message(5, func(e *encoder) {
			e.text(1, r.Record)
			e.text(2, r.Name)
			e.text(3, string(r.Status))
			e.texts(4, r.Seen)
			e.text(5, r.Reason)
		})
	}
	return e.b
}

func decodeCheck(b []byte) (*gateway.DomainCheck, error) {
	c := &gateway.DomainCheck{}
	err := readRecord("check of a domain", b, func(f field) error {
		switch f.n {
		case 1:
			c.At = f.time()
		case 2:
			c.Due = f.time()
		case 3:
			c.Since = f.time()
		case 4:
			c.Failing = f.time()
		case 5:
			return decodeRecordCheck(f.b, &c.Records)
		}
		return nil
	})
	return c, err
}

// decodeRecordCheck appends one record to a list.
func decodeRecordCheck(b []byte, all *[]gateway.RecordCheck) error {
	var r gateway.RecordCheck
	err := readFields(b, func(f field) error {
		switch f.n {
		case 1:
			r.Record = f.text()
		case 2:
			r.Name = f.text()
		case 3:
			r.Status = gateway.RecordStatus(f.text())
		case 4:
			r.Seen = append(r.Seen, f.text())
		case 5:
			r.Reason = f.text()
		}
		return nil
	})
	*all = append(*all, r)
	return err
}

func readCheck(r engine.Reader, d gateway.DomainID) (*gateway.DomainCheck, error) {
	c, err := loadOr(r, checkKey(d), decodeCheck)
	if c == nil {
		c = &gateway.DomainCheck{}
	}
	return c, err
}

// DomainCheck returns what was found in DNS of a domain's records; nothing if nobody
// has looked.
func (s *Store) DomainCheck(ctx context.Context, sc gateway.Scope, d gateway.DomainID) (c *gateway.DomainCheck, err error) {
	if !sc.CoversDomain(d) {
		return nil, denied("domain")
	}
	err = s.view(ctx, func(r engine.Reader) error {
		c, err = readCheck(r, d)
		return err
	})
	return c, err
}

// CheckDomain changes what is known of a domain's records, and its status with that. A
// row that change returns becomes durable with it. A changed domain is an event.
func (s *Store) CheckDomain(
	ctx context.Context, sc gateway.Scope, id gateway.DomainID, change func(*gateway.Domain, *gateway.DomainCheck) *gateway.Activity,
) (d *gateway.Domain, err error) {
	if !sc.CoversDomain(id) {
		return nil, denied("domain")
	}
	err = s.update(ctx, id, func(t *tx) error {
		if d, err = readDomain(t, id); err != nil {
			return missing(err, "domain")
		}
		c, err := readCheck(t, id)
		if err != nil {
			return err
		}
		status, local, due := d.Status, d.Local, c.Due
		row := change(d, c)
		if d.Status != status || d.Local != local {
			t.Set(domainKey(id), encodeDomain(d))
			t.emit(gateway.Event{Type: gateway.EventDomain, Detail: d.Name})
		}
		c.Due = c.Due.Truncate(time.Millisecond)
		t.setCheck(c, due)
		if row != nil {
			row.Domain = id
			t.logRow(row)
		}
		return nil
	})
	return d, err
}

// setCheck writes a check, and moves its place in the index.
func (t *tx) setCheck(c *gateway.DomainCheck, due time.Time) {
	if !due.IsZero() {
		t.Delete(checkDueKey(due, t.domain))
	}
	if !c.Due.IsZero() {
		t.Set(checkDueKey(c.Due, t.domain), nil)
	}
	t.Set(checkKey(t.domain), encodeCheck(c))
}

// forgetCheck takes a domain that is being deleted out of the index.
func (t *tx) forgetCheck() error {
	c, err := readCheck(t, t.domain)
	if err == nil && !c.Due.IsZero() {
		t.Delete(checkDueKey(c.Due, t.domain))
		t.Delete(checkKey(t.domain))
	}
	return err
}

// DueDomains returns the domains whose records are to be looked at by now, the longest
// due first, at most most.
func (s *Store) DueDomains(ctx context.Context, sc gateway.Scope, most int) (due []gateway.DomainID, err error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, denied("domains")
	}
	rng := engine.Range{
		From: []byte{subCheckDue}, To: binary.BigEndian.AppendUint64([]byte{subCheckDue}, ms(s.cfg.Now())+1), KeysOnly: true, Limit: most,
	}
	err = s.view(ctx, func(r engine.Reader) error {
		return r.Scan(rng, func(k, _ []byte) error {
			due = append(due, gateway.DomainID(binary.BigEndian.Uint32(k[9:])))
			return nil
		})
	})
	return due, err
}
