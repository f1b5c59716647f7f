package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
)

// Config is everything an operator sets: defaults, then the file, then the
// environment, then flags. What tenants change lives in the store.
type Config struct {
	Hostname string
	Data     string
	Listen   map[string]string // by door; empty is off
	// ProxyFrom are, by door, the networks of proxies that begin each connection
	// with a PROXY header.
	ProxyFrom    map[string][]netip.Prefix
	BannerMillis int64 // that clients of the MX must wait silently for its greeting

	CertFile, KeyFile string
	SMTPUsername      string
	Mode              string
	SmartHost         string
	AllowPrivate      bool
	// Dial connects to mail hosts; no setting, tests have theirs elsewhere. Default: as
	// the courier does.
	Dial              func(ctx context.Context, network, address string) (net.Conn, error)
	DMARC             string
	HiddenIMAP        []string // of imapd.Extensions
	Version           string   // of the program, for people; no setting
	PluginUploads     bool
	PluginSigners     []string // keys in base64; see plugins.Config
	PluginCache       string   // folder for compiled plugins; empty: in the data folder
	PluginCheck       bool     // compare a plugin's state after every call; no setting, tests turn it on
	DNSServers        []string // with or without a port; see dnsServers
	RESTURL           string   // of links in answers; empty: the request's own
	Origins           []string // of pages that may read REST answers
	DashboardHosts    []string // names that browsers know it by, besides server.hostname and that of rest.url
	RemoteAttachments bool     // attachments[].path of a send
	HTTPAllow         []string // host:port that calls of ours may reach although private
	LogLevel          string
	LogFormat         string
	DiskReserve       int64 // bytes; 0: as the store decides
	Memory            int64 // bytes that the process aims to stay below

	// How many days changes, rows of the log, and messages in Trash are kept;
	// TrashDays 0 is for ever.
	FeedDays, ActivityDays, TrashDays int64

	Limits gateway.Limits

	local   bool            // quickstart: loopback only
	chosen  map[string]bool // settings that somebody made
	refused map[string]bool // of these, those with a fault: Check adds no second one
}

// Doors are the listeners a configuration can name, in the order they are
// printed.
var Doors = []string{"rest", "submission", "submissions", "mx", "imap", "imaps", "metrics"}

// Defaults is a Config for one machine that nobody has configured.
func Defaults() *Config {
	host, err := os.Hostname()
	if err != nil || hostName(host) != nil {
		host = "localhost"
	}
	return &Config{
		Hostname: host, Data: DefaultData, Listen: map[string]string{"rest": "127.0.0.1:8080"},
		ProxyFrom: make(map[string][]netip.Prefix), SMTPUsername: "centerleap",
		Mode: string(gateway.ModeCapture), DMARC: "junk", PluginUploads: true, LogLevel: "info", LogFormat: "auto",
		Memory: memoryDefault, FeedDays: keptDays, ActivityDays: keptDays, TrashDays: keptDays,
		Limits: gateway.DefaultLimits(), chosen: make(map[string]bool), refused: make(map[string]bool),
	}
}

// keptDays is how long what is not kept for ever is kept. Source: DESIGN section
// 5, "kept 30 days"; large providers empty Trash after as many.
const keptDays = 30

// DefaultData is the data folder of a gateway that nobody has configured.
const DefaultData = ".postern"

// LocalDefaults is Defaults for quickstart: loopback, and no mail leaves.
func LocalDefaults() *Config {
	c := Defaults()
	c.Hostname, c.local, c.RemoteAttachments = "localhost", true, true
	for door, port := range localPorts {
		c.Listen[door] = "127.0.0.1:" + port
	}
	return c
}

// localPorts are where quickstart listens: the protocol's port and 2000.
var localPorts = map[string]string{"submission": "2587", "submissions": "2465", "mx": "2525", "imap": "2143", "imaps": "2993"}

// withTLS are the doors that can't be opened without a certificate.
var withTLS = []string{"submission", "submissions", "imap", "imaps"}

// Set applies one setting by its name, table.key.
func (c *Config) Set(name, value string) error {
	s := find(name)
	if s == nil {
		return fmt.Errorf("unknown setting; did you mean %s?", nearest(name))
	}
	err := s.set(c, value)
	c.chosen[name], c.refused[name] = true, err != nil
	return err
}

// Check finds what no single setting shows.
func (c *Config) Check() error {
	var faults []error
	if c.Listen["rest"] == "" && !c.refused["rest.listen"] {
		faults = append(faults, errors.New("rest.listen: an address is needed; nothing else lets anybody in"))
	}
	if c.Mode == string(gateway.ModeRelay) && c.SmartHost == "" && !c.refused["delivery.smarthost"] {
		faults = append(faults, errors.New("delivery.mode is relay: delivery.smarthost says where to"))
	}
	if _, err := c.certificates(); err != nil && !c.refused["tls.cert_file"] && !c.refused["tls.key_file"] {
		faults = append(faults, err)
	}
	for _, door := range withTLS {
		if c.Listen[door] != "" && c.CertFile == "" && !c.local {
			faults = append(faults, fmt.Errorf("%s.listen: nobody logs in without TLS; set tls.cert_file and tls.key_file", door))
		}
	}
	for _, door := range Doors {
		if host, _, err := net.SplitHostPort(c.Listen[door]); c.local && err == nil && !isLoopback(host) {
			faults = append(faults, fmt.Errorf("%s.listen: quickstart listens on loopback only, not on %s; use postern serve", door, c.Listen[door]))
		}
	}
	return errors.Join(faults...)
}

// certificates loads the certificate of the configuration; none without one.
func (c *Config) certificates() ([]tls.Certificate, error) {
	switch {
	case c.CertFile == "" && c.KeyFile == "":
		return nil, nil
	case c.CertFile == "" || c.KeyFile == "":
		return nil, errors.New("tls.cert_file and tls.key_file belong together")
	}
	cert, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("tls.cert_file, tls.key_file: %w", err)
	}
	return []tls.Certificate{cert}, nil
}

// Idle lists the settings that somebody made and that change nothing in this
// version, so that the log can say so.
func (c *Config) Idle() (names []string) {
	for _, s := range table {
		if s.later && c.chosen[s.name] && (!strings.HasSuffix(s.name, ".listen") || c.Listen[strings.TrimSuffix(s.name, ".listen")] != "") {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	return names
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
