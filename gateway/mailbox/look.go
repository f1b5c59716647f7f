package mailbox

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/content"
	"github.com/centerleap/postern/gateway/threading"
)

// What a hook would have seen of a message, for trying a plugin on it. What SMTP alone
// knew, such as the client's address, is not kept and so not seen.

// LookAt is a stored message as a hook sees it.
func (m *Mail) LookAt(s gateway.Scope, it Item) *gateway.Look {
	msg := it.Message
	look := m.look(msg, it.Email, nil, func(off, n int64) (io.ReadCloser, error) {
		return m.cfg.Store.OpenBlob(context.Background(), s, msg.Blob, off, n)
	})
	look.Envelope = gateway.Envelope{ReturnPath: msg.ReturnPath, Recipients: msg.Recipients}
	look.Automation = m.automation(context.Background(), s, look)
	look.Conversation = m.conversation(context.Background(), s, look)
	look.Candidates = func() ([]gateway.Thread, error) { // it is where it was put
		th, _, err := m.cfg.Store.Thread(context.Background(), s, msg.Thread, 0, 0)
		if gateway.KindOf(err) == gateway.NotFound {
			return nil, nil
		}
		return []gateway.Thread{th}, err
	}
	return look
}

// LookAtLater is a stored message as the event hook sees it: where it stands now.
func (m *Mail) LookAtLater(s gateway.Scope, it Item) *gateway.Look {
	look := m.LookAt(s, it)
	look.Via, look.Folder, look.Flags, look.Labels = "", it.Folder, it.Entry.Flags, it.Entry.Labels
	return look
}

// LookAtRaw is text as a hook would see it if it arrived for an account, or left it: the
// scope's own or that of email; else for nobody of the scope's domain. A line may end
// with LF alone.
func (m *Mail) LookAtRaw(ctx context.Context, s gateway.Scope, email, raw string) (*gateway.Look, error) {
	a, err := m.account(ctx, s, email)
	if err != nil {
		return nil, err
	}
	msg, open, err := content.Unsent(raw, m.cfg.Now(), m.cfg.Limits)
	if err != nil {
		return nil, err
	}
	msg.Domain = s.Domain()
	owner := ""
	if a != nil {
		owner, msg.Account = a.Email, a.ID
	}
	look := m.look(msg, owner, nil, open)
	look.Envelope = gateway.Envelope{ReturnPath: msg.ReturnPath, Recipients: recipientsOf(owner, &msg.Content)}
	look.Automation = m.automation(ctx, s, look)
	look.Conversation = m.conversation(ctx, s, look)
	look.Candidates = func() ([]gateway.Thread, error) {
		if msg.Account == 0 {
			return nil, nil
		}
		facts := threading.Facts(&msg.Content, msg.Arrived)
		return m.cfg.Store.Candidates(ctx, s, msg.Account, &facts)
	}
	return look, nil
}

// conversation reads the one that the message of a look is in; of one that is not stored,
// the one it would go into.
func (m *Mail) conversation(ctx context.Context, s gateway.Scope, look *gateway.Look) func() (*gateway.Conversation, error) {
	return func() (*gateway.Conversation, error) {
		id := look.Message.Thread
		if id.IsZero() && look.Candidates != nil {
			found, err := look.Candidates()
			if err != nil || len(found) == 0 {
				return nil, err
			}
			id = found[0].ID
		}
		return content.ReadConversation(ctx, s, m.cfg.Store, look.Message.Account, id, m.cfg.Limits)
	}
}

// automation says whether a program wrote the message of a look, and may answer it.
func (m *Mail) automation(ctx context.Context, s gateway.Scope, look *gateway.Look) func() (gateway.Automation, error) {
	return func() (gateway.Automation, error) {
		msg, own := look.Message, []string{look.Mailbox}
		if !msg.Sent {
			own = append(own, look.Envelope.Recipients...)
		}
		if msg.Account != 0 {
			a, err := m.cfg.Store.AccountByID(ctx, s, msg.Domain, msg.Account)
			if err != nil {
				return gateway.Automation{}, err
			}
			own = append(append(own, a.Email), a.Aliases...)
		}
		fields, err := look.Reading.Header()
		if err != nil {
			return gateway.Automation{}, err
		}
		about := content.Correspondence{ReturnPath: look.Envelope.ReturnPath, Own: own, DMARC: msg.Auth.DMARC.Result}
		return content.Automation(&msg.Content, fields, about), nil
	}
}

// recipientsOf are whom a text that nobody sent is for.
func recipientsOf(owner string, c *gateway.Content) (all []string) {
	if owner != "" {
		return []string{owner}
	}
	for _, a := range c.To {
		all = append(all, a.Addr)
	}
	return all
}

// look is a message whose bytes open gives, with what stands before them.
func (m *Mail) look(msg *gateway.Message, owner string, prefix []byte, open func(off, n int64) (io.ReadCloser, error)) *gateway.Look {
	return &gateway.Look{
		Message: msg, Account: msg.Account, Mailbox: owner, Via: "rest", NewThread: gateway.ID(uuid.Must(uuid.NewV7())),
		Reading: &content.Reading{Open: open, Content: &msg.Content, Prefix: prefix, Limits: m.cfg.Limits},
		Until:   time.Now().Add(time.Duration(m.cfg.Limits.PluginMessageMillis) * time.Millisecond),
	}
}

// Sample is a built-in message to try a plugin on, for somebody; "" if there is none of
// that name.
func Sample(name, to string) string {
	return strings.ReplaceAll(samples[name], "{to}", to)
}

// Samples are the names of the built-in messages.
var Samples = []string{"personal", "newsletter", "autoreply", "attachment"}

var samples = map[string]string{
	"personal": `From: Ann Example <ann@sample.example>
To: {to}
Subject: Lunch on Thursday?
Message-ID: <personal@sample.example>
Date: Thu, 19 Mar 2026 18:00:00 +0000

Do you have time on Thursday at noon?
Ann
`,
	"newsletter": `From: Forty Chairs <news@sample.example>
To: {to}
Subject: Forty chairs, one table
Message-ID: <newsletter@sample.example>
Date: Thu, 19 Mar 2026 18:00:00 +0000
List-Id: <news.sample.example>
List-Unsubscribe: <mailto:leave@sample.example>
Precedence: bulk
MIME-Version: 1.0
Content-Type: text/html; charset=utf-8

<p>This week: <b>chairs</b>.</p>
`,
	"autoreply": `From: Bo Example <bo@sample.example>
To: {to}
Subject: Out of office
Message-ID: <autoreply@sample.example>
In-Reply-To: <question@sample.example>
Date: Thu, 19 Mar 2026 18:00:00 +0000
Auto-Submitted: auto-replied

I am back on Monday.
`,
	"attachment": `From: Cy Example <cy@sample.example>
To: {to}
Subject: The report
Message-ID: <attachment@sample.example>
Date: Thu, 19 Mar 2026 18:00:00 +0000
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=part

--part
Content-Type: text/plain; charset=utf-8

Here it is.
--part
Content-Type: text/csv; name=report.csv
Content-Disposition: attachment; filename=report.csv
Content-Transfer-Encoding: base64

YSxiCjEsMgo=
--part--
`,
}
