package main

import (
	"io"
	"net/smtp"
	"strconv"
	"strings"

	"github.com/centerleap/postern/gateway/gatewaytest"
)

// mx is an SMTP session with the MX, for as long as many mails take.
func (p *process) mx() (*smtp.Client, error) {
	t := dial(p.banner.MX, scriptTime)
	if t.dead {
		return nil, io.EOF
	}
	return smtp.NewClient(t.conn, "localhost")
}

// receive has messages arrive at the MX.
func (p *process) receive(raws ...string) {
	p.Helper()
	c, err := p.mx()
	if err != nil {
		p.Fatal(err)
	}
	defer c.Close()
	for _, raw := range raws {
		if err := takeOne(c, raw); err != nil {
			p.Fatal(err)
		}
	}
}

// mailOf is a mail of a subject.
func mailOf(subject string) string {
	return "From: Ann <ann@elsewhere.example>\r\nTo: " + gatewaytest.Account + "\r\nSubject: " + subject +
		"\r\nMessage-ID: <" + strings.ReplaceAll(subject, " ", ".") + "@elsewhere.example>\r\n\r\nThis is " + subject + ".\r\n"
}

// takeOne sends one mail in an SMTP session.
func takeOne(c *smtp.Client, raw string) error {
	if err := c.Mail("ann@elsewhere.example"); err != nil {
		return err
	}
	if err := c.Rcpt(gatewaytest.Account); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, raw); err != nil {
		return err
	}
	return w.Close()
}

// many is how much mail a first sync fetches.
const many = 5000

// receiveMany has many mails arrive.
func (p *process) receiveMany() {
	p.Helper()
	const clients = 10
	failed := make(chan error, clients)
	for c := range clients {
		go func() {
			c, first := c, c*many/clients
			failed <- p.receiveSome(first, (c+1)*many/clients)
		}()
	}
	for range clients {
		if err := <-failed; err != nil {
			p.Fatal(err)
		}
	}
}

func (p *process) receiveSome(from, to int) error {
	c, err := p.mx()
	if err != nil {
		return err
	}
	defer c.Close()
	for ; from < to; from++ {
		mail := mailOf("number "+strconv.Itoa(from)) + strings.Repeat("More than the buffers between the two hold at once.\r\n", 100)
		if err := takeOne(c, mail); err != nil {
			return err
		}
	}
	return nil
}
