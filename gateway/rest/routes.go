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
	Present      presenter // of answers, if they are not shown as they are
}

// routes is every route but those of presenters. Words come before ids: no id is one of them. Sources:
// the API guide for those it names.
var routes = []route{
	{"POST", "/emails", "sendEmail", senders, keys.Sends, (*Server).sendEmail, nil},
	{"POST", "/emails/batch", "sendBatch", senders, keys.Sends, (*Server).sendBatch, nil},
	{"GET", "/emails", "listEmails", readers, keys.Reads, (*Server).listEmails, nil},
	{"GET", "/emails/stream", streamOperation, readers, keys.Streams, (*Server).streamEmails, nil},
	{"POST", "/emails/stream/token", "createStreamToken", readers, keys.Reads, (*Server).createStreamToken, nil},
	{"GET", "/emails/threads", "listThreads", readers, keys.Reads, (*Server).listThreads, nil},
	{"GET", "/emails/threads/:threadId", "getThread", readers, keys.Reads, (*Server).getThread, nil},
	{"GET", "/emails/:id", "getEmail", readers, keys.Reads, (*Server).getEmail, nil},
	{"PATCH", "/emails/:id", "updateEmail", senders, keys.Changes, (*Server).updateEmail, nil},
	{"DELETE", "/emails/:id", "deleteEmail", readers, keys.Changes, (*Server).deleteEmail, nil},
	{"POST", "/emails/:id/cancel", "cancelEmail", senders, keys.Changes, (*Server).cancelEmail, nil},
	{"POST", "/emails/:id/send", "sendStoredEmail", readers, keys.Sends, (*Server).sendStored, nil},
	{"GET", "/emails/:id/raw", "getRawEmail", readers, keys.Reads, (*Server).getRawEmail, nil},
	{"GET", "/emails/:id/trace", "getTrace", readers, keys.Reads, (*Server).getTrace, nil},
	{"GET", "/emails/:id/attachments", "listAttachments", readers, keys.Reads, (*Server).listAttachments, nil},
	{"GET", "/emails/:id/attachments/:attachmentId", "getAttachment", readers, keys.Reads, (*Server).getAttachment, nil},
	{"GET", "/files/:token", "getFile", open, keys.Uncounted, (*Server).getFile, nil},
	{"GET", "/folders", "listFolders", readers, keys.Reads, (*Server).listFolders, nil},
	{"POST", "/folders", "createFolder", readers, keys.Changes, (*Server).createFolder, nil},
	{"DELETE", "/folders/:name", "deleteFolder", readers, keys.Changes, (*Server).deleteFolder, nil},
	{"GET", "/domains", "listDomains", readers, keys.Reads, (*Server).listDomains, nil},
	{"POST", "/domains", "createDomain", instance, keys.Changes, (*Server).createDomain, nil},
	{"GET", "/domains/:id", "getDomain", admins, keys.Reads, (*Server).getDomain, nil},
	{"PATCH", "/domains/:id", "updateDomain", admins, keys.Changes, (*Server).updateDomain, nil},
	{"DELETE", "/domains/:id", "deleteDomain", instance, keys.Changes, (*Server).deleteDomain, nil},
	{"POST", "/domains/:id/verify", "verifyDomain", admins, keys.Changes, (*Server).verifyDomain, nil},
	{"GET", "/accounts", "listAccounts", readers, keys.Reads, (*Server).listAccounts, nil},
	{"POST", "/accounts", "createAccount", admins, keys.Changes, (*Server).createAccount, nil},
	{"GET", "/accounts/:email", "getAccount", readers, keys.Reads, (*Server).getAccount, nil},
	{"PATCH", "/accounts/:email", "updateAccount", admins, keys.Changes, (*Server).updateAccount, nil},
	{"DELETE", "/accounts/:email", "deleteAccount", admins, keys.Changes, (*Server).deleteAccount, nil},
	{"GET", "/api-keys", "listKeys", readers, keys.Reads, (*Server).listKeys, nil},
	{"POST", "/api-keys", "createKey", readers, keys.Changes, (*Server).createKey, nil},
	{"PATCH", "/api-keys/:id", "updateKey", readers, keys.Changes, (*Server).updateKey, nil},
	{"DELETE", "/api-keys/:id", "revokeKey", readers, keys.Changes, (*Server).revokeKey, nil},
	{"GET", "/suppressions", "listSuppressions", admins, keys.Reads, (*Server).listSuppressions, nil},
	{"POST", "/suppressions", "addSuppression", admins, keys.Changes, (*Server).addSuppression, nil},
	{"GET", "/suppressions/:idOrEmail", "getSuppression", admins, keys.Reads, (*Server).getSuppression, nil},
	{"DELETE", "/suppressions/:idOrEmail", "removeSuppression", admins, keys.Changes, (*Server).removeSuppression, nil},
	{"GET", "/queue", "listQueue", admins, keys.Reads, (*Server).listQueue, nil},
	{"GET", "/queue/:id", "getDelivery", admins, keys.Reads, (*Server).getDelivery, nil},
	{"DELETE", "/queue/:id", "dropDelivery", instance, keys.Changes, (*Server).dropDelivery, nil},
	{"POST", "/queue/:id/hold", "holdDelivery", admins, keys.Changes, (*Server).holdDelivery, nil},
	{"POST", "/queue/:id/release", "releaseDelivery", admins, keys.Changes, (*Server).releaseDelivery, nil},
	{"POST", "/queue/:id/retry", "retryDelivery", admins, keys.Changes, (*Server).retryDelivery, nil},
	{"POST", "/queue/:id/cancel", "cancelDelivery", admins, keys.Changes, (*Server).cancelDelivery, nil},
	{"GET", "/plugins", "listPlugins", readers, keys.Reads, (*Server).listPlugins, nil},
	{"POST", "/plugins", "installPlugin", readers, keys.Uploads, (*Server).installPlugin, nil},
	{"GET", "/plugins/:id", "getPlugin", readers, keys.Reads, (*Server).getPlugin, nil},
	{"PATCH", "/plugins/:id", "updatePlugin", readers, keys.Changes, (*Server).updatePlugin, nil},
	{"PUT", "/plugins/:id/code", "replacePluginCode", readers, keys.Uploads, (*Server).replacePluginCode, nil},
	{"POST", "/plugins/:id/test", "testPlugin", readers, keys.Changes, (*Server).testPlugin, nil},
	{"POST", "/plugins/:id/replay", "replayPlugin", readers, keys.Uploads, (*Server).replayPlugin, nil},
	{"GET", "/plugins/:id/logs", "listPluginLogs", readers, keys.Reads, (*Server).listPluginLogs, nil},
	{"GET", "/plugins/:id/failures", "listPluginFailures", readers, keys.Reads, (*Server).listPluginFailures, nil},
	{"POST", "/plugins/:id/failures/:sequence/retry", "retryPluginFailure", readers, keys.Changes, (*Server).retryPluginFailure, nil},
	{"DELETE", "/plugins/:id/failures/:sequence", "dropPluginFailure", readers, keys.Changes, (*Server).dropPluginFailure, nil},
	{"DELETE", "/plugins/:id", "deletePlugin", readers, keys.Changes, (*Server).deletePlugin, nil},
	{"GET", "/webhooks", "listWebhooks", readers, keys.Reads, (*Server).listWebhooks, nil},
	{"POST", "/webhooks", "createWebhook", readers, keys.Changes, (*Server).addWebhook, nil},
	{"GET", "/webhooks/:id", "getWebhook", readers, keys.Reads, (*Server).getWebhook, nil},
	{"PATCH", "/webhooks/:id", "updateWebhook", readers, keys.Changes, (*Server).updateWebhook, nil},
	{"DELETE", "/webhooks/:id", "deleteWebhook", readers, keys.Changes, (*Server).deleteWebhook, nil},
	{"POST", "/webhooks/:id/signing-secret/rotate", "rotateWebhookSecret", readers, keys.Changes, (*Server).rotateWebhookSecret, nil},
	{"POST", "/webhooks/:id/test", "testWebhook", readers, keys.Changes, (*Server).testWebhook, nil},
	{"GET", "/webhooks/:id/events", "listWebhookEvents", readers, keys.Reads, (*Server).listWebhookEvents, nil},
	{"GET", "/webhooks/:id/events/:event", "getWebhookEvent", readers, keys.Reads, (*Server).getWebhookEvent, nil},
	{"GET", "/webhooks/:id/events/:event/attempts", "listWebhookAttempts", readers, keys.Reads, (*Server).listWebhookAttempts, nil},
	{"POST", "/webhooks/:id/events/:event/replay", "replayWebhookEvent", readers, keys.Changes, (*Server).replayWebhookEvent, nil},
	{"GET", "/logs", "listLogs", readers, keys.Reads, (*Server).listLogs, nil},
	{"GET", "/logs/:id", "getLog", readers, keys.Reads, (*Server).getLog, nil},
	{"PATCH", "/instance", "updateInstance", instance, keys.Changes, (*Server).updateInstance, nil},
	{"GET", "/search", "getSearchIndex", instance, keys.Reads, (*Server).getSearchIndex, nil},
	{"POST", "/search/rebuild", "rebuildSearchIndex", instance, keys.Changes, (*Server).rebuildSearchIndex, nil},
	{"GET", "/backup", "getBackup", instance, keys.Uploads, (*Server).backup, nil},
	{"GET", "/healthz", "health", open, keys.Uncounted, (*Server).health, nil},
	{"GET", "/readyz", "ready", open, keys.Uncounted, (*Server).ready, nil},
	{"GET", "/openapi.json", "openapi", open, keys.Uncounted, (*Server).openapiDocument, nil},
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
