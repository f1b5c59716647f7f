package serve

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/courier"
	"github.com/centerleap/postern/gateway/imapd"
	"github.com/centerleap/postern/gateway/telemetry"
)

// setting is one line of a configuration: table.key.
type setting struct {
	name  string
	kind  kind
	set   func(c *Config, v string) error
	later bool // it is read, and changes nothing before its room is built
}

// kind is the type a value has in the file.
type kind string

const (
	textKind   kind = "text in quotes"
	boolKind   kind = "true or false"
	numberKind kind = "a whole number"
	sizeKind   kind = "a number of bytes or text in quotes"
	listKind   kind = "a list of texts in quotes"
)

// table is every setting there is. It is never changed.
var table = settings()

func settings() []setting {
	all := []setting{
		text("server.hostname", func(c *Config) *string { return &c.Hostname }, hostName),
		text("server.data", func(c *Config) *string { return &c.Data }, notEmpty),
		{name: "server.memory", kind: sizeKind, set: setMemory},
		text("tls.cert_file", func(c *Config) *string { return &c.CertFile }, readable),
		text("tls.key_file", func(c *Config) *string { return &c.KeyFile }, readable),
		number("mx.banner_millis", "milliseconds that a client must wait silently for the greeting", 0, maxBannerMillis, func(c *Config) *int64 { return &c.BannerMillis }),
		text("smtp.username", func(c *Config) *string { return &c.SMTPUsername }, notEmpty),
		text("delivery.mode", func(c *Config) *string { return &c.Mode }, oneOf("capture", "direct", "relay")),
		text("delivery.smarthost", func(c *Config) *string { return &c.SmartHost }, smartHost),
		boolean("delivery.allow_private", func(c *Config) *bool { return &c.AllowPrivate }),
		list("imap.hide", func(c *Config) *[]string { return &c.HiddenIMAP }, imapd.CheckExtension),
		text("inbound.dmarc", func(c *Config) *string { return &c.DMARC }, oneOf("junk", "enforce", "off")),
		text("plugins.cache", func(c *Config) *string { return &c.PluginCache }, notEmpty),
		boolean("plugins.uploads", func(c *Config) *bool { return &c.PluginUploads }),
		list("plugins.signers", func(c *Config) *[]string { return &c.PluginSigners }, signingKey),
		boolean("attachments.remote", func(c *Config) *bool { return &c.RemoteAttachments }),
		list("http.allow", func(c *Config) *[]string { return &c.HTTPAllow }, remoteAddr),
		list("rest.origins", func(c *Config) *[]string { return &c.Origins }, origin),
		list("dashboard.hosts", func(c *Config) *[]string { return &c.DashboardHosts }, hostName),
		text("rest.url", func(c *Config) *string { return &c.RESTURL }, baseURL),
		list("dns.servers", func(c *Config) *[]string { return &c.DNSServers }, isDNSServer),
		number("store.reserve", "bytes of free disk", 0, maxReserve, func(c *Config) *int64 { return &c.DiskReserve }),
		number("retention.feed_days", "days", 1, maxDays, func(c *Config) *int64 { return &c.FeedDays }),
		number("retention.activity_days", "days", 1, maxDays, func(c *Config) *int64 { return &c.ActivityDays }),
		number("retention.trash_days", "days; 0 is for ever", 0, maxDays, func(c *Config) *int64 { return &c.TrashDays }),
		text("log.level", func(c *Config) *string { return &c.LogLevel }, oneOf(telemetry.Levels...)),
		text("log.format", func(c *Config) *string { return &c.LogFormat }, oneOf(telemetry.Formats...)),
	}
	for _, door := range Doors {
		all = append(all, setting{door + ".listen", textKind, func(c *Config, v string) error {
			if err := listenAddr(v); err != nil {
				return err // what was set before stands, so that one fault is reported once
			}
			c.Listen[door] = v
			return nil
		}, door == "metrics"})
	}
	for _, door := range built {
		all = append(all, setting{name: door + ".proxy_from", kind: listKind, set: func(c *Config, v string) (err error) {
			c.ProxyFrom[door], err = networks(v)
			return err
		}})
	}
	for _, l := range gateway.LimitTable {
		least := int64(1)
		if strings.HasPrefix(l.Name, "key_") || strings.HasPrefix(l.Name, "requests_") || l.Name == "reply_hours" {
			least = 0 // no limit
		}
		all = append(all, number("limits."+l.Name, l.Unit, least, l.Default*mostTimes, func(c *Config) *int64 { return l.Field(&c.Limits) }))
	}
	return all
}

const (
	// mostTimes bounds a limit by its default; more is a slip of the keyboard,
	// and would make the limit none. Ours.
	mostTimes = 1000
	// maxReserve is 1 TiB.
	maxReserve = 1 << 40
	// maxList bounds a list.
	maxList = 1000
	// maxBannerMillis is a tenth of what clients wait, RFC 5321 section 4.5.3.2.1.
	maxBannerMillis = 30_000
	// maxDays is ten years.
	maxDays = 3650
)

func find(name string) *setting {
	if i := slices.IndexFunc(table, func(s setting) bool { return s.name == name }); i >= 0 {
		return &table[i]
	}
	return nil
}

func text(name string, field func(*Config) *string, check func(string) error) setting {
	return setting{name: name, kind: textKind, set: func(c *Config, v string) error {
		if check != nil {
			if err := check(v); err != nil {
				return err
			}
		}
		*field(c) = v
		return nil
	}}
}

// list is several texts; a variable holds them with commas between.
func list(name string, field func(*Config) *[]string, check func(string) error) setting {
	return setting{name: name, kind: listKind, set: func(c *Config, v string) error {
		var all []string
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			if err := check(item); err != nil {
				return err
			}
			all = append(all, item)
		}
		if len(all) > maxList {
			return fmt.Errorf("at most %d are expected", maxList)
		}
		*field(c) = all
		return nil
	}}
}

func boolean(name string, field func(*Config) *bool) setting {
	return setting{name: name, kind: boolKind, set: func(c *Config, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("true or false is expected, not %q", v)
		}
		*field(c) = b
		return nil
	}}
}

func number(name, unit string, least, most int64, field func(*Config) *int64) setting {
	return setting{name: name, kind: numberKind, set: func(c *Config, v string) error {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n < least || n > most {
			return fmt.Errorf("a number from %d to %d is expected (%s), not %q", least, most, unit, v)
		}
		*field(c) = n
		return nil
	}}
}

func oneOf(names ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(names, v) {
			return fmt.Errorf("one of %s is expected, not %q", strings.Join(names, ", "), v)
		}
		return nil
	}
}

func notEmpty(v string) error {
	if strings.TrimSpace(v) == "" {
		return errors.New("it must not be empty")
	}
	return nil
}

func readable(v string) error {
	if v == "" {
		return nil
	}
	f, err := os.Open(v)
	if err != nil {
		return err
	}
	return f.Close()
}

// hostName holds a name to RFC 1123 section 2.1: it goes into greetings and
// header fields.
func hostName(v string) error {
	ok := len(v) <= 253
	for label := range strings.SplitSeq(v, ".") {
		ok = ok && label != "" && len(label) <= 63 && label[0] != '-' && label[len(label)-1] != '-' &&
			!strings.ContainsFunc(label, func(r rune) bool {
				return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-'
			})
	}
	if !ok {
		return fmt.Errorf("the name of a host is expected, such as mail.example.com, not %q", v)
	}
	return nil
}

// listenAddr takes HOST:PORT with an IP address, a name or nothing for the host;
// empty is a door that stays shut.
func listenAddr(v string) error {
	if v == "" {
		return nil
	}
	if host, port, err := net.SplitHostPort(v); err != nil || !isPort(port, 0) || host != "" && !isHost(host) {
		return fmt.Errorf("an address such as 127.0.0.1:8080 is expected, not %q", v)
	}
	return nil
}

// remoteAddr takes HOST:PORT of another machine; empty is none.
func remoteAddr(v string) error {
	if v == "" {
		return nil
	}
	if host, port, err := net.SplitHostPort(v); err != nil || !isPort(port, 1) || !isHost(host) {
		return fmt.Errorf("a host and port such as mail.example.com:587 is expected, not %q", v)
	}
	return nil
}

// smartHost takes what the courier does; empty is none.
func smartHost(v string) error {
	if v == "" {
		return nil
	}
	_, err := courier.ParseSmartHost(v)
	return err
}

// networks takes addresses and networks such as 192.0.2.0/24, with commas between.
func networks(v string) (all []netip.Prefix, err error) {
	for item := range strings.SplitSeq(v, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		p, err := netip.ParsePrefix(item)
		if a, addrErr := netip.ParseAddr(item); addrErr == nil && a.Zone() == "" {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil || p.Bits() == 0 || p.Addr().Is4In6() {
			return nil, fmt.Errorf("an address or a network such as 192.0.2.0/24 is expected, not %q", item)
		}
		all = append(all, p)
	}
	if len(all) > maxList {
		return nil, fmt.Errorf("at most %d are expected", maxList)
	}
	return all, nil
}

// baseURL takes what stands before the path of a link; empty is none.
func baseURL(v string) error {
	u, err := url.Parse(v)
	if v != "" && (err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(v, "/")) {
		return fmt.Errorf("a URL such as https://mail.example.com is expected, without a slash at its end, not %q", v)
	}
	return nil
}

// origin takes what a browser calls one, RFC 6454 section 6.1, in small letters.
func origin(v string) error {
	u, err := url.Parse(v)
	if err != nil || v != strings.ToLower(u.Scheme+"://"+u.Host) || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" {
		return fmt.Errorf("an origin such as https://app.example.com is expected, not %q", v)
	}
	return nil
}

func isHost(v string) bool { return net.ParseIP(v) != nil || hostName(v) == nil }

func isPort(v string, least uint64) bool {
	n, err := strconv.ParseUint(v, 10, 16)
	return err == nil && n >= least
}
