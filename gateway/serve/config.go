package serve

import (
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/telemetry"
)

// Config is everything an operator sets: defaults, then the file, then the
// environment, then flags. What tenants change lives in the store.
type Config struct {
	Hostname string
	Data     string
	Listen   map[string]string // by door: rest, submission, submissions, mx, imap, imaps, metrics

	CertFile, KeyFile string
	SMTPUsername      string
	Mode              string
	SmartHost         string
	AllowPrivate      bool
	DMARC             string
	PluginUploads     bool
	Resolver          string
	LogLevel          string
	LogFormat         string
	Limits            gateway.Limits

	local      bool // quickstart: loopback only
	chosen     map[string]bool
	ExemptBans bool
}

// Doors are the listeners a configuration can name, in the order they are
// printed.
var Doors = []string{"rest", "submission", "submissions", "mx", "imap", "imaps", "metrics"}

// Defaults is a Config for one machine that nobody has configured.
func Defaults() *Config {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "localhost"
	}
	c := &Config{
		Hostname: host, Data: ".postern", Listen: map[string]string{"rest": "127.0.0.1:8080"}, SMTPUsername: "centerleap",
		Mode: string(gateway.ModeCapture), DMARC: "junk", PluginUploads: true, LogLevel: "info", LogFormat: "auto",
		Limits: gateway.DefaultLimits(), chosen: make(map[string]bool),
	}
	return c
}

// setting is one line of the configuration: table.key.
type setting struct {
	name string
	kind string // text, bool or number
	set  func(c *Config, v string) error
}

func text(name string, field func(*Config) *string, check func(string) error) setting {
	return setting{name, "text", func(c *Config, v string) error {
		if check != nil {
			if err := check(v); err != nil {
				return err
			}
		}
		*field(c) = v
		return nil
	}}
}

func flag(name string, field func(*Config) *bool) setting {
	return setting{name, "bool", func(c *Config, v string) (err error) {
		if *field(c), err = strconv.ParseBool(v); err != nil {
			return errors.New("true or false is expected")
		}
		return nil
	}}
}

func oneOf(names ...string) func(string) error {
	return func(v string) error {
		if !slices.Contains(names, v) {
			return fmt.Errorf("one of %s is expected", strings.Join(names, ", "))
		}
		return nil
	}
}

func hostPort(v string) error {
	if v == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(v)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return errors.New("an address such as 127.0.0.1:8080 is expected")
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

// settings is every setting there is.
func settings() []setting {
	all := []setting{
		text("server.hostname", func(c *Config) *string { return &c.Hostname }, nil),
		text("server.data", func(c *Config) *string { return &c.Data }, nil),
		text("tls.cert_file", func(c *Config) *string { return &c.CertFile }, readable),
		text("tls.key_file", func(c *Config) *string { return &c.KeyFile }, readable),
		text("smtp.username", func(c *Config) *string { return &c.SMTPUsername }, nil),
		text("delivery.mode", func(c *Config) *string { return &c.Mode }, oneOf("capture", "direct", "relay")),
		text("delivery.smarthost", func(c *Config) *string { return &c.SmartHost }, hostPort),
		flag("delivery.allow_private", func(c *Config) *bool { return &c.AllowPrivate }),
		text("inbound.dmarc", func(c *Config) *string { return &c.DMARC }, oneOf("junk", "enforce", "off")),
		flag("plugins.uploads", func(c *Config) *bool { return &c.PluginUploads }),
		text("dns.resolver", func(c *Config) *string { return &c.Resolver }, hostPort),
		text("log.level", func(c *Config) *string { return &c.LogLevel }, oneOf(telemetry.Levels...)),
		text("log.format", func(c *Config) *string { return &c.LogFormat }, oneOf(telemetry.Formats...)),
	}
	for _, door := range Doors {
		all = append(all, setting{door + ".listen", "text", func(c *Config, v string) error {
			c.Listen[door] = v
			return hostPort(v)
		}})
	}
	for _, l := range gateway.LimitTable {
		all = append(all, setting{"limits." + l.Name, "number", func(c *Config, v string) error {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < 0 {
				return fmt.Errorf("a number of %s is expected", l.Unit)
			}
			*l.Field(&c.Limits) = n
			return nil
		}})
	}
	return all
}

// Set applies one setting by its name, table.key.
func (c *Config) Set(name, value string) error {
	for _, s := range settings() {
		if s.name == name {
			c.chosen[name] = true
			return s.set(c, value)
		}
	}
	return fmt.Errorf("unknown setting %s; %s", name, nearest(name))
}

// nearest names the setting that was perhaps meant.
func nearest(name string) string {
	best, least := "", 1<<30
	for _, s := range settings() {
		if d := distance(name, s.name); d < least {
			best, least = s.name, d
		}
	}
	return "did you mean " + best + "?"
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost = min(last, row[j], row[j+1]) + 1
			}
			last, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}

// LoadFile applies a TOML file. The error lists every fault of it with its line.
func (c *Config) LoadFile(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var doc map[string]any
	if err := toml.Unmarshal(raw, &doc); err != nil {
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, _ := d.Position()
			return fmt.Errorf("%s:%d: %w", path, line, err)
		}
		return fmt.Errorf("%s: %w", path, err)
	}
	var faults []error
	for _, e := range flatten(doc) {
		if err := c.setTyped(e.name, e.value); err != nil {
			faults = append(faults, fmt.Errorf("%s:%d: %s: %w", path, lineOf(string(raw), e.name), e.name, err))
		}
	}
	return errors.Join(faults...)
}

type assignment struct {
	name  string
	value any
}

// flatten lists the assignments of a document in the order of their names.
func flatten(doc map[string]any) (all []assignment) {
	for table, v := range doc {
		keys, ok := v.(map[string]any)
		if !ok {
			all = append(all, assignment{table, v})
			continue
		}
		for key, v := range keys {
			all = append(all, assignment{table + "." + key, v})
		}
	}
	slices.SortFunc(all, func(a, b assignment) int { return strings.Compare(a.name, b.name) })
	return all
}

// setTyped applies a value of the file, whose type must be the setting's.
func (c *Config) setTyped(name string, v any) error {
	for _, s := range settings() {
		if s.name != name {
			continue
		}
		got := "a table or an array"
		switch v.(type) {
		case string:
			got = "text"
		case bool:
			got = "bool"
		case int64:
			got = "number"
		}
		if got != s.kind {
			return fmt.Errorf("a %s is expected, not %v", s.kind, v)
		}
	}
	return c.Set(name, fmt.Sprint(v))
}

// lineOf finds the line of a setting: the key, after its table's header.
func lineOf(doc, name string) int {
	table, key, _ := strings.Cut(name, ".")
	in, found := "", 1
	for i, line := range strings.Split(doc, "\n") {
		line = strings.TrimSpace(line)
		if t, ok := strings.CutPrefix(line, "["); ok {
			in = strings.TrimRight(strings.TrimSpace(strings.SplitN(t, "]", 2)[0]), "]")
			if in == table {
				found = i + 1
			}
			continue
		}
		k := strings.TrimSpace(strings.SplitN(line, "=", 2)[0])
		if in == table && k == key || in == "" && (k == name || key == "" && k == table) {
			return i + 1
		}
	}
	return found
}

// clientVariables are for commands and tests, not settings.
var clientVariables = []string{"POSTERN_URL", "POSTERN_KEY", "POSTERN_GUIDE", "POSTERN_DATA"}

// LoadEnv applies variables such as POSTERN_REST_LISTEN. A variable that looks
// like a setting and is none is a fault.
func (c *Config) LoadEnv(environ []string) error {
	byVar := make(map[string]string)
	tables := make(map[string]bool)
	for _, s := range settings() {
		byVar["POSTERN_"+strings.ToUpper(strings.ReplaceAll(s.name, ".", "_"))] = s.name
		table, _, _ := strings.Cut(s.name, ".")
		tables[strings.ToUpper(table)] = true
	}
	var faults []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		rest, ours := strings.CutPrefix(name, "POSTERN_")
		if !ours || slices.Contains(clientVariables, name) {
			continue
		}
		if s, known := byVar[name]; known {
			if err := c.Set(s, value); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", name, err))
			}
			continue
		}
		if table, key, _ := strings.Cut(rest, "_"); tables[table] {
			faults = append(faults, fmt.Errorf("%s: unknown setting; %s", name, nearest(strings.ToLower(table+"."+key))))
		}
	}
	return errors.Join(faults...)
}

// Check finds what no single setting shows.
func (c *Config) Check() error {
	var faults []error
	if (c.CertFile == "") != (c.KeyFile == "") {
		faults = append(faults, errors.New("tls.cert_file and tls.key_file belong together"))
	}
	if c.Mode == string(gateway.ModeRelay) && c.SmartHost == "" {
		faults = append(faults, errors.New("delivery.mode is relay: delivery.smarthost says where to"))
	}
	if c.local {
		for door, addr := range c.Listen {
			if host, _, err := net.SplitHostPort(addr); err == nil && !isLoopback(host) {
				faults = append(faults, fmt.Errorf("%s.listen: quickstart listens on loopback only, not on %s; use postern serve", door, addr))
			}
		}
	}
	return errors.Join(faults...)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
