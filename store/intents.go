package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/store/engine"
)

// Mail that plugins want sent is written by the commit of what they were asked about, and
// waits here for its worker. While one is tried its time in the index is the end of its
// lease, so that a try that dies comes again by itself. What sends it ends it, in one
// commit: see fulfil.go. So it is sent once, whatever dies when.

func intentKey(d gateway.DomainID, id gateway.ID) []byte { return key(subIntent, d).id(id) }

func intentUseKey(d gateway.DomainID) keyBuilder { return key(subIntentUse, d) }

func pluginUsageKey(d gateway.DomainID, id gateway.ID) []byte { return key(subPlugUsage, d).id(id) }

func readIntent(r engine.Reader, d gateway.DomainID, id gateway.ID) (*gateway.Intent, error) {
	return load(r, intentKey(d, id), func(b []byte) (*gateway.Intent, error) { return decodeIntent(d, id, b) })
}

// IntentsAdded is woken after a commit that adds mail of plugins.
func (s *Store) IntentsAdded() <-chan struct{} { return s.intents }

// addIntents adds what plugins want sent. A plugin that was deleted meanwhile sends
// nothing; what there is no room for is dropped, and its plugin's log says so.
func (t *tx) addIntents(list []gateway.Intent) error {
	for i := range list {
		in := list[i]
		p, err := readPlugin(t, t.domain, in.Plugin)
		if errors.Is(err, engine.ErrNotFound) {
			continue
		} else if err != nil {
			return err
		}
		if in.Domain = t.domain; in.ID.IsZero() {
			in.ID = newID()
		}
		in.Created, in.Due, in.Tried, in.Fence = t.now, t.now.Truncate(time.Millisecond), 0, 0
		why, err := t.roomFor(&in)
		if err != nil {
			return err
		}
		if why != "" {
			text := "a mail is not sent: " + why
			if err := t.addLines([]gateway.PluginLine{lineAbout(p, &in, gateway.LineError, text, t.now)}); err != nil {
				return err
			}
			continue
		}
		t.intent = true
		t.Set(intentKey(t.domain, in.ID), encodeIntent(&in))
		t.Set(timedKey(subIntentDue, in.Due, t.domain, in.ID), nil)
	}
	return nil
}

// roomFor takes room for an intent, or says why there is none. What a plugin wants sent never
// makes the commit of what it was asked about too large: others wait for that.
func (t *tx) roomFor(in *gateway.Intent) (why string, err error) {
	size := weight(in)
	if most := t.store.cfg.Limits.PluginSendBytes; t.sends+int64(size) > most {
		return fmt.Sprintf("all that is sent because of one message may have %d bytes", most), nil
	}
	room, err := t.countIntent(in.Plugin, 1, size)
	if err != nil {
		return "", err
	}
	if !room {
		return "too many of the plugin, or of its domain, wait", nil
	}
	t.sends += int64(size)
	return "", nil
}

// countIntent counts intents of a domain and of a plugin, which has half of its domain's
// room. It changes nothing where more than there is room for would be.
func (t *tx) countIntent(plugin gateway.ID, by, bytes int) (room bool, err error) {
	lim := &t.store.cfg.Limits
	keys := [2]keyBuilder{intentUseKey(t.domain), intentUseKey(t.domain).id(plugin)}
	var use [2]numbers
	for i, k := range keys {
		if use[i], err = loadOr(t, k, decodeNumbers); err != nil {
			return false, err
		}
		use[i][0] += uint64(by)
		use[i][1] += uint64(by * bytes)
		share := int64(i + 1)
		if by > 0 && (int64(use[i][0]) > max(lim.PluginIntents/share, 1) || int64(use[i][1]) > lim.PluginIntentBytes/share) {
			return false, nil
		}
	}
	for i, k := range keys {
		if use[i] == (numbers{}) {
			t.Delete(k)
		} else {
			t.Set(k, use[i].encode())
		}
	}
	return true, nil
}

// weight is how much an intent counts: its mail, in bytes.
func weight(in *gateway.Intent) int {
	var e encoder
	encodeCompose(&e, &in.Mail)
	return len(e.b)
}

// lineAbout is a line of a plugin's log about mail it wants sent.
func lineAbout(p *gateway.Plugin, in *gateway.Intent, level gateway.LineLevel, text string, at time.Time) gateway.PluginLine {
	l := gateway.PluginLine{Plugin: p.ID, At: at, Level: level, Version: p.Version, Email: in.Answers, Text: text}
	if l.Version == "" {
		l.Version = hex.EncodeToString(p.SHA256[:6])
	}
	return l
}

// intentsLooked is how many intents that are due one look goes through: those of domains
// that have their share may stand before others. Ours.
const intentsLooked = 20_000

// LeaseIntents takes at most most intents that are due, of each domain as many as it has
// room for. Nobody else gets them until the lease ends.
func (s *Store) LeaseIntents(
	ctx context.Context, sc gateway.Scope, most int, room func(gateway.DomainID) int, lease time.Duration,
) (all []gateway.Intent, err error) {
	if sc.Level() != gateway.LevelInstance {
		return nil, denied("queue")
	}
	found, err := s.scanTimed(ctx, subIntentDue, s.cfg.Now(), intentsLooked)
	if err != nil {
		return nil, err
	}
	for d, ws := range inTurn(found, most, room) {
		leased, err := s.leaseIntents(ctx, d, ws, lease)
		if err != nil {
			return all, err
		}
		all = append(all, leased...)
	}
	return all, nil
}

// inTurn chooses of what is due, one after the other: of the domain that has most room, and
// so the fewest tries under way. Else domains whose tries are slow, and that have much to be
// sent, would always be first.
func inTurn(found []waiting, most int, room func(gateway.DomainID) int) map[gateway.DomainID][]waiting {
	var domains []gateway.DomainID // in the order of their first
	due, left := make(map[gateway.DomainID][]waiting), make(map[gateway.DomainID]int)
	for _, w := range found {
		if len(due[w.domain]) == 0 {
			domains, left[w.domain] = append(domains, w.domain), room(w.domain)
		}
		due[w.domain] = append(due[w.domain], w)
	}
	chosen := make(map[gateway.DomainID][]waiting)
	for range most {
		next := gateway.DomainID(0)
		for _, d := range domains {
			if len(due[d]) > len(chosen[d]) && left[d] > left[next] {
				next = d
			}
		}
		if next == 0 {
			break
		}
		chosen[next] = due[next][:len(chosen[next])+1]
		left[next]--
	}
	return chosen
}

func (s *Store) leaseIntents(ctx context.Context, d gateway.DomainID, ws []waiting, lease time.Duration) (leased []gateway.Intent, err error) {
	err = s.frees(ctx, d, func(t *tx) error {
		leased = leased[:0]
		for _, w := range ws {
			in, err := readIntent(t, d, w.id)
			if errors.Is(err, engine.ErrNotFound) {
				t.Delete(timedKey(subIntentDue, w.at, d, w.id))
				continue
			} else if err != nil {
				return err
			}
			if !in.Due.Equal(w.at) {
				continue // taken, or put off, since the scan
			}
			in.Tried++
			in.Fence = s.engine.Boot()<<32 | uint64(uint32(in.Tried))
			t.moveIntent(in, t.now.Add(lease))
			leased = append(leased, *in)
		}
		return nil
	})
	return leased, err
}

// moveIntent writes an intent, which is due at another time.
func (t *tx) moveIntent(in *gateway.Intent, due time.Time) {
	t.Delete(timedKey(subIntentDue, in.Due, t.domain, in.ID))
	in.Due = due.Truncate(time.Millisecond)
	t.Set(timedKey(subIntentDue, in.Due, t.domain, in.ID), nil)
	t.Set(intentKey(t.domain, in.ID), encodeIntent(in))
}

// held reads an intent that was leased. InvalidState if it ended, or its lease was lost.
func (t *tx) held(was *gateway.Intent) (*gateway.Intent, error) {
	in, err := readIntent(t, t.domain, was.ID)
	if errors.Is(err, engine.ErrNotFound) || err == nil && in.Fence != was.Fence {
		return nil, gateway.Errorf(gateway.InvalidState, "somebody else sent the mail, or it is not to be sent any more")
	}
	return in, err
}

// PostponeIntent has a leased intent tried again at a time. One that has ended, or whose
// lease was lost, stays as it is.
func (s *Store) PostponeIntent(ctx context.Context, sc gateway.Scope, was *gateway.Intent, due time.Time) error {
	if !sc.CoversDomain(was.Domain) || was.Domain == 0 {
		return denied("intent")
	}
	return s.frees(ctx, was.Domain, func(t *tx) error {
		in, err := t.held(was)
		if err != nil {
			return ended(err)
		}
		in.Fence = 0
		t.moveIntent(in, due)
		return nil
	})
}

// EndIntent drops a leased intent: it is not sent. Its plugin's log says why, and so does
// row, which may be nil. One that has ended, or whose lease was lost, stays as it is.
func (s *Store) EndIntent(
	ctx context.Context, sc gateway.Scope, was *gateway.Intent, level gateway.LineLevel, why string, row *gateway.Activity,
) error {
	if !sc.CoversDomain(was.Domain) || was.Domain == 0 {
		return denied("intent")
	}
	return s.frees(ctx, was.Domain, func(t *tx) error {
		in, err := t.held(was)
		if err != nil {
			return ended(err)
		}
		if err := t.dropIntent(in); err != nil {
			return err
		}
		p, err := readPlugin(t, t.domain, in.Plugin)
		if err != nil {
			return ignoreMissing(err)
		}
		if row != nil {
			row.Domain, row.Account, row.Endpoint = t.domain, in.Account, p.Name
			t.logRow(row)
		}
		return t.addLines([]gateway.PluginLine{lineAbout(p, in, level, why, t.now)})
	})
}

// ended forgives that an intent is not there any more.
func ended(err error) error {
	if gateway.KindOf(err) == gateway.InvalidState {
		return nil
	}
	return err
}

func (t *tx) dropIntent(in *gateway.Intent) error {
	t.Delete(intentKey(t.domain, in.ID))
	t.Delete(timedKey(subIntentDue, in.Due, t.domain, in.ID))
	_, err := t.countIntent(in.Plugin, -1, weight(in))
	return err
}
