// Package abi is the contract between a gateway and the plugins it runs, version
// postern_v1: the names of hooks and imports, and the documents that cross the
// border. Host and guest import it; it imports the standard library only.
//
// A plugin is a WebAssembly module. It exports its memory and one function for
// each hook, without parameters, that returns 0 when it has decided:
//
//	postern_inbound() -> i32     mail that arrives, before its sender is answered
//	postern_outbound() -> i32    mail that leaves, while its sender waits
//	postern_thread() -> i32      which conversation a message belongs to
//	postern_event() -> i32       something happened: afterwards, at least once, in its own time
//	postern_tick() -> i32        every manifest.tick_seconds, about no message
//
// Any other result is a failure of the plugin, as a trap is: its failure policy
// then decides. Every call sees a fresh instance: what a plugin wants to remember it
// puts into the KV. An instance is as these functions left one, if they are exported:
//
//	_initialize()                run first, as compilers have it
//	postern_init() -> i32        makes ready what every call needs, such as a heap; 0 or 1 if it could
//
// They may use imports, and see a sample: no message, no configuration. A module whose
// postern_init returns 0 is then asked at its hooks about that sample, a few times, so
// that its heap is as large as it will be; after that postern_init is run once more and
// must put back what the hooks changed. With 1 it is ready as it is. Random numbers that are kept there are the same
// in every call; those asked for during a call are new.
//
// The plugin asks for what it needs through imports of module postern_v1; nothing
// is pushed. Text is UTF-8, passed as pointer and length. An import that reads
// copies at most cap bytes to dst and returns the length of the whole; if that is
// more, the plugin may ask again. Errors are negative. A pointer outside of the
// memory traps.
//
//	event(dst, cap) -> len                         the event document, JSON
//	get(path, plen, dst, cap) -> len               one value of it: "subject", "from.addr", "to.0.addr"
//	header(name, nlen, index, dst, cap) -> len     a header field, decoded; the last one at index -1
//	header_count(name, nlen) -> n
//	part(part, offset i64, dst, cap) -> n          decoded bytes of a MIME part, the raw message at -1; 0 at the end
//	verdict(ptr, len) -> 0                         the verdict document, JSON; the last one counts
//	log(level, ptr, len)                           0 debug, 1 info, 2 warning, 3 error
//	config(key, klen, dst, cap) -> len             of the configuration, or a secret
//	now() -> i64                                   Unix milliseconds; the same for a whole call
//	kv_get(key, klen, dst, cap) -> len
//	kv_put(key, klen, val, vlen, ttl_s i64) -> 0   0 seconds: for good; written if the call ends well
//	kv_delete(key, klen) -> 0                      likewise; also of what is not there
//	kv_incr(key, klen, delta i64, ttl_s i64) -> i64   adds to a counter at once, whatever becomes of the call, and answers its value
//	kv_list(prefix, plen, cursor, clen, dst, cap) -> len   a page of keys, JSON: KVPage; no cursor for the first
//	http(req, rlen) -> handle                      an HTTPRequest, JSON; waits for the answer, within the call's time
//	http_read(handle, offset i64, dst, cap) -> n   bytes of the answer's body, 0 at the end; at offset -1 the
//	                                               HTTPResponse, JSON, as an import that reads
//	send(ptr, len) -> 0                            an Outgoing, JSON: sent once, if the call ends well
//	thread(dst, cap) -> len                        the message's Conversation, JSON
//
// http follows no redirect: it is an answer like others, and the next request is held to
// http_hosts as the first. Without an answer it is HostFailure. A mail that a plugin sent,
// or an event about one, leads to no other: send is Denied.
//
// Counters are apart from other values: they have names of their own, which kv_get, kv_list
// and kv_delete don't see. A counter is from 0 to 2^53, and stays there; its time to live
// counts from its first use. To add 0 is to read it, and makes none.
//
// Fields are only ever added within a version; unknown ones are to be ignored.
package abi

// Module is the name under which a gateway's imports are found.
const Module = "postern_v1"

// ManifestSection is the custom section that holds a module's manifest.
const ManifestSection = "postern.manifest"

// SignatureSection is the custom section, the last one, that holds a module's signature:
// {"key", "sig"} in base64, of Ed25519 over the SHA-256 of all that stands before it.
const SignatureSection = "postern.signature"

// The hooks, and the functions that answer them.
const (
	HookInbound  = "inbound"
	HookOutbound = "outbound"
	HookThread   = "thread"
	HookEvent    = "event"
	HookTick     = "tick"
)

// Hooks lists them.
var Hooks = []string{HookInbound, HookOutbound, HookThread, HookEvent, HookTick}

// Init is the function that makes a module ready, if it is exported.
const Init = "postern_init"

// InitOnly is what Init returns if the hooks are not to be asked about the sample.
const InitOnly = 1

// Export is the function that answers a hook.
func Export(hook string) string { return "postern_" + hook }

// Errno is an error as an import returns it.
type Errno int32

// The errors.
const (
	Absent      Errno = -1 // no such thing
	Denied      Errno = -2 // the plugin was not granted this
	BadArgument Errno = -3
	OverQuota   Errno = -4
	HostFailure Errno = -5 // of the gateway, or of a server that it asked
	TooLarge    Errno = -6
)

// Error says what an Errno means.
func (e Errno) Error() string {
	switch e {
	case Absent:
		return "there is no such thing"
	case Denied:
		return "the plugin was not granted this"
	case BadArgument:
		return "bad argument"
	case OverQuota:
		return "over quota"
	case TooLarge:
		return "too large"
	}
	return "the gateway failed"
}

// The permissions a manifest may ask for.
const (
	PermitReply      = "reply"       // answer a message
	PermitSend       = "send"        // send mail
	PermitRedirect   = "redirect"    // send a message on
	PermitDiscard    = "discard"     // drop mail without telling its sender
	PermitHeaders    = "headers"     // add header fields; set and delete them of mail that leaves
	PermitBody       = "body"        // change subject and text of mail that leaves
	PermitRcpt       = "rcpt"        // take recipients away from mail that leaves
	PermitThread     = "thread"      // decide conversations
	PermitThreadRead = "thread:read" // read a message's conversation
	PermitRaw        = "raw"         // read the message's own bytes
	PermitKV         = "kv"          // remember things
	PermitHTTP       = "http"        // ask the hosts that the manifest names; event and tick hooks
)

// Permissions lists them.
var Permissions = []string{
	PermitReply, PermitSend, PermitRedirect, PermitDiscard, PermitHeaders, PermitBody, PermitRcpt, PermitThread, PermitThreadRead, PermitRaw,
	PermitKV, PermitHTTP,
}

// Manifest says what a module is and asks for.
type Manifest struct {
	V           int      `json:"v"` // 1
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Hooks       []string `json:"hooks"`
	Priority    int      `json:"priority,omitempty"` // lower is asked first
	Permissions []string `json:"permissions,omitempty"`
	Events      []string `json:"events,omitempty"`       // types that the event hook is told of; none: email.received
	HTTPHosts   []string `json:"http_hosts,omitempty"`   // for http: host, host:port, or *.domain for all below it
	TickSeconds int      `json:"tick_seconds,omitempty"` // for tick
	// Limits are lower ones than the gateway's: millis, fuel and memory.
	Limits map[string]int64 `json:"limits,omitempty"`
}

// Event is what a hook is about. That of a tick has no message.
type Event struct {
	V             int         `json:"v"` // 1
	Hook          string      `json:"hook"`
	ID            string      `json:"id,omitempty"`      // event and tick hooks: the same each time it is tried
	Attempt       int         `json:"attempt,omitempty"` // event hook: 1 for the first
	Type          string      `json:"type,omitempty"`    // event hook: what happened, such as email.received
	Detail        string      `json:"detail,omitempty"`  // event hook: the recipient that it is about, if one
	MessageID     string      `json:"message_id"`        // of the gateway, a UUID; empty while it has none
	Time          string      `json:"time"`
	Domain        string      `json:"domain"`
	Mailbox       string      `json:"mailbox"` // the account's address; empty for a domain's plugins on inbound mail
	Envelope      Envelope    `json:"envelope"`
	Auth          Auth        `json:"auth"`
	Automated     Automated   `json:"automated"`
	Size          int64       `json:"size"`
	Subject       string      `json:"subject"`
	From          Address     `json:"from"`
	To            []Address   `json:"to"`
	Cc            []Address   `json:"cc"`
	Bcc           []Address   `json:"bcc,omitempty"` // outbound, of mail that says it
	ReplyTo       []Address   `json:"reply_to"`
	RFCMessageID  string      `json:"rfc_message_id"`
	InReplyTo     string      `json:"in_reply_to"`
	References    []string    `json:"references"`
	ThreadID      string      `json:"thread_id"`     // thread hook: where the message goes unless the plugin says otherwise
	NewThreadID   string      `json:"new_thread_id"` // thread hook: the conversation that "new" starts; as ThreadID if there is none to join
	Candidates    []Candidate `json:"candidates,omitempty"`
	Via           string      `json:"via,omitempty"` // outbound: rest, smtp or plugin
	APIKeyID      string      `json:"api_key_id,omitempty"`
	Tags          []Tag       `json:"tags,omitempty"`
	Headers       [][2]string `json:"headers"`
	Text          string      `json:"text"`
	TextTruncated bool        `json:"text_truncated"`
	DryRun        bool        `json:"dry_run"` // nothing is kept of what the plugin does: somebody tries it
	Folder        string      `json:"folder"`  // where it is, or will be as far as decided
	Labels        []string    `json:"labels"`  // likewise what it is marked with
	Flags         []string    `json:"flags"`
	Score         float64     `json:"score"`               // the sum of what plugins asked before gave it
	Scheduled     string      `json:"scheduled,omitempty"` // tick hook: when it was due
	Previous      string      `json:"previous,omitempty"`  // tick hook: when the one before was
	Parts         []Part      `json:"parts"`
}

// Envelope is what SMTP said.
type Envelope struct {
	MailFrom string   `json:"mail_from"`
	RcptTo   []string `json:"rcpt_to"`
	RemoteIP string   `json:"remote_ip"`
	Helo     string   `json:"helo"`
}

// Auth says who really sent a message: results of RFC 8601.
type Auth struct {
	SPF         string `json:"spf"`
	DKIM        string `json:"dkim"`
	DMARC       string `json:"dmarc"`
	FromAligned bool   `json:"from_aligned"` // SPF or DKIM speak for the domain in From
	Disposition string `json:"disposition"`  // what DMARC made of it: none, or quarantine, which is Junk unless a plugin names a folder
}

// Automated says whether a person wrote a message.
type Automated struct {
	Auto    bool `json:"auto"`     // marked as automatic, RFC 3834
	List    bool `json:"list"`     // from a mailing list
	Bulk    bool `json:"bulk"`     // Precedence: bulk, list or junk
	Bounce  bool `json:"bounce"`   // null reverse-path
	ReplyOK bool `json:"reply_ok"` // an automatic reply would do no harm
}

// Address is a mailbox with its display name.
type Address struct {
	Name string `json:"name"`
	Addr string `json:"addr"`
}

// Tag is one that its sender gave a message.
type Tag struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Part is one MIME part.
type Part struct {
	Index int    `json:"i"`
	Type  string `json:"type"`
	Name  string `json:"name,omitempty"`
	Size  int64  `json:"size"`
}

// Candidate is a conversation that a message may belong to.
type Candidate struct {
	ThreadID string `json:"thread_id"`
	Subject  string `json:"subject"`
}

// Conversation is what the import thread answers.
type Conversation struct {
	ThreadID string `json:"thread_id"`
	Subject  string `json:"subject"`
	Count    int    `json:"count"` // of all messages
	Messages []Said `json:"messages"`
}

// Said is a message of a conversation. The newest 20 are listed, oldest first.
type Said struct {
	ID            string    `json:"id"`
	RFCMessageID  string    `json:"rfc_message_id"`
	Sent          bool      `json:"sent"` // by the account, rather than received
	From          Address   `json:"from"`
	To            []Address `json:"to"`
	Time          string    `json:"time"`
	Subject       string    `json:"subject"`
	Text          string    `json:"text"` // at most 4 KiB
	TextTruncated bool      `json:"text_truncated"`
}

// KVPage is what kv_list answers: keys in their order, and where to go on; no next at the end.
type KVPage struct {
	Keys []string `json:"keys"`
	Next string   `json:"next,omitempty"`
}

// HTTPRequest is what http is asked. Body is text, or Base64 what is not.
type HTTPRequest struct {
	Method  string      `json:"method,omitempty"` // GET if absent
	URL     string      `json:"url"`
	Headers [][2]string `json:"headers,omitempty"`
	Body    string      `json:"body,omitempty"`
	Base64  string      `json:"body_base64,omitempty"`
}

// HTTPResponse is its answer, but for the body. A body that is too large is no answer.
type HTTPResponse struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"`
	Size    int64       `json:"size"`
}

// Outgoing is a message to send: what POST /emails takes, without attachments and times.
type Outgoing struct {
	From       string            `json:"from,omitempty"` // the account's own address if absent
	To         []string          `json:"to"`
	Cc         []string          `json:"cc,omitempty"`
	Bcc        []string          `json:"bcc,omitempty"`
	ReplyTo    []string          `json:"reply_to,omitempty"`
	Subject    string            `json:"subject"`
	Text       string            `json:"text,omitempty"`
	HTML       string            `json:"html,omitempty"`
	Headers    map[string]string `json:"headers,omitempty"`
	Tags       []Tag             `json:"tags,omitempty"`
	InReplyTo  string            `json:"in_reply_to,omitempty"` // a Message-ID, or the id of a message
	References []string          `json:"references,omitempty"`
}

// The actions of a verdict. None is to accept, or to allow.
const (
	Accept     = "accept"
	Reject     = "reject"
	Tempfail   = "tempfail"
	Quarantine = "quarantine"
	Discard    = "discard"
	Allow      = "allow"
	Deny       = "deny"
	Hold       = "hold"
)

// Verdict is what a plugin decides.
type Verdict struct {
	Action   string       `json:"action,omitempty"`
	SMTP     *SMTP        `json:"smtp,omitempty"`
	Folder   string       `json:"folder,omitempty"`   // inbound, event
	Labels   []string     `json:"labels,omitempty"`   // inbound, event
	Unlabel  []string     `json:"unlabel,omitempty"`  // inbound: of plugins asked before; event
	Flags    []string     `json:"flags,omitempty"`    // inbound, event
	Redirect []string     `json:"redirect,omitempty"` // inbound, with no other action than accept: sent on to these addresses, instead of kept
	Keep     bool         `json:"keep,omitempty"`     // inbound: what is redirected is kept, too, as what is answered always is
	Headers  []HeaderEdit `json:"headers,omitempty"`  // inbound, outbound
	Subject  *string      `json:"subject,omitempty"`  // outbound, of mail that REST or a plugin composed
	Body     *Body        `json:"body,omitempty"`     // likewise
	Tags     []Tag        `json:"tags,omitempty"`     // outbound: added
	Remove   []string     `json:"remove,omitempty"`   // outbound: recipients that don't get it
	Reply    *Reply       `json:"reply,omitempty"`    // inbound, with no other action than accept; event
	Hold     *HoldUntil   `json:"hold,omitempty"`     // outbound, with the action hold
	Thread   *ThreadMove  `json:"thread,omitempty"`   // thread
	Score    float64      `json:"score,omitempty"`
	Reason   string       `json:"reason,omitempty"` // for the tenant
	Final    bool         `json:"final,omitempty"`  // nobody else is asked
}

// SMTP is what the sender of refused mail is told.
type SMTP struct {
	Code int    `json:"code,omitempty"` // 550 if absent
	Text string `json:"text,omitempty"`
}

// HeaderEdit changes the header. Op is add, and for mail that leaves also set, which
// makes it the only one of its name, and delete, which takes away all of the name. What
// one verdict adds it adds after that.
type HeaderEdit struct {
	Op    string `json:"op"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Body is a new text; what is empty is not there any more. Attachments stay.
type Body struct {
	Text string `json:"text,omitempty"`
	HTML string `json:"html,omitempty"`
}

// Reply answers the message. It goes to its author alone, and not where RFC 3834 has
// programs be silent.
type Reply struct {
	From    string `json:"from,omitempty"`    // the mailbox if absent
	Subject string `json:"subject,omitempty"` // Re: and the message's if absent
	Text    string `json:"text,omitempty"`
	HTML    string `json:"html,omitempty"`
}

// HoldUntil says when mail that is held leaves by itself; without, somebody has to release it.
type HoldUntil struct {
	Until string `json:"until,omitempty"` // RFC 3339
}

// ThreadMove decides a conversation.
type ThreadMove struct {
	// Op is join, to go into ThreadID; new, to start one; merge, to join ThreadID and have
	// the conversations in With go there too; or split, to start one with those messages
	// in With that are in a conversation of the mailbox.
	Op       string   `json:"op"`
	ThreadID string   `json:"thread_id,omitempty"` // merge: where the message goes anyway if absent
	With     []string `json:"with,omitempty"`
}
