package plugins

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/sdk/abi"
)

// Web makes requests of plugins: it looks after which addresses may be reached.
type Web interface {
	// Do makes one request and reads its answer, at most most bytes of the body. It follows
	// no redirect, and unpacks nothing. InvalidParameter for a URL that is not fit,
	// Restricted for an address that may not be reached, Unavailable for all else.
	Do(ctx context.Context, r *WebRequest, most int64) (WebAnswer, error)
}

// WebRequest is one request.
type WebRequest struct {
	Method, URL string
	Header      http.Header
	Body        []byte
}

// WebAnswer is what a server said.
type WebAnswer struct {
	Status int
	Header http.Header
	Body   []byte
}

// answer is one as the plugin reads it.
type answer struct{ head, body []byte }

// HTTP makes a request to a host that the manifest names. A redirect is an answer like
// others: whether the plugin may go there is seen when it asks for it.
func (g *guest) HTTP(ctx context.Context, doc []byte) (handle int, err error) {
	lim := &g.plugins.cfg.Limits
	switch {
	case !g.may(abi.PermitHTTP), !isLate(g.hook), g.plugins.cfg.Web == nil:
		return 0, abi.Denied
	case g.look.DryRun && !g.plugins.cfg.TryWeb:
		g.Log(int(gateway.LineWarning), "http: nobody is asked in a dry run")
		return 0, abi.Denied
	case int64(len(doc)) > lim.PluginHTTPRequest:
		return 0, abi.TooLarge
	case int64(g.asked) >= lim.PluginHTTPCalls:
		return 0, abi.OverQuota
	}
	r, err := g.request(doc)
	if err != nil {
		return 0, g.refuse("http", err)
	}
	g.asked++
	got, err := g.plugins.cfg.Web.Do(ctx, r, lim.PluginHTTPBytes+1)
	if err != nil {
		return 0, g.refuse("http", failedRequest(err))
	}
	if int64(len(got.Body)) > lim.PluginHTTPBytes {
		return 0, abi.TooLarge
	}
	head, err := json.Marshal(describe(&got))
	if err != nil {
		return 0, err
	}
	g.answers = append(g.answers, answer{head, got.Body})
	return len(g.answers), nil
}

// refuse says in the plugin's log why it gets an errno.
func (g *guest) refuse(what string, err error) error {
	errno, ok := errors.AsType[abi.Errno](err)
	if !ok {
		return err
	}
	g.Log(int(gateway.LineWarning), what+": "+err.Error())
	return errno
}

// failedRequest is what a plugin is told of a request that came to nothing.
func failedRequest(err error) error {
	e := gateway.AsError(err)
	errno := abi.HostFailure
	switch e.Kind {
	case gateway.InvalidParameter:
		errno = abi.BadArgument
	case gateway.Restricted:
		errno = abi.Denied
	case gateway.TooLarge:
		errno = abi.TooLarge
	}
	return because(errno, "%s", e.Message)
}

// describe is an answer but for its body, in the order of its fields' names.
func describe(a *WebAnswer) *abi.HTTPResponse {
	out := &abi.HTTPResponse{Status: a.Status, Headers: [][2]string{}, Size: int64(len(a.Body))}
	for name, values := range a.Header {
		for _, v := range values {
			out.Headers = append(out.Headers, [2]string{name, strings.ToValidUTF8(v, "\uFFFD")})
		}
	}
	slices.SortStableFunc(out.Headers, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return out
}

// HTTPRead reads of an answer: its body from an offset on, or at -1 what describes it.
func (g *guest) HTTPRead(handle int, off int64, p []byte) (int, error) {
	if handle < 1 || handle > len(g.answers) || off < -1 {
		return 0, abi.BadArgument
	}
	a := &g.answers[handle-1]
	if off == -1 {
		copy(p, a.head)
		return len(a.head), nil
	}
	return copy(p, a.body[min(off, int64(len(a.body))):]), nil
}

// methods are what a plugin may ask with.
var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}

// request reads a document strictly: what it does not say clearly is not asked.
func (g *guest) request(doc []byte) (*WebRequest, error) {
	var in abi.HTTPRequest
	if err := strictly(doc, &in); err != nil {
		return nil, err
	}
	r := &WebRequest{Method: in.Method, Header: http.Header{}, Body: []byte(in.Body)}
	if r.Method == "" {
		r.Method = http.MethodGet
	}
	if !slices.Contains(methods, r.Method) {
		return nil, because(abi.BadArgument, "method is one of %q", methods)
	}
	if in.Base64 != "" {
		if in.Body != "" {
			return nil, because(abi.BadArgument, "body and body_base64 are both there")
		}
		var err error
		if r.Body, err = base64.StdEncoding.DecodeString(in.Base64); err != nil {
			return nil, because(abi.BadArgument, "body_base64 is not Base64")
		}
	}
	if most := g.plugins.cfg.Limits.PluginHTTPHeaders; int64(len(in.Headers)) > most {
		return nil, because(abi.BadArgument, "more than %d header fields", most)
	}
	for _, f := range in.Headers {
		if err := checkField(f[0], f[1]); err != nil {
			return nil, err
		}
		r.Header.Add(f[0], f[1])
	}
	var err error
	r.URL, err = g.target(in.URL)
	return r, err
}

// target holds a URL to the manifest's list, and returns it with its host folded.
func (g *guest) target(raw string) (string, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", because(abi.BadArgument, "the URL must begin with https://, or with http:// where the operator allows it")
	}
	if u.User != nil {
		return "", because(abi.BadArgument, "the URL names a user")
	}
	name := u.Hostname()
	if strings.Contains(name, ":") {
		name = "[" + name + "]"
	}
	host, err := foldHost(name)
	if err != nil {
		return "", because(abi.BadArgument, "the URL: %s", err)
	}
	usual, port := map[string]string{"https": "443", "http": "80"}[u.Scheme], u.Port()
	if port == "" {
		if strings.HasSuffix(u.Host, ":") {
			return "", because(abi.BadArgument, "the URL's port can't be read")
		}
		port = usual
	}
	for _, entry := range g.inst.HTTPHosts {
		if p, err := readPlace(entry); err == nil && p.holds(host, port, port == usual) {
			u.Host, u.Fragment = joined(host, port, port == usual), ""
			return u.String(), nil
		}
	}
	return "", because(abi.Denied, "the manifest's http_hosts do not name %s", joined(host, port, port == usual))
}

// ourFields are header fields that the client writes itself, or that are between it and
// the next hop alone: RFC 9110 section 7.6.1.
var ourFields = []string{
	"host", "content-length", "connection", "keep-alive", "proxy-connection", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding",
	"upgrade", "http2-settings", "expect",
}

func checkField(name, value string) error {
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return !isToken(r) }):
		return because(abi.BadArgument, "%.40q is no name of a header field", name)
	case slices.Contains(ourFields, strings.ToLower(name)):
		return because(abi.BadArgument, "the header field %.40s can't be set", name)
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
		return because(abi.BadArgument, "the header field %.40s must be one line of text", name)
	}
	return nil
}

// isToken reports whether a character may stand in a field's name: RFC 9110 section 5.6.2.
func isToken(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("!#$%&'*+-.^_`|~", r)
}
