package sdktest

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"

	"github.com/centerleap/postern/sdk/abi"
)

// answer is one of a server.
type answer struct {
	head abi.HTTPResponse
	body []byte
}

// Bounds of what hooks ask elsewhere, as a gateway's limits have them.
const (
	mostAsked  = 10
	mostAnswer = 1 << 20
)

// HTTP has Host.HTTP answer.
func (g guest) HTTP(doc []byte) (int32, error) {
	if e := &g.event; e.Hook != abi.HookEvent && e.Hook != abi.HookTick || e.DryRun || !g.may(abi.PermitHTTP) {
		return 0, abi.Denied
	}
	r, err := request(doc)
	switch {
	case err != nil:
		return 0, abi.BadArgument
	case !g.reaches(r.URL):
		return 0, abi.Denied
	case g.asked == mostAsked:
		return 0, abi.OverQuota
	case g.Host.HTTP == nil:
		g.t.Errorf("the hook asks %s: Host.HTTP is to answer that", r.URL)
		return 0, abi.HostFailure
	}
	g.asked++ // also if nobody answers
	rec, ok := g.serves(r)
	if !ok {
		return 0, abi.HostFailure
	}
	a := answer{body: rec.Body.Bytes()}
	if len(a.body) > mostAnswer {
		return 0, abi.TooLarge
	}
	a.head = abi.HTTPResponse{Status: rec.Code, Headers: [][2]string{}, Size: int64(len(a.body))}
	header := rec.Result().Header
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, v := range header[name] {
			a.head.Headers = append(a.head.Headers, [2]string{name, v})
		}
	}
	g.answers = append(g.answers, a)
	return int32(len(g.answers)), nil
}

// serves has the test's handler answer; not ok if it says that nobody does.
func (h *Host) serves(r *http.Request) (rec *httptest.ResponseRecorder, ok bool) {
	rec = httptest.NewRecorder()
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // as package http compares it
			panic(p)
		}
	}()
	h.HTTP(rec, r)
	return rec, true
}

// request reads what a server is asked.
func request(doc []byte) (*http.Request, error) {
	var in abi.HTTPRequest
	if err := json.Unmarshal(doc, &in); err != nil {
		return nil, err
	}
	body := []byte(in.Body)
	if in.Base64 != "" {
		var err error
		if body, err = base64.StdEncoding.DecodeString(in.Base64); err != nil {
			return nil, err
		}
	}
	r, err := http.NewRequest(in.Method, in.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if s := r.URL.Scheme; s != "https" && s != "http" || r.URL.Host == "" || r.URL.User != nil {
		return nil, abi.BadArgument
	}
	for _, f := range in.Headers {
		r.Header.Add(f[0], f[1])
	}
	return r, nil
}

// ports are those of URLs that name none.
var ports = map[string]string{"https": "443", "http": "80"}

// reaches reports whether the manifest names the host of a URL.
func (h *Host) reaches(u *url.URL) bool {
	if h.manifest == nil {
		return true
	}
	usual := ports[u.Scheme]
	host, port := strings.ToLower(u.Hostname()), cmp.Or(u.Port(), usual)
	return slices.ContainsFunc(h.manifest.HTTPHosts, func(entry string) bool {
		allowed := &url.URL{Host: strings.ToLower(entry)}
		if port != cmp.Or(allowed.Port(), usual) {
			return false
		}
		below, ok := strings.CutPrefix(allowed.Hostname(), "*")
		return ok && strings.HasSuffix(host, below) || host == allowed.Hostname()
	})
}

func (g guest) answered(handle int32) (*answer, error) {
	if handle < 1 || int(handle) > len(g.answers) {
		return nil, abi.BadArgument
	}
	return &g.answers[handle-1], nil
}

func (g guest) HTTPResponse(handle int32) ([]byte, error) {
	a, err := g.answered(handle)
	if err != nil {
		return nil, err
	}
	return json.Marshal(&a.head)
}

func (g guest) HTTPRead(handle int32, off int64, p []byte) (int, error) {
	a, err := g.answered(handle)
	if err != nil {
		return 0, err
	}
	n, err := bytes.NewReader(a.body).ReadAt(p, off)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}
