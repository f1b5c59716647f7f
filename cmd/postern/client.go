package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway/serve"
)

// client speaks REST: to POSTERN_URL with POSTERN_KEY, or else over the
// operator's socket in the data folder, where no key is needed or sent.
type client struct {
	data   string
	asJSON bool
}

// flags adds what all client commands share.
func (c *client) flags(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().StringVar(&c.data, "data", "", "data folder of the running gateway (default $POSTERN_DATA or .postern)")
	cmd.PersistentFlags().BoolVar(&c.asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// clientTimeout bounds one call; a send may carry large files.
const clientTimeout = 5 * time.Minute

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// call sends one request and decodes the answer into out. in is what becomes
// JSON, an io.Reader of JSON, a form, or nil.
func (c *client) call(cmd *cobra.Command, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), clientTimeout)
	defer cancel()
	resp, err := c.ask(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if c.asJSON {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", bytes.TrimSpace(raw)); err != nil {
			return err
		}
	}
	return json.Unmarshal(raw, out)
}

// pageSize is how many items of a list are asked for at once.
const pageSize = "100"

// each asks for a list page by page, and calls fn with every item; cursor names one
// as the next page wants it.
func each[T any](c *client, cmd *cobra.Command, path string, query url.Values, cursor func(*T) string, fn func(*T) error) error {
	if query == nil {
		query = url.Values{}
	}
	query.Set("limit", pageSize)
	for more := true; more; {
		var page struct {
			Data    []T
			HasMore bool `json:"has_more"`
		}
		if err := c.call(cmd, "GET", path+"?"+query.Encode(), nil, &page); err != nil {
			return err
		}
		for i := range page.Data {
			if err := fn(&page.Data[i]); err != nil {
				return err
			}
			query.Set("after", cursor(&page.Data[i]))
		}
		more = page.HasMore && len(page.Data) > 0
	}
	return nil
}

// ask sends one request and returns the answer, whose body the caller closes;
// another status than 2xx is an error.
func (c *client) ask(ctx context.Context, method, path string, in any) (*http.Response, error) {
	body, contentType, err := bodyOf(in)
	if err != nil {
		return nil, err
	}
	to := c.target()
	req, err := http.NewRequestWithContext(ctx, method, to.url+path, body)
	if err != nil {
		return nil, err
	}
	req.Close = true // one call is all
	req.Header.Set("Content-Type", contentType)
	if to.key != "" {
		req.Header.Set("Authorization", "Bearer "+to.key)
	}
	hc := &http.Client{Transport: to.transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // a key goes where it was sent, and no further
	}}
	resp, err := hc.Do(req)
	if err != nil {
		return nil, fmt.Errorf("no gateway answers at %s: %w", to.name, err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	return nil, problem(resp.Status, raw)
}

func bodyOf(in any) (body io.Reader, contentType string, err error) {
	const jsonType = "application/json"
	switch in := in.(type) {
	case nil:
		return nil, jsonType, nil
	case *form:
		return &in.Buffer, in.contentType, nil
	case io.Reader:
		return in, jsonType, nil
	}
	b, err := json.Marshal(in)
	return bytes.NewReader(b), jsonType, err
}

// problem is what the gateway says is wrong.
func problem(status string, raw []byte) error {
	var p struct{ Name, Message string }
	if err := json.Unmarshal(raw, &p); err != nil || p.Name == "" {
		return errors.New(status)
	}
	return fmt.Errorf("%s (%s)", p.Message, p.Name)
}

// target is where a call goes.
type target struct {
	url, key, name string
	transport      http.RoundTripper
}

func (c *client) target() target {
	if url := os.Getenv("POSTERN_URL"); url != "" {
		url = strings.TrimRight(url, "/")
		return target{url: url, key: os.Getenv("POSTERN_KEY"), name: url, transport: http.DefaultTransport}
	}
	socket := serve.SocketPath(dataFolder(c.data))
	return target{url: "http://postern", name: socket, transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
}

// dataFolder is the data folder of commands that get no configuration.
func dataFolder(flag string) string {
	return cmp.Or(flag, os.Getenv("POSTERN_SERVER_DATA"), os.Getenv("POSTERN_DATA"), serve.DefaultData)
}

// quiet is c for a call whose answer is not what was asked for.
func (c *client) quiet() *client { return &client{data: c.data} }

// printf writes for people; with --json the answer has been printed already.
func (c *client) printf(cmd *cobra.Command, format string, args ...any) error {
	if c.asJSON {
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format, args...)
	return err
}
