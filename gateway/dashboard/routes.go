package dashboard

import (
	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// who may open a page: the levels of keys, all with full access.
type who uint8

const (
	instance who = 1 << iota
	domain
	account
	open who = 1 << 7 // also who is not signed in
)

const (
	everybody = instance | domain | account
	admins    = instance | domain
)

// route is one page, or what one form does.
type route struct {
	Method, Path string
	Who          who
	Class        keys.Class // whose limit of requests it counts against
	Handle       func(*Dashboard, *visit) error
}

const (
	get  = fiber.MethodGet
	post = fiber.MethodPost
)

// routes is every page. With :domain in its path a page is about that domain, and
// its visit's scope is narrowed to it.
var routes = []route{
	{get, "/static/*", open, keys.Uncounted, (*Dashboard).static},
	{get, "/sign-in", open, keys.Uncounted, (*Dashboard).signInForm},
	{post, "/sign-in", open, keys.Uncounted, (*Dashboard).signIn},
	{get, "/link/:token", open, keys.Uncounted, (*Dashboard).linkForm},
	{post, "/link/:token", open, keys.Uncounted, (*Dashboard).followLink},
	{post, "/sign-out", everybody, keys.Uncounted, (*Dashboard).signOut},

	{get, "/", everybody, keys.Reads, (*Dashboard).overview},
	{get, "/domains/:domain/overview", admins, keys.Reads, (*Dashboard).domainOverview},

	{get, "/domains", everybody, keys.Reads, (*Dashboard).listDomains},
	{post, "/domains", instance, keys.Changes, (*Dashboard).createDomain},
	{get, "/domains/:domain", admins, keys.Reads, (*Dashboard).showDomain},
	{post, "/domains/:domain/verify", admins, keys.Changes, (*Dashboard).verifyDomain},
	{get, "/domains/:domain/zone", admins, keys.Reads, (*Dashboard).zone},

	{get, "/activity", instance, keys.Reads, (*Dashboard).activity},
	{get, "/activity/csv", instance, keys.Reads, (*Dashboard).activityCSV},
	{get, "/domains/:domain/activity", everybody, keys.Reads, (*Dashboard).activity},
	{get, "/domains/:domain/activity/csv", everybody, keys.Reads, (*Dashboard).activityCSV},
	{get, "/domains/:domain/activity/keys", everybody, keys.Reads, (*Dashboard).activityKeys},
	{get, "/domains/:domain/activity/keys/:key", everybody, keys.Reads, (*Dashboard).keyActivity},
	{get, "/domains/:domain/emails/:id", everybody, keys.Reads, (*Dashboard).email},

	{get, "/domains/:domain/suppressions", admins, keys.Reads, (*Dashboard).suppressions},
	{post, "/domains/:domain/suppressions", admins, keys.Changes, (*Dashboard).suppress},
	{post, "/domains/:domain/suppressions/remove", admins, keys.Changes, (*Dashboard).unsuppress},
	{get, "/domains/:domain/bounces", admins, keys.Reads, (*Dashboard).bounces},

	{get, "/queue", instance, keys.Reads, (*Dashboard).allQueues},
	{get, "/domains/:domain/queue", admins, keys.Reads, (*Dashboard).queue},
	{post, "/domains/:domain/queue", admins, keys.Changes, (*Dashboard).workQueue},
	{get, "/domains/:domain/queue/:id", admins, keys.Reads, (*Dashboard).showDelivery},
	{get, "/domains/:domain/queue/:id/end", admins, keys.Reads, (*Dashboard).endForm},
	{post, "/domains/:domain/queue/:id/end", admins, keys.Changes, (*Dashboard).endDelivery},

	{get, "/domains/:domain/plugins", everybody, keys.Reads, (*Dashboard).listPlugins},
	{post, "/domains/:domain/plugins", everybody, keys.Uploads, (*Dashboard).installPlugin},
	{get, "/domains/:domain/plugins/:plugin", everybody, keys.Reads, (*Dashboard).showPlugin},
	{post, "/domains/:domain/plugins/:plugin", everybody, keys.Changes, (*Dashboard).switchPlugin},
	{post, "/domains/:domain/plugins/:plugin/order", everybody, keys.Changes, (*Dashboard).movePlugin},
	{get, "/domains/:domain/plugins/:plugin/permissions", everybody, keys.Reads, (*Dashboard).permissionsForm},
	{post, "/domains/:domain/plugins/:plugin/permissions", everybody, keys.Changes, (*Dashboard).grant},
	{get, "/domains/:domain/plugins/:plugin/settings", everybody, keys.Reads, (*Dashboard).settingsForm},
	{post, "/domains/:domain/plugins/:plugin/settings", everybody, keys.Changes, (*Dashboard).configure},
	{get, "/domains/:domain/plugins/:plugin/versions", everybody, keys.Reads, (*Dashboard).listVersions},
	{post, "/domains/:domain/plugins/:plugin/versions", everybody, keys.Changes, (*Dashboard).useVersion},
	{post, "/domains/:domain/plugins/:plugin/code", everybody, keys.Uploads, (*Dashboard).replaceCode},
	{get, "/domains/:domain/plugins/:plugin/log", everybody, keys.Reads, (*Dashboard).pluginLog},
	{get, "/domains/:domain/plugins/:plugin/failures", everybody, keys.Reads, (*Dashboard).pluginFailures},
	{post, "/domains/:domain/plugins/:plugin/failures", everybody, keys.Changes, (*Dashboard).settleFailure},
	{get, "/domains/:domain/plugins/:plugin/test", everybody, keys.Reads, (*Dashboard).trialForm},
	{post, "/domains/:domain/plugins/:plugin/test", everybody, keys.Changes, (*Dashboard).tryPlugin},
	{get, "/domains/:domain/plugins/:plugin/replay", everybody, keys.Reads, (*Dashboard).replayForm},
	{post, "/domains/:domain/plugins/:plugin/replay", everybody, keys.Uploads, (*Dashboard).replay},
	{get, "/domains/:domain/plugins/:plugin/delete", everybody, keys.Reads, (*Dashboard).deletePluginForm},
	{post, "/domains/:domain/plugins/:plugin/delete", everybody, keys.Changes, (*Dashboard).deletePlugin},

	{get, "/webhooks", instance, keys.Reads, (*Dashboard).listWebhooks},
	{post, "/webhooks", instance, keys.Changes, (*Dashboard).addWebhook},
	{get, "/webhooks/:webhook", instance, keys.Reads, (*Dashboard).showWebhook},
	{post, "/webhooks/:webhook", instance, keys.Changes, (*Dashboard).changeWebhook},
	{get, "/webhooks/:webhook/delete", instance, keys.Reads, (*Dashboard).deleteWebhookForm},
	{post, "/webhooks/:webhook/delete", instance, keys.Changes, (*Dashboard).deleteWebhook},
	{get, "/webhooks/:webhook/events/:event", instance, keys.Reads, (*Dashboard).showWebhookEvent},
	{post, "/webhooks/:webhook/events/:event", instance, keys.Changes, (*Dashboard).retellWebhook},
	{get, "/domains/:domain/webhooks", everybody, keys.Reads, (*Dashboard).listWebhooks},
	{post, "/domains/:domain/webhooks", everybody, keys.Changes, (*Dashboard).addWebhook},
	{get, "/domains/:domain/webhooks/:webhook", everybody, keys.Reads, (*Dashboard).showWebhook},
	{post, "/domains/:domain/webhooks/:webhook", everybody, keys.Changes, (*Dashboard).changeWebhook},
	{get, "/domains/:domain/webhooks/:webhook/delete", everybody, keys.Reads, (*Dashboard).deleteWebhookForm},
	{post, "/domains/:domain/webhooks/:webhook/delete", everybody, keys.Changes, (*Dashboard).deleteWebhook},
	{get, "/domains/:domain/webhooks/:webhook/events/:event", everybody, keys.Reads, (*Dashboard).showWebhookEvent},
	{post, "/domains/:domain/webhooks/:webhook/events/:event", everybody, keys.Changes, (*Dashboard).retellWebhook},

	{get, "/domains/:domain/live", everybody, keys.Reads, (*Dashboard).live},
	{get, "/domains/:domain/live/events", everybody, keys.Streams, (*Dashboard).liveStream},

	{get, "/system", instance, keys.Reads, (*Dashboard).system},
	{get, "/system/delivery", instance, keys.Reads, (*Dashboard).modeForm},
	{post, "/system/delivery", instance, keys.Changes, (*Dashboard).changeMode},
	{get, "/system/search", instance, keys.Reads, (*Dashboard).searchIndex},
	{post, "/system/search", instance, keys.Changes, (*Dashboard).rebuildIndex},
	{get, "/system/limits", instance, keys.Reads, (*Dashboard).limits},

	{get, "/keys", instance, keys.Reads, (*Dashboard).instanceKeys},
	{get, "/keys/new", instance, keys.Reads, (*Dashboard).newKeyForm},
	{post, "/keys/new", instance, keys.Changes, (*Dashboard).createKey},
	{get, "/keys/:key/revoke", everybody, keys.Reads, (*Dashboard).revokeForm},
	{post, "/keys/:key/revoke", everybody, keys.Changes, (*Dashboard).revokeKey},
	{get, "/domains/:domain/keys", admins, keys.Reads, (*Dashboard).domainKeys},
	{get, "/domains/:domain/keys/new", admins, keys.Reads, (*Dashboard).newKeyForm},
	{post, "/domains/:domain/keys/new", admins, keys.Changes, (*Dashboard).createKey},

	{get, "/domains/:domain/accounts", everybody, keys.Reads, (*Dashboard).listAccounts},
	{post, "/domains/:domain/accounts", admins, keys.Changes, (*Dashboard).createAccount},
	{get, "/domains/:domain/accounts/:email", everybody, keys.Reads, (*Dashboard).showAccount},
	{get, "/domains/:domain/accounts/:email/keys", everybody, keys.Reads, (*Dashboard).accountKeys},
	{get, "/domains/:domain/accounts/:email/keys/new", everybody, keys.Reads, (*Dashboard).newKeyForm},
	{post, "/domains/:domain/accounts/:email/keys/new", everybody, keys.Changes, (*Dashboard).createKey},

	{get, "/domains/:domain/accounts/:email/messages", everybody, keys.Reads, (*Dashboard).listMessages},
	{get, "/domains/:domain/accounts/:email/messages/:id", everybody, keys.Reads, (*Dashboard).messageHTML},
	{post, "/domains/:domain/accounts/:email/messages/:id", everybody, keys.Changes, (*Dashboard).changeMessage},
	{get, "/domains/:domain/accounts/:email/messages/:id/html", everybody, keys.Reads, (*Dashboard).messageFrame},
	{get, "/domains/:domain/accounts/:email/messages/:id/text", everybody, keys.Reads, (*Dashboard).messageText},
	{get, "/domains/:domain/accounts/:email/messages/:id/headers", everybody, keys.Reads, (*Dashboard).messageHeaders},
	{get, "/domains/:domain/accounts/:email/messages/:id/raw", everybody, keys.Reads, (*Dashboard).messageRaw},
	{get, "/domains/:domain/accounts/:email/messages/:id/source", everybody, keys.Reads, (*Dashboard).messageSource},
	{get, "/domains/:domain/accounts/:email/messages/:id/attachments", everybody, keys.Reads, (*Dashboard).messageFiles},
	{get, "/domains/:domain/accounts/:email/messages/:id/attachments/:file", everybody, keys.Reads, (*Dashboard).messageFile},
	{get, "/domains/:domain/accounts/:email/messages/:id/trace", everybody, keys.Reads, (*Dashboard).messageTrace},
	{get, "/domains/:domain/accounts/:email/messages/:id/delete", everybody, keys.Reads, (*Dashboard).deleteMessageForm},
	{post, "/domains/:domain/accounts/:email/messages/:id/delete", everybody, keys.Changes, (*Dashboard).deleteMessage},
	{get, "/pictures/:picture", open, keys.Uncounted, (*Dashboard).picture},

	{get, "/domains/:domain/accounts/:email/threads", everybody, keys.Reads, (*Dashboard).listThreads},
	{get, "/domains/:domain/accounts/:email/threads/:thread", everybody, keys.Reads, (*Dashboard).showThread},
	{post, "/domains/:domain/accounts/:email/threads/:thread", everybody, keys.Changes, (*Dashboard).replyInThread},
}

// nowhere is what no route matched.
var nowhere = route{Path: "/*", Who: open, Handle: func(*Dashboard, *visit) error {
	return gateway.Errorf(gateway.NotFound, "there is no such page")
}}

// allows reports whether a page is for the holder of a scope.
func (r *route) allows(l gateway.Level) bool {
	switch l {
	case gateway.LevelInstance:
		return r.Who&instance != 0
	case gateway.LevelDomain:
		return r.Who&domain != 0
	case gateway.LevelAccount:
		return r.Who&account != 0
	}
	return false
}
