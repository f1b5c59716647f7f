package imapd

import (
	"bufio"
	"errors"
	"strings"

	"github.com/centerleap/postern/gateway/guard"
)

// handle takes a client to TLS and hands it to the library.
func (d *door) handle(gc *guard.Conn) {
	if d.implicit {
		if err := gc.Secure(d.cfg.TLS); err != nil {
			_ = gc.Close()
			return
		}
	}
	c := newConn(gc, d.cfg.Limits, d.offers, identity(d.cfg.Version))
	if d.implicit || d.greet(c) {
		d.after.Give(c)
		return
	}
	_ = c.Close()
}

// plainCapability is what there is before TLS.
const plainCapability = "CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL+ ID STARTTLS LOGINDISABLED"

// identity answers ID, RFC 2971.
func identity(version string) string {
	if version = strings.Trim(strings.ReplaceAll(oneLine(version), `"`, ""), `\`); version == "" {
		return `* ID ("name" "Postern")`
	}
	return `* ID ("name" "Postern" "version" "` + version + `")`
}

// greet speaks the dialogue before TLS, RFC 9051 section 6.2.1. It reports
// whether the library shall go on.
func (d *door) greet(c *conn) bool {
	c.greeting = greetedHere
	if c.say("* OK ["+plainCapability+"] Postern") != nil {
		return false
	}
	for faults := int64(0); faults < d.cfg.Limits.SessionErrors; {
		cmd, err := readCommand(c.in, c.waitForCommand(), func() error { return c.say("+ go on") })
		if r, ok := errors.AsType[refusal](err); ok {
			if c.say(r.tag+" "+r.text) != nil || r.fatal {
				return false
			}
			faults++
			continue
		} else if err != nil {
			_ = c.ended(err)
			return false
		}
		var answer string
		switch cmd.name {
		case "CAPABILITY":
			answer = "* " + plainCapability + "\r\n" + cmd.tag + " OK CAPABILITY completed"
		case "NOOP":
			answer = cmd.tag + " OK NOOP completed"
		case "ID":
			answer = c.identity + "\r\n" + cmd.tag + " OK ID completed"
		case "LOGOUT":
			_ = c.say("* BYE logging out\r\n" + cmd.tag + " OK LOGOUT completed")
			return false
		case "STARTTLS":
			return d.startTLS(c, cmd)
		case "LOGIN", "AUTHENTICATE":
			faults++
			answer = cmd.tag + " NO [PRIVACYREQUIRED] STARTTLS first"
		default:
			faults++
			answer = cmd.tag + " BAD STARTTLS first"
		}
		if c.say(answer) != nil {
			return false
		}
	}
	c.hangUp("too many errors")
	return false
}

// startTLS puts TLS on the connection. What was sent behind the command in the
// clear must not be read as if inside it.
func (d *door) startTLS(c *conn, cmd *command) bool {
	if len(cmd.args) > 0 || c.in.Buffered() > 0 {
		_ = c.say(cmd.tag + " BAD nothing may follow STARTTLS before TLS")
		return false
	}
	c.mu.Lock()
	c.securing = true
	c.mu.Unlock()
	if c.say(cmd.tag+" OK begin TLS") != nil || c.Secure(d.cfg.TLS) != nil {
		return false
	}
	c.mu.Lock()
	c.securing = false
	c.mu.Unlock()
	c.in = bufio.NewReaderSize(c.Conn, lineBuffer)
	return true
}
