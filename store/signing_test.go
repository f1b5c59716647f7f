package store_test

import (
	"testing"

	"github.com/centerleap/postern/gateway"
)

// The keys of a domain are made once, come back as they were, and are nobody
// else's: not an account's either.
func TestSigningKeys(t *testing.T) {
	w := newWorld(t)
	made := []gateway.SigningKey{{Selector: "a", Algorithm: "rsa", Private: "\x30\xff\x00private", Public: []byte{0xff, 0}}, {Selector: "b", Algorithm: "ed25519", Private: "p", Public: []byte("q")}}
	if got, err := w.SigningKeys(w.ctx(), inside(w.ours.ID), w.ours.ID); err != nil || len(got) != 0 {
		t.Errorf("before: %v, %v", got, err)
	}
	_, err := w.MakeSigningKeys(w.ctx(), inside(w.ours.ID), w.ours.ID, made)
	w.ok(err)
	w.reopen()
	late, err := w.MakeSigningKeys(w.ctx(), inside(w.ours.ID), w.ours.ID, []gateway.SigningKey{{Selector: "late"}})
	w.ok(err)
	got, err := w.SigningKeys(w.ctx(), system, w.ours.ID)
	w.ok(err)
	for _, all := range [][]gateway.SigningKey{late, got} {
		if len(all) != 2 || all[0].Private.Reveal() != made[0].Private.Reveal() || string(all[0].Public) != string(made[0].Public) || all[1].Selector != "b" || all[1].Algorithm != "ed25519" {
			t.Errorf("%+v, want %+v", all, made)
		}
	}
	for name, sc := range map[string]gateway.Scope{"their domain": inside(w.them.ID), "an account": of(w.ann), "nobody": {}} {
		if _, err := w.SigningKeys(w.ctx(), sc, w.ours.ID); gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s reads them: %v", name, err)
		}
		if _, err := w.MakeSigningKeys(w.ctx(), sc, w.ours.ID, made); gateway.KindOf(err) != gateway.NotFound || err == nil {
			t.Errorf("%s makes some: %v", name, err)
		}
	}
	w.ok(w.DeleteDomain(w.ctx(), system, w.ours.ID))
	if n, some := w.keysOf(w.ours.ID); n > 0 {
		t.Errorf("%d keys are left of the domain, such as %v", n, some)
	}
}
