package safehttp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Fetch writes what is at an https URL to w, at most most bytes. It fails with
// InvalidParameter for a URL that is not fit, Restricted for an address that may
// not be reached, TooLarge past most, and Unavailable for all else; only the log
// says more. What was written before an error is no file.
func (c *Client) Fetch(ctx context.Context, rawURL string, most int64, w io.Writer) (f gateway.Fetched, err error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	defer func() { c.log(ctx, "fetched", rawURL, start, err) }()
	u, err := c.check(rawURL)
	if err != nil {
		return f, err
	}
	for range MaxRedirects + 1 {
		resp, err := c.get(ctx, u)
		if err != nil {
			return f, failure(err)
		}
		if !isRedirect(resp.StatusCode) {
			f, err = take(ctx, resp, u, most, w)
			return f, failure(err)
		}
		to := resp.Header.Get("Location")
		resp.Body.Close()
		next, err := u.Parse(to)
		if to == "" || err != nil {
			return f, failure(errors.New("a redirect leads nowhere"))
		}
		if u, err = c.check(next.String()); err != nil {
			return f, refused("redirected to %s: %w", clip(to), err) // the client's URL was fit
		}
	}
	return f, failure(errors.New("too many redirects"))
}

func (c *Client) get(ctx context.Context, u *url.URL) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", userAgent)
	req.Header.Set("Accept-Encoding", "identity")
	return c.transport.RoundTrip(req)
}

const userAgent = "Postern"

func isRedirect(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// take reads the body of the last answer. A server that learns of our time-out may
// end its answer properly while we leave, so an end that comes too late is none.
func take(ctx context.Context, resp *http.Response, u *url.URL, most int64, w io.Writer) (f gateway.Fetched, err error) {
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return f, fmt.Errorf("status %d", resp.StatusCode)
	}
	if enc := resp.Header.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return f, fmt.Errorf("content encoding %q, which was not asked for", clip(enc))
	}
	tooLarge := gateway.Errorf(gateway.TooLarge, "the file is over %d bytes", most)
	if resp.ContentLength > most {
		return f, tooLarge
	}
	f.Size, err = io.Copy(w, io.LimitReader(resp.Body, most+1))
	switch {
	case err != nil:
		return f, err
	case ctx.Err() != nil:
		return f, ctx.Err()
	case f.Size > most:
		return f, tooLarge
	}
	f.ContentType, f.Filename = describe(resp.Header, u)
	return f, nil
}

// describe takes the type and name from an answer; the name from the URL, if the
// answer has none.
func describe(h http.Header, u *url.URL) (typ, name string) {
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil {
		typ = t
	}
	if _, params, err := mime.ParseMediaType(h.Get("Content-Disposition")); err == nil {
		name = params["filename"]
	}
	if name == "" {
		name = path.Base(u.Path)
	}
	if name == "." || name == "/" {
		name = ""
	}
	return typ, name
}

// failure gives an error its Kind. What the network said stays in the log.
func failure(err error) error {
	if err == nil {
		return nil
	}
	if known, ok := errors.AsType[*gateway.Error](err); ok {
		return known
	}
	return &gateway.Error{Kind: gateway.Unavailable, Message: "the URL can't be fetched", Err: err}
}

// log tells the operator what became of a call. A URL's query may hold a secret.
func (c *Client) log(ctx context.Context, what, rawURL string, start time.Time, err error) {
	host := ""
	if u, bad := url.Parse(rawURL); bad == nil {
		host = clip(u.Host)
	}
	level := slog.LevelDebug
	if gateway.KindOf(err) == gateway.Restricted {
		level = slog.LevelWarn
	}
	c.cfg.Log.LogAttrs(ctx, level, "http call", slog.String("call", what), slog.String("host", host), slog.Duration("took", time.Since(start)), slog.Any("err", err))
}

func clip(v string) string { return v[:min(len(v), 200)] }
