package keys

import (
	"context"
	"errors"
	"time"

	"github.com/centerleap/postern/gateway"
)

// loginTime is how long a refused login takes at least: its length says nothing
// about why, and guessing is slow. Ours.
const loginTime = 100 * time.Millisecond

// Login opens a session for a door where a key comes with a username: may says
// whether the two go together. All refusals take the same time, sound the same,
// and count against the network.
func (k *Keys) Login(ctx context.Context, ip string, token gateway.Secret, may func(*Session) (bool, error)) (*Session, error) {
	if err := k.Allow(ip); err != nil {
		return nil, err
	}
	began := time.Now()
	s, err := k.open(ctx, token, may)
	if kind := gateway.KindOf(err); err != nil && (kind == gateway.InvalidKey || kind == gateway.MissingKey) {
		k.Failed(ip)
		wait := time.NewTimer(loginTime - time.Since(began))
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
	}
	return s, err
}

func (k *Keys) open(ctx context.Context, token gateway.Secret, may func(*Session) (bool, error)) (*Session, error) {
	s, err := k.Open(ctx, token)
	if err != nil {
		return nil, err
	}
	ok, err := may(s)
	if err == nil && !ok {
		err = refuse(reasonUsername, &s.key)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Refused returns the key that an error of Open or Login is about, for the log.
func Refused(err error) (gateway.Key, bool) {
	known, ok := errors.AsType[*RefusedError](err)
	if !ok {
		return gateway.Key{}, false
	}
	return known.Key, true
}
