package dashboard

import (
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// oldKey is the age past which a key is marked, and unusedKey the time without use. Ours:
// what most rules on rotation ask for.
const (
	oldKey    = 90 * 24 * time.Hour
	unusedKey = 30 * 24 * time.Hour
)

// keyRow is a key with what people should notice about it.
type keyRow struct {
	gateway.Key
	Sent   int64  // messages of its hour
	Email  string // of an account's key
	Live   bool
	Old    bool
	Unused bool
}

func (d *Dashboard) rowOf(v *visit, k gateway.Key) keyRow {
	now := d.clock()
	email := ""
	if k.Account != 0 {
		if a, err := d.cfg.Domains.AccountByID(v.ctx, v.scope, k.Domain, k.Account); err == nil {
			email = a.Email // else it was deleted
		}
	}
	used := k.LastUsedAt
	if used.IsZero() {
		used = k.CreatedAt
	}
	return keyRow{
		Key: k, Email: email, Sent: k.Used.At(now).Messages, Live: k.Live(now),
		Old: now.Sub(k.CreatedAt) > oldKey, Unused: now.Sub(used) > unusedKey,
	}
}

// keyList is the tab of keys of the instance, a domain, or an account.
type keyList struct {
	Of      string // the domain or address; "" is the instance
	Base    string // the path of the list
	Account string
	Keys    []keyRow
	After   string // of the next page, "" at the end
}

func (d *Dashboard) instanceKeys(v *visit) error {
	return d.listKeys(v, keyList{Base: "/keys"}, func(k *gateway.Key) bool { return k.Level == gateway.LevelInstance })
}

func (d *Dashboard) domainKeys(v *visit) error {
	list := keyList{Of: v.domain.Name, Base: "/" + joined([]string{"domains", v.domain.Name, "keys"})}
	return d.listKeys(v, list, func(k *gateway.Key) bool { return true })
}

func (d *Dashboard) accountKeys(v *visit) error {
	a, err := d.account(v)
	if err != nil {
		return err
	}
	list := keyList{Of: a.Email, Account: a.Email, Base: "/" + joined([]string{"domains", v.domain.Name, "accounts", a.Email, "keys"})}
	return d.listKeys(v, list, func(k *gateway.Key) bool { return k.Account == a.ID })
}

// listKeys shows the keys of the visit's scope that belong to the list.
func (d *Dashboard) listKeys(v *visit, list keyList, belongs func(*gateway.Key) bool) error {
	return d.listKeysAs(v, "keys", list, belongs)
}

// listKeysAs is listKeys on a page of another name.
func (d *Dashboard) listKeysAs(v *visit, name string, list keyList, belongs func(*gateway.Key) bool) (err error) {
	var after gateway.ID
	if s := v.c.Query("after"); s != "" {
		if after, err = gateway.ParseID(s); err != nil {
			return gateway.Fieldf(gateway.InvalidParameter, "after", "after names no key")
		}
	}
	for more := true; more && len(list.Keys) < pageSize; {
		var page []gateway.Key
		if page, more, err = d.cfg.Keys.Page(v.ctx, v.scope, gateway.Span{After: after, Most: pageSize}); err != nil {
			return err
		}
		for i := range page {
			after = page[i].ID
			if belongs(&page[i]) {
				list.Keys = append(list.Keys, d.rowOf(v, page[i]))
			} else if list.Of == "" {
				more = false // those of the instance come first
				break
			}
		}
		if list.After = ""; more {
			list.After = after.String()
		}
	}
	return d.show(v, fiber.StatusOK, name, "API Keys", list)
}

// keyForm is the page on which a key is made.
type keyForm struct {
	Base    string // of the list to go back to
	Of      string
	Limits  bool // the operator may set them
	Problem string

	Name, Permission, Expires, Date, RateLimit string // as they were sent
}

// choice is one of a list of options.
type choice struct{ Value, Name string }

// Choices are when a key may end.
func (keyForm) Choices() []choice {
	return []choice{{"", "Never"}, {"30", "In 30 days"}, {"90", "In 90 days"}, {"365", "In a year"}, {"date", "On a date"}}
}

// keyTarget is for what the path says that a key is to be made.
func (d *Dashboard) keyTarget(v *visit) (form keyForm, n keys.NewKey, err error) {
	form.Limits, form.Permission = v.signin.session.Scope().Level() == gateway.LevelInstance, string(gateway.FullAccess)
	switch {
	case v.param("email") != "":
		a, err := d.account(v)
		if err != nil {
			return form, n, err
		}
		form.Of, form.Base = a.Email, "/"+joined([]string{"domains", v.domain.Name, "accounts", a.Email, "keys"})
		n.Level, n.Domain, n.Account = gateway.LevelAccount, a.Domain, a.ID
	case v.domain != nil:
		form.Of, form.Base = v.domain.Name, "/"+joined([]string{"domains", v.domain.Name, "keys"})
		n.Level, n.Domain = gateway.LevelDomain, v.domain.ID
	default:
		form.Base, n.Level = "/keys", gateway.LevelInstance
	}
	return form, n, nil
}

func (d *Dashboard) newKeyForm(v *visit) error {
	form, _, err := d.keyTarget(v)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "newkey", "Create an API key", form)
}

// createdKey is the one page that shows a key.
type createdKey struct {
	keyForm
	Key   *gateway.Key
	Token string
	From  string // an address to try it with
	Here  string // where REST answers, as this browser sees it

	SMTP, Username string // of the submission door
}

// createKey makes a key and answers with it, on this page only: it is in no address,
// cookie or log. The page loaded again makes no second one.
func (d *Dashboard) createKey(v *visit) error {
	form, n, err := d.keyTarget(v)
	if err != nil {
		return err
	}
	form.Name, form.Permission = v.field("name"), v.field("permission")
	form.Expires, form.Date, form.RateLimit = v.field("expires"), v.field("date"), v.field("rate_limit")
	earlier, first := v.signin.once(v.field("once"))
	if !first {
		if earlier != "" {
			v.signin.tell("That form has made the key " + earlier + " already. It was shown once; if it is lost, revoke it and make another.")
		}
		return v.redirect(form.Base)
	}
	key, secret, err := d.makeKey(v, &form, n)
	if err != nil {
		v.signin.became(v.field("once"), "")
	}
	if status, problem, again := mistake(err); again {
		form.Problem = problem
		return d.show(v, status, "newkey", "Create an API key", form)
	}
	if err != nil {
		return err
	}
	v.signin.became(v.field("once"), key.Display())
	return d.show(v, fiber.StatusOK, "newkeydone", "Your API key", createdKey{
		keyForm: form, Key: key, Token: secret.Reveal(), From: d.from(v, &form), Here: v.c.BaseURL(),
		SMTP: d.cfg.Submission(), Username: d.cfg.SMTPUsername,
	})
}

// makeKey reads the form and makes the key.
func (d *Dashboard) makeKey(v *visit, form *keyForm, n keys.NewKey) (_ *gateway.Key, _ gateway.Secret, err error) {
	n.Name, n.Permission = form.Name, gateway.Permission(form.Permission)
	if n.ExpiresAt, err = d.expiry(form); err != nil {
		return nil, "", err
	}
	if form.Limits && form.RateLimit != "" {
		most, err := strconv.ParseInt(form.RateLimit, 10, 64)
		if err != nil {
			return nil, "", gateway.Fieldf(gateway.InvalidParameter, "rate_limit", "the hourly limit is a whole number; 0 is none")
		}
		n.Limits = &gateway.KeyLimits{Messages: most, Recipients: d.cfg.Limits.KeyRecipients}
	}
	return d.cfg.Keys.Create(v.ctx, v.scope, n)
}

// expiry is when a key ends, as the form has it: never, in some days, or on a date.
func (d *Dashboard) expiry(form *keyForm) (time.Time, error) {
	switch form.Expires {
	case "":
		return time.Time{}, nil
	case "date":
		t, err := time.Parse(time.DateOnly, form.Date)
		if err != nil {
			return t, gateway.Fieldf(gateway.InvalidParameter, "date", "say the day on which the key ends")
		}
		return t, nil
	}
	days, err := strconv.Atoi(form.Expires)
	if err != nil || days < 1 || days > 3650 {
		return time.Time{}, gateway.Fieldf(gateway.InvalidParameter, "expires", "choose when the key ends")
	}
	return d.clock().AddDate(0, 0, days), nil
}

// from is an address that a key may send as, for the lines to paste.
func (d *Dashboard) from(v *visit, form *keyForm) string {
	switch {
	case v.param("email") != "":
		return form.Of
	case v.domain == nil:
		return ""
	}
	if all, _, err := d.cfg.Domains.Accounts(v.ctx, v.scope, v.domain.ID, "", 1); err == nil && len(all) > 0 {
		return all[0].Email
	}
	return "hello@" + v.domain.Name
}

// revokePage names what is about to end.
type revokePage struct {
	keyRow
	Back string
}

func (d *Dashboard) revokeForm(v *visit) error {
	key, err := d.keyOfPath(v)
	if err != nil {
		return err
	}
	return d.show(v, fiber.StatusOK, "revoke", "Revoke a key", &revokePage{d.rowOf(v, *key), d.listOf(v, key)})
}

// revokeKey ends a key at once, with every session of it; if it is that of this very
// sign-in, the browser is out as well.
func (d *Dashboard) revokeKey(v *visit) error {
	key, err := d.keyOfPath(v)
	if err != nil {
		return err
	}
	back := d.listOf(v, key)
	if _, err := d.cfg.Keys.Revoke(v.ctx, v.scope, key.ID); err != nil {
		return err
	}
	v.signin.tell("The key " + key.Display() + " is revoked. Nothing is accepted from it any more.")
	return v.redirect(back)
}

func (d *Dashboard) keyOfPath(v *visit) (*gateway.Key, error) {
	id, err := gateway.ParseID(v.param("key"))
	if err != nil {
		return nil, gateway.Errorf(gateway.NotFound, "there is no such key")
	}
	return d.cfg.Keys.Get(v.ctx, v.scope, id)
}

// listOf is the path of the list that a key stands in.
func (d *Dashboard) listOf(v *visit, key *gateway.Key) string {
	if key.Domain == 0 {
		return "/keys"
	}
	dom, err := d.cfg.Domains.ByID(v.ctx, v.scope, key.Domain)
	if err != nil {
		return "/"
	}
	if key.Account != 0 {
		if a, err := d.cfg.Domains.AccountByID(v.ctx, v.scope, key.Domain, key.Account); err == nil {
			return "/" + joined([]string{"domains", dom.Name, "accounts", a.Email, "keys"})
		}
	}
	return "/" + joined([]string{"domains", dom.Name, "keys"})
}
