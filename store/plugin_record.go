package store

import (
	"maps"
	"slices"

	"github.com/centerleap/postern/gateway"
)

func encodePlugin(p *gateway.Plugin) []byte {
	e := newRecord(256)
	e.uint(1, uint64(p.Account))
	e.text(2, p.Name)
	e.bool(3, p.Enabled)
	e.int(4, int64(p.Priority))
	e.text(5, string(p.Failure))
	e.texts(6, p.Grants)
	for _, k := range slices.Sorted(maps.Keys(p.Config)) {
		e.message(7, func(e *encoder) {
			e.text(1, k)
			e.text(2, p.Config[k])
		})
	}
	e.text(8, p.Version)
	e.bytes(9, p.SHA256[:])
	e.message(10, func(e *encoder) { encodeBlob(e, p.Code) })
	for _, h := range p.Hooks {
		e.text(11, string(h))
	}
	e.texts(12, p.Asks)
	e.time(13, p.CreatedAt)
	e.time(14, p.UpdatedAt)
	return e.b
}

func decodePlugin(d gateway.DomainID, id gateway.ID, b []byte) (*gateway.Plugin, error) {
	p := &gateway.Plugin{ID: id, Domain: d, Config: make(map[string]string)}
	err := readRecord("plugin", b, func(f field) error {
		switch f.n {
		case 1:
			p.Account = gateway.AccountID(f.v)
		case 2:
			p.Name = f.text()
		case 3:
			p.Enabled = f.bool()
		case 4:
			p.Priority = int(f.int())
		case 5:
			p.Failure = gateway.FailurePolicy(f.text())
		case 6:
			p.Grants = append(p.Grants, f.text())
		case 7:
			return readSetting(p.Config, f.b)
		default:
			return readCode(p, f)
		}
		return nil
	})
	return p, err
}

func readSetting(into map[string]string, b []byte) error {
	var pair [2]string
	err := readFields(b, func(f field) error {
		if f.n <= 2 {
			pair[f.n-1] = f.text()
		}
		return nil
	})
	into[pair[0]] = pair[1]
	return err
}

// readCode reads the fields of a plugin that change with its code.
func readCode(p *gateway.Plugin, f field) error {
	switch f.n {
	case 8:
		p.Version = f.text()
	case 9:
		copy(p.SHA256[:], f.b)
	case 10:
		return decodeBlob(f.b, &p.Code)
	case 11:
		p.Hooks = append(p.Hooks, gateway.Hook(f.text()))
	case 12:
		p.Asks = append(p.Asks, f.text())
	case 13:
		p.CreatedAt = f.time()
	case 14:
		p.UpdatedAt = f.time()
	}
	return nil
}
