package domains

import (
	"context"
	"encoding/base64"

	"github.com/centerleap/postern/gateway"
)

// Record is a DNS record that a domain should publish, and what was seen of it.
type Record struct {
	Record   string // what it is for: ownership, SPF, DKIM, DMARC, MX
	Name     string
	Type     string
	TTL      string
	Priority int // of an MX
	Value    string
	Status   gateway.RecordStatus
	Seen     []string // what is there
	Reason   string   // for people: why it is not verified

	key gateway.SigningKey // of DKIM
}

// What records are for.
const (
	ofOwnership = "ownership"
	ofSPF       = "SPF"
	ofDKIM      = "DKIM"
	ofDMARC     = "DMARC"
	ofMX        = "MX"
)

// Records lists what a domain should publish, with what was seen when somebody looked
// last.
func (d *Domains) Records(ctx context.Context, s gateway.Scope, dom *gateway.Domain) ([]Record, error) {
	all, err := d.records(ctx, s, dom)
	if err != nil {
		return nil, err
	}
	c, err := d.cfg.Store.DomainCheck(ctx, s, dom.ID)
	if err != nil {
		return nil, err
	}
	for i := range all {
		for _, found := range c.Records {
			if r := &all[i]; found.Record == r.Record && found.Name == r.Name {
				r.Status, r.Seen, r.Reason = found.Status, found.Seen, found.Reason
			}
		}
	}
	return all, nil
}

// records are those of Records before anybody has looked.
func (d *Domains) records(ctx context.Context, s gateway.Scope, dom *gateway.Domain) ([]Record, error) {
	signing, err := d.SigningKeys(ctx, s, dom)
	if err != nil {
		return nil, err
	}
	all := []Record{
		{Record: ofOwnership, Name: "_postern." + dom.Name, Type: "TXT", Value: ownership + dom.UUID.String()},
		{Record: ofSPF, Name: dom.Name, Type: "TXT", Value: "v=spf1 mx -all"},
	}
	for _, k := range signing {
		all = append(all, Record{
			Record: ofDKIM, Name: k.Selector + "._domainkey." + dom.Name, Type: "TXT", key: k,
			Value: "v=DKIM1; k=" + k.Algorithm + "; p=" + base64.StdEncoding.EncodeToString(k.Public),
		})
	}
	all = append(all,
		Record{Record: ofDMARC, Name: "_dmarc." + dom.Name, Type: "TXT", Value: "v=DMARC1; p=quarantine"},
		Record{Record: ofMX, Name: dom.Name, Type: "MX", Priority: 10, Value: d.cfg.Hostname},
	)
	for i := range all {
		all[i].TTL, all[i].Status = "Auto", gateway.RecordUnchecked
	}
	return all, nil
}

// ownership starts the text by which whoever runs a domain's DNS gives it to us.
const ownership = "postern-domain="
