package store

import (
	"context"
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// That a domain is there, or is gone, is told in the feed of the instance: it is nobody's
// business in the domain itself, which has no feed before, and none after. A mark in the
// instance's lane, made with the name, is there until it is told, so that it is told once
// whatever is cut off in between.

// named is a domain as the mark of its deletion knows it.
type named struct {
	UUID gateway.ID
	Name string
}

func encodeNamed(d *gateway.Domain) []byte {
	e := newRecord(64)
	e.id(1, d.UUID)
	e.text(2, d.Name)
	return e.b
}

// decodeNamed reads one; there was nothing in them once.
func decodeNamed(b []byte) (v named, err error) {
	if len(b) == 0 {
		return v, nil
	}
	err = readRecord("mark of a deletion", b, func(f field) error {
		switch f.n {
		case 1:
			v.UUID = f.id()
		case 2:
			v.Name = f.text()
		}
		return nil
	})
	return v, err
}

func makingKey(d gateway.DomainID) []byte { return key(subSetting, 0).text("making/").u32(uint32(d)) }

func erasingKey(d gateway.DomainID) []byte { return key(subSetting, 0).text("erasing/").u32(uint32(d)) }

// announce tells of a domain and takes its mark, if that is there still. It is for lane 0.
func (t *tx) announce(mark []byte, typ gateway.EventType, d named) error {
	if _, err := t.Get(mark); err != nil {
		return ignoreMissing(err)
	}
	t.Delete(mark)
	if d.Name != "" {
		t.emit(gateway.Event{Type: typ, Subject: d.UUID, Detail: d.Name})
	}
	return nil
}

func (t *tx) announceMade(d *gateway.Domain) error {
	return t.announce(makingKey(d.ID), gateway.EventDomainCreated, named{d.UUID, d.Name})
}

// made tells that a domain is there, which is durable by now: if it can't be told,
// FinishDeletions does it.
func (s *Store) made(ctx context.Context, d *gateway.Domain) {
	err := s.update(ctx, 0, func(t *tx) error { return t.announceMade(d) })
	if err == nil {
		return
	}
	s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "that a domain was made is told later", slog.Uint64("domain", uint64(d.ID)), slog.Any("err", err))
	select {
	case s.uncleared <- struct{}{}:
	default:
	}
}

// finishMaking tells of domains that are there and of which nobody was told. One that has
// a name and no record yet is left alone: it is being made, or will be by who asks again.
func (s *Store) finishMaking(ctx context.Context) error {
	var made []*gateway.Domain
	err := s.view(ctx, func(r engine.Reader) error {
		return r.Scan(engine.Prefix(key(subSetting, 0).text("making/")), func(k, _ []byte) error {
			d, err := readDomain(r, gateway.DomainID(binary.BigEndian.Uint32(k[len(k)-4:])))
			if err == nil {
				made = append(made, d)
			}
			return ignoreMissing(err)
		})
	})
	for _, d := range made {
		err = errors.Join(err, s.update(ctx, 0, func(t *tx) error { return t.announceMade(d) }))
	}
	return err
}
