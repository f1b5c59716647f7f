package courier

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// SmartHost is the server that takes all mail and carries it on.
type SmartHost struct {
	Host     string // its name, or an address; a certificate has to fit it
	Port     uint16
	Username string // with AUTH PLAIN or LOGIN; empty: without
	Password gateway.Secret
	// Implicit is TLS from the first byte, as at port 465: RFC 8314. Else STARTTLS.
	Implicit bool
}

// ParseSmartHost reads host:port, or smtp://user:password@host:587 for STARTTLS, or
// smtps://user:password@host:465 for TLS from the first byte. In a URL the port may be
// left out, and user and password are percent-encoded. Errors don't repeat what they are
// about, since it may hold a password.
func ParseSmartHost(s string) (*SmartHost, error) {
	bad := errors.New("the smart host has to look like host:port, or smtp://user:password@host:587, or smtps://user:password@host:465")
	out := new(SmartHost)
	host, port, err := net.SplitHostPort(s)
	if strings.Contains(s, "://") {
		u, uerr := url.Parse(s)
		if uerr != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, bad
		}
		host, port, err = u.Hostname(), u.Port(), nil
		out.Implicit = u.Scheme == "smtps"
		out.Username = u.User.Username()
		password, _ := u.User.Password()
		out.Password = gateway.Secret(password)
		if port == "" {
			port = map[bool]string{true: "465", false: "587"}[out.Implicit]
		}
	}
	n, perr := strconv.ParseUint(port, 10, 16)
	if err != nil || perr != nil {
		return nil, bad
	}
	out.Host, out.Port = host, uint16(n)
	if out.check() != nil {
		return nil, bad
	}
	return out, nil
}

func (s *SmartHost) check() error {
	if _, err := netip.ParseAddr(s.Host); err != nil {
		if s.Host, err = hostname(s.Host); err != nil {
			return errors.New("courier: the smart host needs a name or an address")
		}
	}
	if s.Port == 0 || (s.Username == "") != (s.Password == "") {
		return errors.New("courier: the smart host needs a port, and a user and a password or neither")
	}
	// NUL separates the parts of PLAIN, RFC 4616 section 2.
	if strings.Contains(s.Username+s.Password.Reveal(), "\x00") || len(s.Username) > 255 || len(s.Password) > 255 {
		return errors.New("courier: the smart host's user and password have at most 255 bytes, and no NUL")
	}
	return nil
}

// target is the smart host as the only next hop. TLS is a must: what goes there is all
// mail, and a password. That a relay on this machine needs none is up to the address
// that is connected to, not to its name; see strictAt.
func (s *SmartHost) target() target {
	t := target{host: s.Host, port: s.Port, smart: true, strict: true, policy: PolicySmartHost}
	t.addr, _ = netip.ParseAddr(s.Host)
	return t
}
