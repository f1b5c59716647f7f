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
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway/serve"
)

// client speaks REST: to POSTERN_URL with POSTERN_KEY, or over the operator's
// socket in the data folder.
type client struct {
	data   string
	asJSON bool
}

// flags adds what all client commands share.
func (c *client) flags(cmd *cobra.Command) *cobra.Command {
	cmd.PersistentFlags().StringVar(&c.data, "data", "", "data folder of the running gateway (default POSTERN_DATA or .postern)")
	cmd.PersistentFlags().BoolVar(&c.asJSON, "json", false, "print the answer as JSON")
	return cmd
}

// clientTimeout bounds one call; a send may carry large files.
const clientTimeout = 5 * time.Minute

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 20

// call sends one request and decodes the answer into out.
func (c *client) call(cmd *cobra.Command, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), clientTimeout)
	defer cancel()
	url, hc := c.target()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, url+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if key := os.Getenv("POSTERN_KEY"); key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	resp, err := hc.Do(req)
	if err != nil {
		return fmt.Errorf("is the gateway running? %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return problem(resp.Status, raw)
	}
	if c.asJSON {
		_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n", raw)
		return errors.Join(err, json.Unmarshal(raw, out))
	}
	return json.Unmarshal(raw, out)
}

// problem is what the gateway says is wrong.
func problem(status string, raw []byte) error {
	var p struct{ Name, Message string }
	if err := json.Unmarshal(raw, &p); err != nil || p.Name == "" {
		return errors.New(status)
	}
	return fmt.Errorf("%s (%s)", p.Message, p.Name)
}

func (c *client) target() (string, *http.Client) {
	if url := os.Getenv("POSTERN_URL"); url != "" {
		return url, &http.Client{}
	}
	socket := serve.SocketPath(cmp.Or(c.data, os.Getenv("POSTERN_DATA"), ".postern"))
	return "http://postern", &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}
}

// printf writes for people; with --json the answer has been printed already.
func (c *client) printf(cmd *cobra.Command, format string, args ...any) error {
	if c.asJSON {
		return nil
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), format, args...)
	return err
}
