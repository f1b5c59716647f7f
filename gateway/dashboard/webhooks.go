package dashboard

import (
	"context"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
)

// Webhooks are endpoints that are told what happens.
type Webhooks interface {
	Add(ctx context.Context, s gateway.Scope, d gateway.DomainID, a gateway.AccountID, endpoint string, types []gateway.EventType) (*gateway.Webhook, error)
	List(ctx context.Context, s gateway.Scope) ([]gateway.Webhook, error)
	Get(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Webhook, error)
	Change(ctx context.Context, s gateway.Scope, id gateway.ID, c gateway.WebhookChange) (*gateway.Webhook, error)
	Rotate(ctx context.Context, s gateway.Scope, id gateway.ID) (*gateway.Webhook, error)
	Delete(ctx context.Context, s gateway.Scope, id gateway.ID) error
	Test(ctx context.Context, s gateway.Scope, id gateway.ID) (gateway.WebhookAttempt, error)
	// Events are those before one, unless that is "", the newest first.
	Events(ctx context.Context, s gateway.Scope, id gateway.ID, before string, most int) (gateway.WebhookEventPage, error)
	Event(ctx context.Context, s gateway.Scope, id gateway.ID, event string) (*gateway.WebhookEvent, error)
	Retell(ctx context.Context, s gateway.Scope, id gateway.ID, event string) (*gateway.WebhookEvent, error)
}

// webhookRow is a webhook in a list.
type webhookRow struct {
	gateway.Webhook
	Email string // of an account's
}

// webhookForm is what a webhook is to be, and to be told of.
type webhookForm struct {
	Endpoint, Email string
	Events          []eventChoice
	Problem         string
}

// eventChoice is a check box.
type eventChoice struct {
	Type   gateway.EventType
	Chosen bool
}

// eventChoices are the boxes of a webhook of d, with those of some types checked.
func eventChoices(d gateway.DomainID, chosen []gateway.EventType) (all []eventChoice) {
	for _, t := range gateway.WebhookEventsOf(d) {
		all = append(all, eventChoice{t, slices.Contains(chosen, t)})
	}
	return all
}

// chosenEvents are the types that a form names.
func (v *visit) chosenEvents() (all []gateway.EventType) {
	for _, t := range v.form["event"] {
		all = append(all, gateway.EventType(t))
	}
	return all
}

// hooks is the path of the list that the visit is in: the instance's, or a domain's.
func (v *visit) hooks(more ...string) string {
	if v.domain == nil {
		return "/" + joined(append([]string{"webhooks"}, more...))
	}
	return "/" + joined(append([]string{"domains", v.domain.Name, "webhooks"}, more...))
}

// webhookList is the page of all webhooks of the instance, a domain, or an account.
type webhookList struct {
	Base     string
	Webhooks []webhookRow
	Form     webhookForm
}

func (d *Dashboard) listWebhooks(v *visit) error {
	return d.showWebhooks(v, fiber.StatusOK, webhookForm{Events: eventChoices(v.scope.Domain(), (&gateway.Webhook{Domain: v.scope.Domain()}).Wanted())})
}

func (d *Dashboard) showWebhooks(v *visit, status int, form webhookForm) error {
	all, err := d.cfg.Webhooks.List(v.ctx, v.scope)
	if err != nil {
		return err
	}
	page := webhookList{Base: v.hooks(), Form: form}
	for i := range all {
		page.Webhooks = append(page.Webhooks, d.webhookRow(v, all[i]))
	}
	return d.show(v, status, "webhooks", "Webhooks", page)
}

func (d *Dashboard) webhookRow(v *visit, w gateway.Webhook) webhookRow {
	row := webhookRow{Webhook: w}
	if w.Account != 0 {
		if a, err := d.cfg.Domains.AccountByID(v.ctx, v.scope, w.Domain, w.Account); err == nil {
			row.Email = a.Email // else it is being erased
		}
	}
	return row
}

func (d *Dashboard) addWebhook(v *visit) error {
	form := webhookForm{Endpoint: v.field("endpoint"), Email: v.field("email"), Events: eventChoices(v.scope.Domain(), v.chosenEvents())}
	w, err := d.makeWebhook(v, &form)
	if status, problem, again := mistake(err); again {
		form.Problem = problem
		return d.showWebhooks(v, status, form)
	}
	if err != nil {
		return err
	}
	v.signin.tell("The webhook was added. Give its signing secret to the endpoint, then test it.")
	return v.redirect(v.hooks(w.ID.String()))
}

func (d *Dashboard) makeWebhook(v *visit, form *webhookForm) (*gateway.Webhook, error) {
	account := v.scope.Account()
	if form.Email != "" {
		a, err := d.cfg.Domains.Account(v.ctx, v.scope, form.Email)
		if err != nil {
			return nil, err
		}
		account = a.ID
	}
	return d.cfg.Webhooks.Add(v.ctx, v.scope, v.scope.Domain(), account, form.Endpoint, v.chosenEvents())
}

// webhookPage is one webhook and what it was told.
type webhookPage struct {
	webhookRow
	Base    string
	Form    webhookForm
	Told    []toldEvent
	Next    string // the address of the next page, "" at the end
	Attempt *gateway.WebhookAttempt
	Reveal  bool
}

// toldEvent is an event with the name that its receiver knows it by.
type toldEvent struct {
	gateway.WebhookEvent
	Name string
}

func told(e gateway.WebhookEvent) toldEvent {
	return toldEvent{e, gateway.EventID(e.Position, e.Event.At)}
}

// webhook is that of the path. What the key may not see is not there.
func (d *Dashboard) webhook(v *visit) (*gateway.Webhook, error) {
	id, err := gateway.ParseID(v.param("webhook"))
	if err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such webhook")
	}
	w, err := d.cfg.Webhooks.Get(v.ctx, v.scope, id)
	if err == nil && v.domain == nil && w.Domain != 0 {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such webhook") // it is its domain's page
	}
	return w, err
}

func (d *Dashboard) showWebhook(v *visit) error {
	w, err := d.webhook(v)
	if err != nil {
		return err
	}
	return d.answerWebhook(v, fiber.StatusOK, w, webhookPage{})
}

// answerWebhook shows one webhook, with what else the page is to show.
func (d *Dashboard) answerWebhook(v *visit, status int, w *gateway.Webhook, page webhookPage) error {
	page.webhookRow, page.Base = d.webhookRow(v, *w), v.hooks(w.ID.String())
	if page.Form.Problem == "" {
		page.Form = webhookForm{Endpoint: w.Endpoint, Events: eventChoices(w.Domain, w.Wanted())}
	}
	all, err := d.cfg.Webhooks.Events(v.ctx, v.scope, w.ID, v.c.Query("before"), pageSize)
	if err != nil {
		return err
	}
	for _, e := range all.Events {
		page.Told = append(page.Told, told(e))
	}
	if all.More {
		page.Next = "?before=" + page.Told[len(page.Told)-1].Name
	}
	return d.show(v, status, "webhook", "Webhook", &page)
}

// changeWebhook does what one of the page's buttons says.
func (d *Dashboard) changeWebhook(v *visit) error {
	w, err := d.webhook(v)
	if err != nil {
		return err
	}
	on := v.field("do") == "enable"
	switch v.field("do") {
	case "enable", "disable":
		_, err = d.cfg.Webhooks.Change(v.ctx, v.scope, w.ID, gateway.WebhookChange{Enabled: &on})
		v.signin.tell("The webhook is " + v.field("do") + "d.")
	case "reveal":
		return d.answerWebhook(v, fiber.StatusOK, w, webhookPage{Reveal: true})
	case "rotate":
		_, err = d.cfg.Webhooks.Rotate(v.ctx, v.scope, w.ID)
		v.signin.tell("There is a new signing secret. Posts are signed with the former one, too, for a day.")
	case "test":
		a, err := d.cfg.Webhooks.Test(v.ctx, v.scope, w.ID)
		if err != nil {
			return err
		}
		return d.answerWebhook(v, fiber.StatusOK, w, webhookPage{Attempt: &a})
	default:
		endpoint, types := v.field("endpoint"), v.chosenEvents()
		_, err = d.cfg.Webhooks.Change(v.ctx, v.scope, w.ID, gateway.WebhookChange{Endpoint: &endpoint, Types: &types})
		if status, problem, again := mistake(err); again {
			return d.answerWebhook(v, status, w, webhookPage{Form: webhookForm{Endpoint: endpoint, Events: eventChoices(w.Domain, types), Problem: problem}})
		}
		v.signin.tell("The webhook was changed.")
	}
	if err != nil {
		v.signin.told()
		return err
	}
	return v.redirect(v.hooks(w.ID.String()))
}

func (d *Dashboard) deleteWebhookForm(v *visit) error {
	w, err := d.webhook(v)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "webhookdelete", "Delete a webhook", &webhookPage{webhookRow: d.webhookRow(v, *w), Base: v.hooks(w.ID.String())})
}

func (d *Dashboard) deleteWebhook(v *visit) error {
	w, err := d.webhook(v)
	if err != nil {
		return err
	}
	if err := d.cfg.Webhooks.Delete(v.ctx, v.scope, w.ID); err != nil {
		return err
	}
	v.signin.tell("The webhook to " + w.Endpoint + " is deleted.")
	return v.redirect(v.hooks())
}

// webhookEventPage is one event and every time that the endpoint was asked to take it.
type webhookEventPage struct {
	toldEvent
	Webhook *gateway.Webhook
	Base    string // of the webhook
}

func (d *Dashboard) showWebhookEvent(v *visit) error {
	w, err := d.webhook(v)
	if err != nil {
		return err
	}
	e, err := d.cfg.Webhooks.Event(v.ctx, v.scope, w.ID, v.param("event"))
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "webhookevent", "Event", webhookEventPage{told(*e), w, v.hooks(w.ID.String())})
}

// retellWebhook sends an event again.
func (d *Dashboard) retellWebhook(v *visit) error {
	w, err := d.webhook(v)
	if err != nil {
		return err
	}
	if _, err := d.cfg.Webhooks.Retell(v.ctx, v.scope, w.ID, v.param("event")); err != nil {
		return err
	}
	v.signin.tell("The event is sent again.")
	return v.redirect(v.hooks(w.ID.String(), "events", v.param("event")))
}

// answered is what an endpoint answered, for people.
func answered(a gateway.WebhookAttempt) string {
	if a.Status == 0 {
		return "no answer"
	}
	return strconv.Itoa(a.Status)
}
