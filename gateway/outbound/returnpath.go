package outbound

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Mail to other hosts has a return path of ours, b+<token>@bounce.<hostname>: what they
// say later comes back here, and says about which message. The token is signed and not
// stored: 61 letters and digits in one case, since some hosts change it, which with "b+"
// is one less than a local part may have (RFC 5321 section 4.5.3.1.1).
const (
	returnHost   = "bounce."
	returnPrefix = "b+"
	returnMAC    = 16 // bytes: half of HMAC-SHA-256, RFC 2104 section 5
	returnFixed  = 4 + 16 + 2
	// settingReturns is the secret that signs the tokens.
	settingReturns = "return_path_secret"
)

var returnCoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// returnToken is what a return path says. Week numbers the weeks of Unix time: so a
// message has the same return path in all attempts but for those that a week ends
// between, which greylisting wants.
type returnToken struct {
	domain gateway.DomainID
	email  gateway.ID
	week   uint16
}

const week = 7 * 24 * time.Hour

func weekOf(t time.Time) uint16 { return uint16(t.Unix() / int64(week/time.Second)) }

// expired reports whether a token's time is over: some days after the week it is of.
func (k *returnToken) expired(now time.Time, days int64) bool {
	end := time.Unix((int64(k.week)+1)*int64(week/time.Second), 0)
	return now.After(end.Add(time.Duration(days) * 24 * time.Hour))
}

func (k *returnToken) sign(secret string) string {
	b := binary.BigEndian.AppendUint32(nil, uint32(k.domain))
	b = binary.BigEndian.AppendUint16(append(b, k.email[:]...), k.week)
	return returnCoding.EncodeToString(append(b, returnMACOf(secret, b)...))
}

func returnMACOf(secret string, b []byte) []byte {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write(b)
	return h.Sum(nil)[:returnMAC]
}

// readToken returns what a token says, if we signed it.
func readToken(secret, token string) (k returnToken, ok bool) {
	// Without a secret none was signed; the decoder passes over line breaks.
	if secret == "" || len(token) != returnCoding.EncodedLen(returnFixed+returnMAC) || strings.ContainsAny(token, "\r\n") {
		return k, false
	}
	token = strings.ToLower(token)
	b, err := returnCoding.DecodeString(token)
	if err != nil || returnCoding.EncodeToString(b) != token || // the last letter has bits to spare
		len(b) != returnFixed+returnMAC || !hmac.Equal(returnMACOf(secret, b[:returnFixed]), b[returnFixed:]) {
		return k, false
	}
	k.domain = gateway.DomainID(binary.BigEndian.Uint32(b))
	copy(k.email[:], b[4:])
	k.week = binary.BigEndian.Uint16(b[20:])
	return k, true
}

// returnPath is the reverse-path that a message has on its way to other hosts. The null
// one stays: what was sent with it wants no answer.
func (s *Sender) returnPath(ctx context.Context, d *gateway.Delivery) (string, error) {
	if d.ReturnPath == "" {
		return "", nil
	}
	secret, err := s.returnSecret(ctx, true)
	if err != nil {
		return "", err
	}
	k := returnToken{d.Domain, d.Email, weekOf(s.cfg.Now())}
	return returnPrefix + k.sign(secret) + "@" + returnHost + s.cfg.Hostname, nil
}

// returnSecret reads the secret of tokens, or makes it. It is kept in memory: it never
// changes.
func (s *Sender) returnSecret(ctx context.Context, makeIt bool) (string, error) {
	s.secret.Lock()
	defer s.secret.Unlock()
	if s.secret.value != "" {
		return s.secret.value, nil
	}
	v, err := s.cfg.Store.Setting(ctx, s.cfg.System, settingReturns)
	if err == nil && v == "" && makeIt {
		var fresh [sha256.Size]byte
		_, _ = rand.Read(fresh[:]) // it never fails
		v, err = s.cfg.Store.KeepSetting(ctx, s.cfg.System, settingReturns, hex.EncodeToString(fresh[:]))
	}
	if err == nil {
		s.secret.value = v
	}
	return v, err
}

// Returns reports whether an address is at the host of our return paths. NotFound if it
// is none of them, or no more.
func (s *Sender) Returns(ctx context.Context, addr string) (ours bool, err error) {
	_, ours, err = s.token(ctx, addr)
	return ours, err
}

func (s *Sender) token(ctx context.Context, addr string) (k returnToken, ours bool, err error) {
	local, host := gateway.SplitAddress(addr)
	if !strings.EqualFold(host, returnHost+s.cfg.Hostname) {
		return k, false, nil
	}
	secret, err := s.returnSecret(ctx, false)
	if err != nil {
		return k, true, err
	}
	ok := len(local) > len(returnPrefix) && strings.EqualFold(local[:len(returnPrefix)], returnPrefix)
	if ok {
		k, ok = readToken(secret, local[len(returnPrefix):])
	}
	if !ok || k.expired(s.cfg.Now(), s.cfg.Limits.ReturnPathDays) {
		return k, true, gateway.Errorf(gateway.NotFound, "no such return path")
	}
	return k, true, nil
}
