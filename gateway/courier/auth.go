package courier

import (
	"context"
	"encoding/base64"
	"log/slog"

	"github.com/centerleap/postern/gateway"
)

// login shows the smart host who we are: AUTH PLAIN (RFC 4616), or LOGIN where there is
// no other. That it is refused is the operator's to mend, so no mail fails of it. What
// the host says about it is not repeated: it may quote the password.
func (s *session) login(ctx context.Context, smart *SmartHost) *fault {
	var rep reply
	var f *fault
	word := base64.StdEncoding.EncodeToString
	switch {
	case s.ext.authPlain:
		rep, f = s.ask(ctx, PhaseAuth, gateway.HopTimeout, "AUTH PLAIN "+word([]byte("\x00"+smart.Username+"\x00"+smart.Password.Reveal())))
	case s.ext.authLogin:
		for _, line := range []string{"AUTH LOGIN", word([]byte(smart.Username)), word([]byte(smart.Password.Reveal()))} {
			if rep, f = s.ask(ctx, PhaseAuth, gateway.HopTimeout, line); f != nil || rep.code != 334 {
				break
			}
		}
	default:
		return ours(Deferred, PhaseAuth, [3]int{4, 7, 0}, nil, "the smart host offers no way to log in that this gateway knows")
	}
	switch {
	case f != nil && f.Remote:
		f.Text = "the smart host ended the session at the login"
		return f
	case f != nil:
		return f
	case rep.code != 235:
		s.courier.cfg.Log.LogAttrs(ctx, slog.LevelError, "the smart host refuses the login", slog.Int("code", rep.code))
		return ours(Deferred, PhaseAuth, [3]int{4, 7, 0}, nil, "the smart host refuses the login with %d", rep.code)
	}
	return nil
}
