package safehttp

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// Answer is what a server said. Body is cut at the bound that was given to Do.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Do sends one request with a body that stands in memory and reads at most most
// bytes of the answer. It follows no redirect: the answer is then one. Its errors
// are those of Fetch.
func (c *Client) Do(ctx context.Context, method, rawURL string, header http.Header, body []byte, most int64) (a Answer, err error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	defer func() { c.log(ctx, method, rawURL, start, err) }()
	u, err := c.check(rawURL)
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return a, failure(err)
	}
	req.Header = header.Clone()
	if req.Header == nil {
		req.Header = make(http.Header)
	}
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return a, failure(err)
	}
	defer resp.Body.Close()
	a.Status, a.Header = resp.StatusCode, resp.Header
	if a.Status == http.StatusSwitchingProtocols {
		return a, nil // nobody asked for it: its body is the connection, whose reading ctx does not end
	}
	a.Body, err = io.ReadAll(io.LimitReader(resp.Body, most))
	if err == nil {
		err = ctx.Err() // as in take
	}
	return a, failure(err)
}
