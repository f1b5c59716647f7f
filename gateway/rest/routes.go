package rest

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
	"github.com/centerleap/postern/gateway/keys"
)

// who may call a route: the levels and permissions of keys.
type who uint8

const (
	instance who = 1 << iota
	domain
	account
	sender     // send-only keys of any level
	open   who = 1 << 7
)

const (
	readers = instance | domain | account
	senders = readers | sender
	admins  = instance | domain
)

// route is one line of the contract.
type route struct {
	Method, Path string
	Operation    string // operationId in openapi.yaml
	Who          who
	Class        keys.Class // whose limit of requests it counts against
	Handle       func(*Server, *call) error
}

// routes is every route. Words come before ids: no id is one of them. Sources:
// the API guide for those it names.
var routes = []route{
	{"POST", "/emails", "sendEmail", senders, keys.Sends, (*Server).sendEmail},
	{"POST", "/emails/batch", "sendBatch", senders, keys.Sends, (*Server).sendBatch},
	{"GET", "/emails", "listEmails", readers, keys.Reads, (*Server).listEmails},
	{"GET", "/emails/stream", streamOperation, readers, keys.Streams, (*Server).streamEmails},
	{"POST", "/emails/stream/token", "createStreamToken", readers, keys.Reads, (*Server).createStreamToken},
	{"GET", "/emails/threads", "listThreads", readers, keys.Reads, (*Server).listThreads},
	{"GET", "/emails/threads/:threadId", "getThread", readers, keys.Reads, (*Server).getThread},
	{"GET", "/emails/:id", "getEmail", readers, keys.Reads, (*Server).getEmail},
	{"PATCH", "/emails/:id", "updateEmail", senders, keys.Changes, (*Server).updateEmail},
	{"DELETE", "/emails/:id", "deleteEmail", readers, keys.Changes, (*Server).deleteEmail},
	{"POST", "/emails/:id/cancel", "cancelEmail", senders, keys.Changes, (*Server).cancelEmail},
	{"POST", "/emails/:id/send", "sendStoredEmail", readers, keys.Sends, (*Server).sendStored},
	{"GET", "/emails/:id/raw", "getRawEmail", readers, keys.Reads, (*Server).getRawEmail},
	{"GET", "/emails/:id/trace", "getTrace", readers, keys.Reads, (*Server).getTrace},
	{"GET", "/emails/:id/attachments", "listAttachments", readers, keys.Reads, (*Server).listAttachments},
	{"GET", "/emails/:id/attachments/:attachmentId", "getAttachment", readers, keys.Reads, (*Server).getAttachment},
	{"GET", "/files/:token", "getFile", open, keys.Uncounted, (*Server).getFile},
	{"GET", "/folders", "listFolders", readers, keys.Reads, (*Server).listFolders},
	{"POST", "/folders", "createFolder", readers, keys.Changes, (*Server).createFolder},
	{"DELETE", "/folders/:name", "deleteFolder", readers, keys.Changes, (*Server).deleteFolder},
	{"GET", "/domains", "listDomains", readers, keys.Reads, (*Server).listDomains},
	{"POST", "/domains", "createDomain", instance, keys.Changes, (*Server).createDomain},
	{"GET", "/domains/:id", "getDomain", admins, keys.Reads, (*Server).getDomain},
	{"PATCH", "/domains/:id", "updateDomain", admins, keys.Changes, (*Server).updateDomain},
	{"DELETE", "/domains/:id", "deleteDomain", instance, keys.Changes, (*Server).deleteDomain},
	{"POST", "/domains/:id/verify", "verifyDomain", admins, keys.Changes, (*Server).verifyDomain},
	{"GET", "/accounts", "listAccounts", readers, keys.Reads, (*Server).listAccounts},
	{"POST", "/accounts", "createAccount", admins, keys.Changes, (*Server).createAccount},
	{"GET", "/accounts/:email", "getAccount", readers, keys.Reads, (*Server).getAccount},
	{"PATCH", "/accounts/:email", "updateAccount", admins, keys.Changes, (*Server).updateAccount},
	{"DELETE", "/accounts/:email", "deleteAccount", admins, keys.Changes, (*Server).deleteAccount},
	{"GET", "/api-keys", "listKeys", readers, keys.Reads, (*Server).listKeys},
	{"POST", "/api-keys", "createKey", readers, keys.Changes, (*Server).createKey},
	{"PATCH", "/api-keys/:id", "updateKey", readers, keys.Changes, (*Server).updateKey},
	{"DELETE", "/api-keys/:id", "revokeKey", readers, keys.Changes, (*Server).revokeKey},
	{"GET", "/suppressions", "listSuppressions", admins, keys.Reads, (*Server).listSuppressions},
	{"POST", "/suppressions", "addSuppression", admins, keys.Changes, (*Server).addSuppression},
	{"GET", "/suppressions/:idOrEmail", "getSuppression", admins, keys.Reads, (*Server).getSuppression},
	{"DELETE", "/suppressions/:idOrEmail", "removeSuppression", admins, keys.Changes, (*Server).removeSuppression},
	{"GET", "/queue", "listQueue", admins, keys.Reads, (*Server).listQueue},
	{"GET", "/queue/:id", "getDelivery", admins, keys.Reads, (*Server).getDelivery},
	{"DELETE", "/queue/:id", "dropDelivery", instance, keys.Changes, (*Server).dropDelivery},
	{"POST", "/queue/:id/hold", "holdDelivery", admins, keys.Changes, (*Server).holdDelivery},
	{"POST", "/queue/:id/release", "releaseDelivery", admins, keys.Changes, (*Server).releaseDelivery},
	{"POST", "/queue/:id/retry", "retryDelivery", admins, keys.Changes, (*Server).retryDelivery},
	{"POST", "/queue/:id/cancel", "cancelDelivery", admins, keys.Changes, (*Server).cancelDelivery},
	{"GET", "/plugins", "listPlugins", readers, keys.Reads, (*Server).listPlugins},
	{"POST", "/plugins", "installPlugin", readers, keys.Uploads, (*Server).installPlugin},
	{"GET", "/plugins/:id", "getPlugin", readers, keys.Reads, (*Server).getPlugin},
	{"PATCH", "/plugins/:id", "updatePlugin", readers, keys.Changes, (*Server).updatePlugin},
	{"PUT", "/plugins/:id/code", "replacePluginCode", readers, keys.Uploads, (*Server).replacePluginCode},
	{"POST", "/plugins/:id/test", "testPlugin", readers, keys.Changes, (*Server).testPlugin},
	{"POST", "/plugins/:id/replay", "replayPlugin", readers, keys.Uploads, (*Server).replayPlugin},
	{"GET", "/plugins/:id/logs", "listPluginLogs", readers, keys.Reads, (*Server).listPluginLogs},
	{"GET", "/plugins/:id/failures", "listPluginFailures", readers, keys.Reads, (*Server).listPluginFailures},
	{"POST", "/plugins/:id/failures/:sequence/retry", "retryPluginFailure", readers, keys.Changes, (*Server).retryPluginFailure},
	{"DELETE", "/plugins/:id/failures/:sequence", "dropPluginFailure", readers, keys.Changes, (*Server).dropPluginFailure},
	{"DELETE", "/plugins/:id", "deletePlugin", readers, keys.Changes, (*Server).deletePlugin},
	{"GET", "/webhooks", "listWebhooks", readers, keys.Reads, (*Server).listWebhooks},
	{"POST", "/webhooks", "createWebhook", readers, keys.Changes, (*Server).addWebhook},
	{"GET", "/webhooks/:id", "getWebhook", readers, keys.Reads, (*Server).getWebhook},
	{"PATCH", "/webhooks/:id", "updateWebhook", readers, keys.Changes, (*Server).updateWebhook},
	{"DELETE", "/webhooks/:id", "deleteWebhook", readers, keys.Changes, (*Server).deleteWebhook},
	{"POST", "/webhooks/:id/signing-secret/rotate", "rotateWebhookSecret", readers, keys.Changes, (*Server).rotateWebhookSecret},
	{"POST", "/webhooks/:id/test", "testWebhook", readers, keys.Changes, (*Server).testWebhook},
	{"GET", "/webhooks/:id/events", "listWebhookEvents", readers, keys.Reads, (*Server).listWebhookEvents},
	{"GET", "/webhooks/:id/events/:event", "getWebhookEvent", readers, keys.Reads, (*Server).getWebhookEvent},
	{"GET", "/webhooks/:id/events/:event/attempts", "listWebhookAttempts", readers, keys.Reads, (*Server).listWebhookAttempts},
	{"POST", "/webhooks/:id/events/:event/replay", "replayWebhookEvent", readers, keys.Changes, (*Server).replayWebhookEvent},
	{"GET", "/logs", "listLogs", readers, keys.Reads, (*Server).listLogs},
	{"GET", "/logs/:id", "getLog", readers, keys.Reads, (*Server).getLog},
	{"PATCH", "/instance", "updateInstance", instance, keys.Changes, (*Server).updateInstance},
	{"GET", "/search", "getSearchIndex", instance, keys.Reads, (*Server).getSearchIndex},
	{"POST", "/search/rebuild", "rebuildSearchIndex", instance, keys.Changes, (*Server).rebuildSearchIndex},
	{"GET", "/backup", "getBackup", instance, keys.Uploads, (*Server).backup},
	{"GET", "/healthz", "health", open, keys.Uncounted, (*Server).health},
	{"GET", "/readyz", "ready", open, keys.Uncounted, (*Server).ready},
	{"GET", "/openapi.json", "openapi", open, keys.Uncounted, (*Server).openapiDocument},
}

// allows reports whether a route is for a key.
func (r *route) allows(k *gateway.Key) bool {
	if k.Permission != gateway.FullAccess {
		return r.Who&sender != 0
	}
	switch k.Level {
	case gateway.LevelInstance:
		return r.Who&instance != 0
	case gateway.LevelDomain:
		return r.Who&domain != 0
	case gateway.LevelAccount:
		return r.Who&account != 0
	}
	return false
}

// noRoute answers what no route matched: 405 with the methods that exist, or
// 404.
func (s *Server) noRoute(c *fiber.Ctx) error {
	k := &call{c: c, id: requestID(c)}
	var methods []string
	for i := range routes {
		if matches(routes[i].Path, c.Path()) {
			methods = append(methods, routes[i].Method)
		}
	}
	if len(methods) == 0 {
		return s.answerError(k, gateway.Errorf(gateway.NotFound, "no such route"))
	}
	c.Set("Allow", strings.Join(methods, ", "))
	return s.answerError(k, gateway.Errorf(gateway.MethodNotAllowed, "%s is not possible here", c.Method()))
}

// matches compares a path with a route's, segment by segment.
func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(strings.TrimSuffix(path, "/"), "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], ":") && !strings.EqualFold(want[i], got[i]) {
			return false
		}
	}
	return true
}
