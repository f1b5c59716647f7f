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
	for i := range p.Kept {
		e.message(15, func(e *encoder) { encodeVersion(e, &p.Kept[i]) })
	}
	e.time(16, p.CodeAt)
	for _, k := range slices.Sorted(maps.Keys(p.Secrets)) {
		e.message(17, func(e *encoder) {
			e.text(1, k)
			e.text(2, p.Secrets[k].Reveal())
		})
	}
	e.message(18, func(e *encoder) { encodeReach(e, &p.PluginReach) })
	e.text(19, p.SignedBy)
	return e.b
}

func encodeVersion(e *encoder, v *gateway.PluginVersion) {
	e.text(1, v.Version)
	e.bytes(2, v.SHA256[:])
	e.message(3, func(e *encoder) { encodeBlob(e, v.Code) })
	for _, h := range v.Hooks {
		e.text(4, string(h))
	}
	e.texts(5, v.Asks)
	e.texts(6, v.Grants)
	e.time(7, v.CreatedAt)
	e.message(8, func(e *encoder) { encodeReach(e, &v.PluginReach) })
	e.text(9, v.SignedBy)
}

func encodeReach(e *encoder, r *gateway.PluginReach) {
	e.texts(1, r.HTTPHosts)
	for _, t := range r.Events {
		e.text(2, string(t))
	}
	e.int(3, r.TickSeconds)
	e.int(4, r.Limits.Millis)
	e.int(5, r.Limits.Fuel)
	e.int(6, r.Limits.Memory)
}

func decodeReach(b []byte, r *gateway.PluginReach) error {
	return readFields(b, func(f field) error {
		switch f.n {
		case 1:
			r.HTTPHosts = append(r.HTTPHosts, f.text())
		case 2:
			r.Events = append(r.Events, gateway.EventType(f.text()))
		case 3:
			r.TickSeconds = f.int()
		case 4:
			r.Limits.Millis = f.int()
		case 5:
			r.Limits.Fuel = f.int()
		case 6:
			r.Limits.Memory = f.int()
		}
		return nil
	})
}

func decodeVersion(b []byte) (v gateway.PluginVersion, err error) {
	err = readFields(b, func(f field) error {
		switch f.n {
		case 1:
			v.Version = f.text()
		case 2:
			copy(v.SHA256[:], f.b)
		case 3:
			return decodeBlob(f.b, &v.Code)
		case 4:
			v.Hooks = append(v.Hooks, gateway.Hook(f.text()))
		case 5:
			v.Asks = append(v.Asks, f.text())
		case 6:
			v.Grants = append(v.Grants, f.text())
		case 7:
			v.CreatedAt = f.time()
		case 8:
			return decodeReach(f.b, &v.PluginReach)
		case 9:
			v.SignedBy = f.text()
		}
		return nil
	})
	return v, err
}

func decodePlugin(d gateway.DomainID, id gateway.ID, b []byte) (*gateway.Plugin, error) {
	p := &gateway.Plugin{ID: id, Domain: d, Config: make(map[string]string), Secrets: make(map[string]gateway.Secret)}
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
		case 17:
			return readSetting(p.Secrets, f.b)
		default:
			return readCode(p, f)
		}
		return nil
	})
	if p.CodeAt.IsZero() { // stored when one version was kept
		p.CodeAt = p.CreatedAt
	}
	return p, err
}

func readSetting[V ~string](into map[string]V, b []byte) error {
	var pair [2]string
	err := readFields(b, func(f field) error {
		if f.n <= 2 {
			pair[f.n-1] = f.text()
		}
		return nil
	})
	into[pair[0]] = V(pair[1])
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
	case 15:
		v, err := decodeVersion(f.b)
		p.Kept = append(p.Kept, v)
		return err
	case 16:
		p.CodeAt = f.time()
	case 18:
		return decodeReach(f.b, &p.PluginReach)
	case 19:
		p.SignedBy = f.text()
	}
	return nil
}
