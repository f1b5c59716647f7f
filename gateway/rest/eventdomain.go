package rest

import (
	"context"

	"github.com/centerleap/postern/gateway"
)

// domainEvent is the data of an event about a domain that there is.
type domainEvent struct {
	domainShape
	Sequence uint64 `json:"sequence"` // of the domain; of one that was created, of the instance
}

// domainEvent shows a domain as it is now; name may be its id. NotFound if it is gone.
func (s *Server) domainEvent(ctx context.Context, scope gateway.Scope, name string, sequence uint64) (any, error) {
	d, err := s.cfg.Domains.Get(ctx, scope, name)
	if err != nil {
		return nil, err
	}
	records, err := s.cfg.Domains.Records(ctx, scope, d)
	if err != nil {
		return nil, err
	}
	list := []recordShape{}
	for i := range records {
		list = append(list, recordOf(&records[i]))
	}
	shape := domainOf(d, gateway.LevelDomain)
	shape.Records = &list
	return domainEvent{shape, sequence}, nil
}

// instanceEvent shows a domain that came, or what is known of one that went.
func (s *Server) instanceEvent(ctx context.Context, scope gateway.Scope, e *gateway.Event) (any, error) {
	if e.Type == gateway.EventDomainCreated {
		doc, err := s.domainEvent(ctx, scope, e.Subject.String(), e.Sequence)
		if err == nil || gateway.KindOf(err) != gateway.NotFound {
			return doc, err
		}
	}
	return struct {
		Object   string `json:"object"`
		ID       string `json:"id"`
		Name     string `json:"name"`
		Sequence uint64 `json:"sequence"`
	}{"domain", e.Subject.String(), e.Detail, e.Sequence}, nil
}
