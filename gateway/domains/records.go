package domains

import (
	"context"
	"encoding/base64"

	"github.com/centerleap/postern/gateway"
)

// Record is a DNS record that a domain should publish. Status says what was
// seen of it; nothing is looked up yet, so it says so.
type Record struct {
	Record   string // what it is for: ownership, SPF, DKIM, DMARC, MX
	Name     string
	Type     string
	TTL      string
	Priority int // of an MX
	Value    string
	Status   string
}

// unchecked is the status of a record that nobody has looked for.
const unchecked = "unchecked"

// Records lists what a domain should publish.
func (d *Domains) Records(ctx context.Context, s gateway.Scope, dom *gateway.Domain) ([]Record, error) {
	signing, err := d.SigningKeys(ctx, s, dom)
	if err != nil {
		return nil, err
	}
	all := []Record{
		{Record: "ownership", Name: "_postern." + dom.Name, Type: "TXT", Value: "postern-domain=" + dom.UUID.String()},
		{Record: "SPF", Name: dom.Name, Type: "TXT", Value: "v=spf1 mx -all"},
	}
	for _, k := range signing {
		all = append(all, Record{
			Record: "DKIM", Name: k.Selector + "._domainkey." + dom.Name, Type: "TXT",
			Value: "v=DKIM1; k=" + k.Algorithm + "; p=" + base64.StdEncoding.EncodeToString(k.Public),
		})
	}
	all = append(all,
		Record{Record: "DMARC", Name: "_dmarc." + dom.Name, Type: "TXT", Value: "v=DMARC1; p=quarantine"},
		Record{Record: "MX", Name: dom.Name, Type: "MX", Priority: 10, Value: d.cfg.Hostname},
	)
	for i := range all {
		all[i].TTL, all[i].Status = "Auto", unchecked
	}
	return all, nil
}
