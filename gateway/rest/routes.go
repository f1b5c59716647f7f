package rest

import (
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/centerleap/postern/gateway"
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
	Handle       func(*Server, *call) error
}

// routes is every route. Words come before ids: no id is one of them. Sources:
// the API guide for those it names.
var routes = []route{
	{"POST", "/emails", "sendEmail", senders, (*Server).sendEmail},
	{"POST", "/emails/batch", "sendBatch", senders, (*Server).sendBatch},
	{"GET", "/emails", "listEmails", readers, (*Server).listEmails},
	{"GET", "/emails/stream", "streamEmails", readers, (*Server).streamEmails},
	{"GET", "/emails/threads", "listThreads", readers, (*Server).listThreads},
	{"GET", "/emails/threads/:threadId", "getThread", readers, (*Server).getThread},
	{"GET", "/emails/:id", "getEmail", readers, (*Server).getEmail},
	{"PATCH", "/emails/:id", "updateEmail", senders, (*Server).updateEmail},
	{"DELETE", "/emails/:id", "deleteEmail", readers, (*Server).deleteEmail},
	{"POST", "/emails/:id/cancel", "cancelEmail", senders, (*Server).cancelEmail},
	{"POST", "/emails/:id/send", "sendStoredEmail", readers, (*Server).sendStored},
	{"GET", "/emails/:id/raw", "getRawEmail", readers, (*Server).getRawEmail},
	{"GET", "/emails/:id/attachments", "listAttachments", readers, (*Server).listAttachments},
	{"GET", "/emails/:id/attachments/:attachmentId", "getAttachment", readers, (*Server).getAttachment},
	{"GET", "/files/:token", "getFile", open, (*Server).getFile},
	{"GET", "/folders", "listFolders", readers, (*Server).listFolders},
	{"POST", "/folders", "createFolder", readers, (*Server).createFolder},
	{"DELETE", "/folders/:name", "deleteFolder", readers, (*Server).deleteFolder},
	{"GET", "/domains", "listDomains", readers, (*Server).listDomains},
	{"POST", "/domains", "createDomain", instance, (*Server).createDomain},
	{"GET", "/domains/:id", "getDomain", admins, (*Server).getDomain},
	{"PATCH", "/domains/:id", "updateDomain", admins, (*Server).updateDomain},
	{"DELETE", "/domains/:id", "deleteDomain", instance, (*Server).deleteDomain},
	{"POST", "/domains/:id/verify", "verifyDomain", admins, (*Server).verifyDomain},
	{"GET", "/accounts", "listAccounts", readers, (*Server).listAccounts},
	{"POST", "/accounts", "createAccount", admins, (*Server).createAccount},
	{"GET", "/accounts/:email", "getAccount", readers, (*Server).getAccount},
	{"PATCH", "/accounts/:email", "updateAccount", admins, (*Server).updateAccount},
	{"DELETE", "/accounts/:email", "deleteAccount", admins, (*Server).deleteAccount},
	{"GET", "/api-keys", "listKeys", readers, (*Server).listKeys},
	{"POST", "/api-keys", "createKey", readers, (*Server).createKey},
	{"PATCH", "/api-keys/:id", "updateKey", readers, (*Server).updateKey},
	{"DELETE", "/api-keys/:id", "revokeKey", readers, (*Server).revokeKey},
	{"GET", "/suppressions", "listSuppressions", admins, (*Server).listSuppressions},
	{"POST", "/suppressions", "addSuppression", admins, (*Server).addSuppression},
	{"GET", "/suppressions/:idOrEmail", "getSuppression", admins, (*Server).getSuppression},
	{"DELETE", "/suppressions/:idOrEmail", "removeSuppression", admins, (*Server).removeSuppression},
	{"GET", "/plugins", "listPlugins", readers, (*Server).listPlugins},
	{"POST", "/plugins", "installPlugin", readers, (*Server).installPlugin},
	{"GET", "/plugins/:id", "getPlugin", readers, (*Server).getPlugin},
	{"PATCH", "/plugins/:id", "updatePlugin", readers, (*Server).updatePlugin},
	{"DELETE", "/plugins/:id", "deletePlugin", readers, (*Server).deletePlugin},
	{"GET", "/logs", "listLogs", readers, (*Server).listLogs},
	{"GET", "/logs/:id", "getLog", readers, (*Server).getLog},
	{"PATCH", "/instance", "updateInstance", instance, (*Server).updateInstance},
	{"GET", "/backup", "getBackup", instance, (*Server).backup},
	{"GET", "/healthz", "health", open, (*Server).health},
	{"GET", "/readyz", "ready", open, (*Server).ready},
	{"GET", "/openapi.json", "openapi", open, (*Server).openapiDocument},
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
