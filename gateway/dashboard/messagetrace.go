package dashboard

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/mailbox"
)

// traceTab is how a message became what it is: a line of time.
type traceTab struct {
	*messagePage
	mailbox.Trace
	Moments []moment
	Asked   int           // plugins
	Took    time.Duration // all of them together
	Fuel    int64
	Outcome []outcome // of deliveries

	plugins map[gateway.ID]bool // whose pages the key sees
}

// moment is one entry of the line.
type moment struct {
	At    time.Time
	After string // since the first one
	Title string
	Marks []mark
	Facts []fact
	Meter *meter
	Lines []gateway.PluginLine
	Links []place
}

// mark is how something ended: good, bad, or wait for what is neither.
type mark struct{ State, Name string }

// fact is one thing that is known of a moment.
type fact struct{ Name, Value string }

// meter is how much of what it may a plugin used.
type meter struct {
	Took, Fuel           string
	Micros, MostMicros   int64
	FuelUsed, FuelAtMost int64
}

// outcome is where a delivery stands.
type outcome struct {
	Recipient string
	Mark      mark
	To        string // the page of the delivery, "" if it is not the key's to see
}

func (d *Dashboard) messageTrace(v *visit) error {
	p, err := d.message(v, "trace")
	if err != nil {
		return err
	}
	tab := traceTab{messagePage: p}
	if tab.Trace, err = d.cfg.Mail.Trace(v.ctx, v.scope, p.Item); err != nil {
		return err
	}
	all, err := d.cfg.Plugins.List(v.ctx, v.scope)
	if err != nil {
		return err
	}
	tab.plugins = make(map[gateway.ID]bool)
	for i := range all {
		tab.plugins[all[i].ID] = true
	}
	for _, one := range tab.Timeline(p.Message) {
		tab.add(d.momentOf(&tab, &one))
	}
	for i := range tab.Steps {
		if !tab.Steps[i].Paused {
			tab.Asked++
		}
		tab.Took += tab.Steps[i].Took
		tab.Fuel += tab.Steps[i].Fuel
	}
	for i := range tab.Deliveries {
		dl := &tab.Deliveries[i]
		to := ""
		if v.scope.Level() != gateway.LevelAccount {
			to = prefix + "/" + joined([]string{"domains", v.domain.Name, "queue", dl.ID.String()})
		}
		tab.Outcome = append(tab.Outcome, outcome{dl.Recipient, markOf(dl.State), to})
	}
	return d.show(v, fiber.StatusOK, "messagetrace", p.Subject(), &tab)
}

// Spent is what all plugins together took.
func (t *traceTab) Spent() string { return lasted(t.Took) + " and " + grouped(t.Fuel) + " of fuel" }

// add puts a moment into the line. The checks of who sent it are one.
func (t *traceTab) add(m moment) {
	n := len(t.Moments)
	if n > 0 && m.Title == checksTitle && t.Moments[n-1].Title == checksTitle {
		last := &t.Moments[n-1]
		last.Marks, last.Facts = append(last.Marks, m.Marks...), append(last.Facts, m.Facts...)
		return
	}
	if n > 0 {
		m.After = since(m.At.Sub(t.Moments[0].At))
	}
	t.Moments = append(t.Moments, m)
}

const checksTitle = "Who sent it was checked"

// momentOf puts one thing that happened into words.
func (d *Dashboard) momentOf(t *traceTab, one *mailbox.Moment) moment {
	m, msg := moment{At: one.At}, t.Message
	switch one.Kind {
	case mailbox.Received:
		m.Title = "Received"
		m.note("From", cameFrom(one.Arrival)).note("Protocol", one.Arrival.Protocol).note("Return path", orNone(msg.ReturnPath)).
			note("For", strings.Join(msg.Recipients, ", ")).note("Size", size(msg.Size()))
	case mailbox.Accepted:
		m.Title = "Sent by " + t.Email
		m.note("Return path", orNone(msg.ReturnPath)).note("To", strings.Join(msg.Recipients, ", ")).note("Leaves at", stamp(msg.Scheduled)).note("Size", size(msg.Size()))
		if !msg.Plugin.IsZero() {
			m.note("Plugin", msg.Plugin.String())
		}
	case mailbox.Checked:
		m.Title, m.Marks = checksTitle, []mark{markOfCheck(one.Check)}
		m.checked(one.Check)
	case mailbox.Asked:
		d.asked(&m, one.Step)
		m.Links = t.pluginLinks(one.Step)
	case mailbox.Joined:
		m.Title = "Part of a conversation"
		m.note("Place", fmt.Sprintf("%d of %d", msg.Position+1, t.Count)).note("Because of", joinedBy[t.By])
	case mailbox.Stored:
		m.Title = "Stored in " + t.Folder
		m.note("Labels", strings.Join(t.Entry.Labels, ", "))
	case mailbox.Delivered:
		m.turn(one.Delivery, one.Turn)
	}
	return m
}

// pluginLinks lead from what a plugin said to the plugin, and to asking it again.
func (t *traceTab) pluginLinks(st *gateway.Step) []place {
	if !t.plugins[st.Plugin] {
		return nil
	}
	domain, _, _ := strings.Cut(t.Base, "/accounts/")
	at := prefix + domain + "/plugins/" + st.Plugin.String()
	again := url.Values{"id": {t.Message.ID.String()}, "email": {t.Email}}
	return []place{{at, "The plugin", false}, {at + "/test?" + again.Encode(), "Ask it again, for a test", false}}
}

// note adds what is known.
func (m *moment) note(name, value string) *moment {
	if value != "" {
		m.Facts = append(m.Facts, fact{name, value})
	}
	return m
}

// joinedBy is what put a message where it is, in words.
var joinedBy = map[string]string{
	mailbox.ByPlugin: "a plugin", mailbox.ByReferences: "the messages that it refers to", mailbox.BySubject: "its subject",
}

func orNone(address string) string {
	if address == "" {
		return "none"
	}
	return address
}

// cameFrom is who brought a message.
func cameFrom(a *mailbox.Arrival) string {
	switch {
	case a.IP == "":
		return "this gateway"
	case a.Helo == "":
		return a.IP
	}
	return a.Helo + " (" + a.IP + ")"
}

// checked tells what one method found.
func (m *moment) checked(c *mailbox.Check) {
	name := strings.ToUpper(c.Method)
	said := c.Result
	if c.Domain != "" {
		said += " for " + c.Domain
	}
	if c.Reason != "" {
		said += ": " + c.Reason
	}
	m.note(name, said)
	if c.Policy != "" {
		m.note(name+" policy", string(c.Policy)+"; done: "+string(c.Disposition))
	}
}

// markOfCheck is a result of RFC 8601 section 2.7.
func markOfCheck(c *mailbox.Check) mark {
	name := strings.ToUpper(c.Method) + " " + c.Result
	switch c.Result {
	case "pass":
		return mark{"good", name}
	case "fail", "permerror":
		return mark{"bad", name}
	}
	return mark{"wait", name}
}

// turn tells what became of a delivery.
func (m *moment) turn(dl *gateway.Delivery, n *gateway.Turn) {
	name := n.Name()
	m.Title = turnTitles[name] + " " + dl.Recipient
	if name == "attempt" {
		m.Title = "Attempt " + strconv.Itoa(n.Attempt) + " to deliver to " + dl.Recipient
	}
	m.Marks = []mark{markOf(n.State)}
	m.note("Host", n.Host).note("TLS", n.TLS).note("Came as far as", n.Phase).note("Held by", string(n.Held))
	answer := n.Text
	if n.Code != 0 {
		answer = strings.TrimSpace(strconv.Itoa(n.Code) + " " + answer)
	}
	m.note("Answer", answer)
}

// turnTitles are the names of turns in words; a recipient follows.
var turnTitles = map[string]string{
	"released": "Released, to go to", "delivery_delayed": "Another host says that it is late for", "held": "Held, on its way to", "canceled": "Canceled, on its way to",
	"suppressed": "Not sent, by the list of suppressions, to", "bounced": "Came back from", "complained": "Called unwanted by",
	"failed": "Given up, on its way to", "delivered": "Delivered to", "sent": "Handed on, to go to",
}

// markOf is the mark of a delivery's state.
func markOf(s gateway.DeliveryState) mark {
	switch s {
	case gateway.DeliveryDelivered, gateway.DeliverySent:
		return mark{"good", string(s)}
	case gateway.DeliveryFailed, gateway.DeliveryBounced, gateway.DeliveryComplained, gateway.DeliverySuppressed:
		return mark{"bad", string(s)}
	}
	return mark{"wait", string(s)}
}

// since is how long after the first moment another was: to the millisecond, as it is kept.
func since(t time.Duration) string {
	if t < time.Second {
		return strconv.FormatInt(t.Milliseconds(), 10) + " ms"
	}
	return lasted(t)
}

// lasted is a time that something took, in a unit that fits.
func lasted(t time.Duration) string {
	switch {
	case t < time.Millisecond:
		return strconv.FormatInt(t.Microseconds(), 10) + " µs"
	case t < time.Second:
		return strconv.FormatFloat(float64(t.Microseconds())/1000, 'f', 1, 64) + " ms"
	case t < time.Minute:
		return strconv.FormatFloat(t.Seconds(), 'f', 1, 64) + " s"
	}
	return t.Round(time.Second).String()
}
