package main

import (
	"context"
	"errors"
	"net"
	"net/textproto"
	"path/filepath"

	"github.com/emersion/go-milter"

	"plugin-peers/rule"
)

// openMilter runs the rule behind a socket, as mail servers ask a filter: the header a field
// at a time, on a connection for each message, which is what fresh state takes.
func openMilter(network string) func(context.Context, string) (*peer, error) {
	return func(_ context.Context, dir string) (*peer, error) {
		address := "127.0.0.1:0"
		if network == "unix" {
			address = filepath.Join(dir, "milter")
		}
		ln, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		server := milter.Server{
			NewMilter: func() milter.Milter { return &ruleMilter{header: make(map[string]string)} },
			Actions:   milter.OptAddHeader, Protocol: milter.OptNoBody,
		}
		ended := make(chan error, 1)
		go func() { ended <- server.Serve(ln) }()
		m := &milterPeer{client: milter.NewClientWithOptions(network, ln.Addr().String(), milter.ClientOptions{ActionMask: milter.OptAddHeader, ProtocolMask: milter.OptNoBody})}
		return &peer{
			call:  m.call,
			check: func(int) error { return check("", m.said["X-Folder"], m.said["X-Label"], 1) },
			close: func() error {
				err := server.Close()
				if end := <-ended; !errors.Is(end, milter.ErrServerClosed) {
					err = errors.Join(err, end)
				}
				return err
			},
		}, nil
	}
}

// milterPeer is the mail server's side.
type milterPeer struct {
	client *milter.Client
	said   map[string]string
}

func (m *milterPeer) call() (err error) {
	s, err := m.client.Session()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if _, err := s.Conn("mx1.peer.example", milter.FamilyInet, 25, "192.0.2.10"); err != nil {
		return err
	}
	if _, err := s.Helo("mx1.peer.example"); err != nil {
		return err
	}
	if _, err := s.Mail("ann@peer.example", nil); err != nil {
		return err
	}
	if _, err := s.Rcpt("bot@demo.example", nil); err != nil {
		return err
	}
	for _, f := range header {
		if _, err := s.HeaderField(f[0], f[1]); err != nil {
			return err
		}
	}
	if _, err := s.HeaderEnd(); err != nil {
		return err
	}
	changes, _, err := s.End()
	m.said = make(map[string]string)
	for _, c := range changes {
		m.said[c.HeaderName] = c.HeaderValue
	}
	return err
}

// ruleMilter is the filter's side, for one message.
type ruleMilter struct {
	milter.NoOpMilter
	header map[string]string
}

func (r *ruleMilter) Header(name, value string, _ *milter.Modifier) (milter.Response, error) {
	if name = textproto.CanonicalMIMEHeaderKey(name); r.header[name] == "" {
		r.header[name] = value
	}
	return milter.RespContinue, nil
}

func (r *ruleMilter) Body(m *milter.Modifier) (milter.Response, error) {
	rule.Reset()
	d := rule.Decide(func(name string) string { return r.header[name] })
	for name, v := range map[string]string{"X-Folder": d.Folder, "X-Label": d.Labels[0]} {
		if err := m.AddHeader(name, v); err != nil {
			return nil, err
		}
	}
	return milter.RespAccept, nil
}
