package gateway

import "time"

// Limits are all numbers that bound what a client can make Postern do. Each is
// named in LimitTable with its unit, the Kind it answers with, and its source;
// `[limits]` in the configuration sets any of them by that name.
type Limits struct {
	HeaderBytes, HeaderFields, FoldedLines int64
	MIMEDepth, MIMEParts                   int64
	MessageBytes                           int64
	JSONBytes, SendBytes                   int64
	BodyBytes, RequestTextBytes            int64
	Attachments, AttachmentBytes           int64
	Recipients                             int64
	CustomHeaders, CustomHeaderBytes       int64
	Tags                                   int64
	Batch                                  int64
	PageSize, PageReach                    int64
	FilterReach                            int64
	FilterBytes, FilterWords               int64
	IndexBatch, IndexMemory, IndexText     int64
	IndexSegment, IndexCache               int64
	SearchSeconds                          int64
	SortsAtOnce, SortBytes                 int64
	Participants                           int64
	LogExport, OverviewDomains             int64
	InlineImage, InlineImages              int64
	HTMLBytes, HTMLLinks                   int64
	RemoteImages, RemoteImage              int64
	RemoteImagesAtOnce                     int64
	KeyMessages, KeyRecipients             int64
	RequestsRead, RequestsSend             int64
	RequestsChange, RequestsUpload         int64
	RequestsStream                         int64
	KeysPerDomain, AccountsPerDomain       int64
	ImplicitAccounts                       int64
	AliasesPerAccount                      int64
	Suppressions                           int64
	ReportBytes, ReportHeaderBytes         int64
	ReturnPathDays, DelayReportMinutes     int64
	ThreadMessages                         int64
	Labels, Keywords                       int64
	FailedLoginsMinute, FailedLoginsDay    int64
	SendsAtOnce                            int64
	Connections                            int64
	NetworkConnections, NetworkConnects    int64
	NetworkRefusals                        int64
	RecipientsMX, RecipientsSubmission     int64
	SessionErrors, SessionLogins           int64
	StreamsPerKey, HeartbeatSeconds        int64
	MailboxesPerAccount, MailboxName       int64
	MailboxLevels                          int64
	SelectedMessages, SelectedKept         int64
	VanishedRuns                           int64
	Plugins, PluginModule                  int64
	PluginFunctions, PluginLocals          int64
	PluginFunctionBytes, PluginBlocks      int64
	PluginCompileSeconds, PluginKey        int64
	PluginMemory, PluginIdle, PluginCache  int64
	PluginModules                          int64
	PluginMillis, PluginPauseSeconds       int64
	PluginEventMillis, PluginEventMemory   int64
	PluginEventCalls                       int64
	PluginFailuresRow, PluginFailuresFifty int64
	PluginFuel                             int64
	PluginStack, PluginFrames              int64
	PluginMessageMillis, PluginHostCalls   int64
	PluginVerdict, PluginBody              int64
	PluginRedirects, PluginThreadIDs       int64
	RedirectHops                           int64
	PluginConfig, PluginConfigValues       int64
	PluginLogLines, PluginLogLine          int64
	PluginValue, PluginStore               int64
	TraceSteps, TraceBytes, TraceLines     int64
	DeliveryTurns                          int64
	ReplayMessages, ReplayDifferences      int64
	ReplaySeconds, ReplaysAtOnce           int64
	PluginWrites, PluginWriteBytes         int64
	PluginCounters, PluginCounterChanges   int64
	PluginHosts, PluginTickSeconds         int64
	PluginHTTPCalls, PluginHTTPBytes       int64
	PluginHTTPRequest, PluginHTTPHeaders   int64
	PluginSends, PluginSendBytes           int64
	PluginHeaderBytes                      int64
	PluginThreadMessages, PluginThreadText int64
	PluginUploads, PluginVersions          int64
	EventWindow, EventWaiting              int64
	EventAttempts, EventFailures           int64
	EventError                             int64
	Webhooks, WebhookAttempts              int64
	WebhookCalls, WebhookAnswer            int64
	WebhookBody                            int64
	PluginLines, PluginHoldDays            int64
	PluginIntents, PluginIntentBytes       int64
	PluginIntentHours, PluginSendsHour     int64
	ReplyHours, RepliesThreadDay           int64
	DNSQuestions, DNSAtOnce                int64
	DNSAnswer, DNSRecords, DNSAliases      int64
	DNSCache                               int64
	AuthSeconds, AuthAuthors               int64
	DKIMSignatures, DKIMNames              int64
	SPFLookups, SPFVoids                   int64
	QueueAttempts, QueueDomain, QueueSite  int64
	QueueBatch, QueueHours                 int64
	QueueDeliveries, QueueBytes            int64
	QueueSites                             int64
	CourierRecipients, CourierHosts        int64
	CourierTries, CourierMessages          int64
	CourierHost, CourierIdle               int64
	CourierReply, CourierReplies           int64
	STSPolicy, STSPolicies                 int64
}

// Limit is one row of the table.
type Limit struct {
	Name    string
	Default int64
	Unit    string
	Kind    Kind   // what a client gets past it
	Source  string // who says so
	Field   func(*Limits) *int64
}

const (
	kiB = 1 << 10
	miB = 1 << 20
)

// LimitTable is every limit there is. MiB are meant wherever a source says MB.
var LimitTable = []Limit{
	{"header_bytes", 256 * kiB, "bytes of a header section", TooLarge, "ours; a 468 KiB header costs DKIM checkers seconds", func(l *Limits) *int64 { return &l.HeaderBytes }},
	{"header_fields", 2000, "fields of a header section", TooLarge, "ours; each costs about 0.5 KiB when parsed", func(l *Limits) *int64 { return &l.HeaderFields }},
	{"folded_lines", 1000, "lines of one header field", TooLarge, "ours; RFC 5322 section 2.2.3 sets none", func(l *Limits) *int64 { return &l.FoldedLines }},
	{"mime_depth", 100, "levels of nesting", TooLarge, "ours; deeper parts are kept unread", func(l *Limits) *int64 { return &l.MIMEDepth }},
	{"mime_parts", 10000, "parts of a message", TooLarge, "ours; more are kept unread", func(l *Limits) *int64 { return &l.MIMEParts }},
	{"message_bytes", 50 * miB, "bytes of a message over SMTP and IMAP", TooLarge, "RFC 1870; what large providers take", func(l *Limits) *int64 { return &l.MessageBytes }},
	{"json_bytes", 1 * miB, "bytes of a JSON body", TooLarge, "ours", func(l *Limits) *int64 { return &l.JSONBytes }},
	{"send_bytes", 360 * miB, "bytes of a send request", TooLarge, "API guide, \"Attachments\": 10 of 25 MB, in base64", func(l *Limits) *int64 { return &l.SendBytes }},
	{"body_bytes", 10 * miB, "bytes of html or text of a send", TooLarge, "ours", func(l *Limits) *int64 { return &l.BodyBytes }},
	{"request_text_bytes", 20 * miB, "bytes of all html and text of one request, a batch included", TooLarge, "ours; they stand in memory while it is read", func(l *Limits) *int64 { return &l.RequestTextBytes }},
	{"attachments", 10, "attachments of a message", InvalidAttachment, "API guide, \"Attachments\"", func(l *Limits) *int64 { return &l.Attachments }},
	{"attachment_bytes", 25 * miB, "bytes of one attachment, decoded", TooLarge, "API guide, \"Attachments\"", func(l *Limits) *int64 { return &l.AttachmentBytes }},
	{"recipients", 50, "addresses in each of to, cc, bcc", InvalidParameter, "API guide, \"Request Body\"", func(l *Limits) *int64 { return &l.Recipients }},
	{"custom_headers", 50, "custom header fields of a message", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.CustomHeaders }},
	{"custom_header_bytes", 32 * kiB, "bytes of them together", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.CustomHeaderBytes }},
	{"tags", 20, "tags of a message", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.Tags }},
	{"batch", 100, "emails of a batch", InvalidParameter, "API guide, \"Other Endpoints\"", func(l *Limits) *int64 { return &l.Batch }},
	{"page_size", 100, "items of a page; more is clamped", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.PageSize }},
	{"page_reach", 10000, "items that pages reach", InvalidParameter, "ours; cursors go further", func(l *Limits) *int64 { return &l.PageReach }},
	{"filter_reach", 50000, "entries that a filtered list looks at", InvalidParameter, "ours; the total is then marked as capped", func(l *Limits) *int64 { return &l.FilterReach }},
	{"filter_bytes", 1 * kiB, "bytes of one filter of a list", InvalidParameter, "ours; each entry is compared with it", func(l *Limits) *int64 { return &l.FilterBytes }},
	{"filter_words", 20, "words that a list is searched for", InvalidParameter, "ours; each entry is compared with all", func(l *Limits) *int64 { return &l.FilterWords }},
	{"search_seconds", 30, "seconds that a search may look at messages; past them it fails, and is never short", Unavailable, "ours; half of what a request may take", func(l *Limits) *int64 { return &l.SearchSeconds }},
	{"sorts_at_once", 8, "SORT and THREAD of IMAP at once; a quarter of one domain's, others wait", Unavailable, "ours; each has what its messages are compared by in memory", func(l *Limits) *int64 { return &l.SortsAtOnce }},
	{"sort_bytes", 64 * miB, "bytes of what the messages of a SORT are compared by", TooLarge, "ours; 100,000 messages by subject and sender take 15 MiB", func(l *Limits) *int64 { return &l.SortBytes }},
	{"index_batch", 1000, "messages that the search index takes in at once", TooLarge, "ours; a fifth of a second's work", func(l *Limits) *int64 { return &l.IndexBatch }},
	{"index_memory", 32 * miB, "bytes of memory that they may take meanwhile; the rest comes with the next", TooLarge, "ours; 1,000 mails of 4 KiB take 10 MiB", func(l *Limits) *int64 { return &l.IndexMemory }},
	{"index_text", 2 * miB, "bytes of a message's texts that are indexed; with more, searches look at the message itself", TooLarge, "ours; mail that people write has some KiB", func(l *Limits) *int64 { return &l.IndexText }},
	{"index_segment", 16 * miB, "bytes of a piece of the search index into which smaller ones are merged", TooLarge, "ours; twice that is in memory while it is", func(l *Limits) *int64 { return &l.IndexSegment }},
	{"index_cache", 32 * miB, "bytes of search indexes that are kept in memory", Unavailable, "ours; the words of 100,000 mails", func(l *Limits) *int64 { return &l.IndexCache }},
	{"participants", 50, "addresses shown of a conversation; more are left out", InvalidParameter, "ours; a message may have 150", func(l *Limits) *int64 { return &l.Participants }},
	{"log_export", 10000, "rows of the log in one CSV; a cursor goes on", InvalidParameter, "ours; they stand in memory, about 1 KiB each", func(l *Limits) *int64 { return &l.LogExport }},
	{"overview_domains", 1000, "domains that the overview of the instance adds up", InvalidParameter, "ours; 10 ms", func(l *Limits) *int64 { return &l.OverviewDomains }},
	{"inline_image", 1 * miB, "bytes of an image that is put into the HTML; a larger one stays beside it", TooLarge, "ours; a data URI is a third longer", func(l *Limits) *int64 { return &l.InlineImage }},
	{"inline_images", 5 * miB, "bytes of them together, each time one is shown", TooLarge, "ours; they stand in memory", func(l *Limits) *int64 { return &l.InlineImages }},
	{"html_bytes", 2 * miB, "bytes of an HTML text that people are shown; the rest is left out", TooLarge, "ours; mail readers cut at a tenth of it", func(l *Limits) *int64 { return &l.HTMLBytes }},
	{"html_links", 200, "links of an HTML text whose targets are listed; more are left out", TooLarge, "ours; a page of them", func(l *Limits) *int64 { return &l.HTMLLinks }},
	{"remote_images", 100, "images of an HTML text that are loaded from elsewhere when somebody asks; more stay empty", TooLarge, "ours; each is a request", func(l *Limits) *int64 { return &l.RemoteImages }},
	{"remote_image", 5 * miB, "bytes of one of them", TooLarge, "ours; it stands in memory", func(l *Limits) *int64 { return &l.RemoteImage }},
	{"remote_images_at_once", 16, "of them that are loaded at the same time, for all browsers; more wait", RateLimited, "ours; times remote_image", func(l *Limits) *int64 { return &l.RemoteImagesAtOnce }},
	{"key_messages", 1000, "messages of a key per hour", RateLimited, "API guide, \"Rate Limits\"", func(l *Limits) *int64 { return &l.KeyMessages }},
	{"key_recipients", 10000, "recipients of a key per hour", RateLimited, "ours; 50 a message must not multiply the guide's limit", func(l *Limits) *int64 { return &l.KeyRecipients }},
	{"requests_read", 1200, "requests that read, of a key per minute", RateLimited, "ours; a mailbox polled ten times a second, twice", func(l *Limits) *int64 { return &l.RequestsRead }},
	{"requests_send", 600, "requests that send, of a key per minute", RateLimited, "ours; the guide's hour in two minutes", func(l *Limits) *int64 { return &l.RequestsSend }},
	{"requests_change", 600, "requests that change something, of a key per minute", RateLimited, "ours; each is a commit", func(l *Limits) *int64 { return &l.RequestsChange }},
	{"requests_upload", 60, "uploads and backups of a key per minute", RateLimited, "ours; each is compiled, or reads all there is", func(l *Limits) *int64 { return &l.RequestsUpload }},
	{"requests_stream", 120, "openings of event streams of a key per minute", RateLimited, "ours; all streams_per_key lost and opened again, six times", func(l *Limits) *int64 { return &l.RequestsStream }},
	{"keys_per_domain", 100, "live keys of a domain; account keys make no more once there are half as many", InvalidState, "ours", func(l *Limits) *int64 { return &l.KeysPerDomain }},
	{"accounts_per_domain", 100000, "accounts of a domain", InvalidState, "ours", func(l *Limits) *int64 { return &l.AccountsPerDomain }},
	{"implicit_accounts", 10000, "accounts of a domain made by use", InvalidState, "ours", func(l *Limits) *int64 { return &l.ImplicitAccounts }},
	{"aliases_per_account", 100, "aliases of an account", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.AliasesPerAccount }},
	{"suppressions", 100000, "suppressed addresses of a domain", InvalidState, "ours; far over what a sender with a good list collects", func(l *Limits) *int64 { return &l.Suppressions }},
	{"report_bytes", 128 * kiB, "bytes of a mail to a return path that are read; the rest is passed over", TooLarge, "ours; what a report says stands before the message that it returns", func(l *Limits) *int64 { return &l.ReportBytes }},
	{"report_header_bytes", 32 * kiB, "bytes of a message's header that a report to its sender shows; the rest is left out", TooLarge, "ours; a sender knows its message by less", func(l *Limits) *int64 { return &l.ReportHeaderBytes }},
	{"return_path_days", 30, "days that a return path takes reports; after them it is unknown", NotFound, "ours; hosts give up after 5 days by RFC 5321 section 4.5.4.1, people complain later", func(l *Limits) *int64 { return &l.ReturnPathDays }},
	{"delay_report_minutes", 240, "minutes until a sender is told that a delivery takes long; more than queue_hours is never", InvalidParameter, "RFC 5321 section 4.5.4.1 has no time; 4 hours is what Sendmail and Postfix were known for", func(l *Limits) *int64 { return &l.DelayReportMinutes }},
	{"thread_messages", 2000, "messages of a thread; the next starts a new one", InvalidState, "ours; renumbering stays within one commit", func(l *Limits) *int64 { return &l.ThreadMessages }},
	{"labels", 64, "labels of a message; more are dropped", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.Labels }},
	{"keywords", 128, "keywords of a mailbox, which are the labels of what is in it; who brings more into it is refused, and of what plugins bring they are dropped", InvalidParameter, "ours; what clients show", func(l *Limits) *int64 { return &l.Keywords }},
	{"failed_logins_minute", 10, "failed logins of a network per minute", RateLimited, "ours", func(l *Limits) *int64 { return &l.FailedLoginsMinute }},
	{"failed_logins_day", 50, "failed logins of a network per day", RateLimited, "ours", func(l *Limits) *int64 { return &l.FailedLoginsDay }},
	{"sends_at_once", 16, "send requests over 1 MiB read at once, all keys together; a quarter for one domain", Unavailable, "ours; bounds spool files and memory", func(l *Limits) *int64 { return &l.SendsAtOnce }},
	{"connections", 5000, "open connections of all mail doors together", Unavailable, "ours; each may hold two file descriptors", func(l *Limits) *int64 { return &l.Connections }},
	{"network_connections", 20, "open connections of one network", RateLimited, "ours; what large providers allow", func(l *Limits) *int64 { return &l.NetworkConnections }},
	{"network_connects", 60, "new connections of one network per minute", RateLimited, "ours", func(l *Limits) *int64 { return &l.NetworkConnects }},
	{"network_refusals", 100, "recipients that one network is refused per minute, with its clients that spoke before the greeting", RateLimited, "ours; five sessions of session_errors", func(l *Limits) *int64 { return &l.NetworkRefusals }},
	{"recipients_mx", 100, "recipients of an arriving message", InvalidParameter, "RFC 5321 section 4.5.3.1.8: at least 100", func(l *Limits) *int64 { return &l.RecipientsMX }},
	{"recipients_submission", 1000, "recipients of a submitted message", InvalidParameter, "ours; a mailing by hand", func(l *Limits) *int64 { return &l.RecipientsSubmission }},
	{"session_errors", 20, "refused commands of an SMTP session", RateLimited, "ours; list mail to a domain with dead addresses must still arrive", func(l *Limits) *int64 { return &l.SessionErrors }},
	{"streams_per_key", 20, "open event streams of a key", RateLimited, "ours; an agent needs one per mailbox", func(l *Limits) *int64 { return &l.StreamsPerKey }},
	{"heartbeat_seconds", 30, "seconds between the heartbeats of a stream", InvalidParameter, "API guide, \"Event Format\"; proxies often cut at 60", func(l *Limits) *int64 { return &l.HeartbeatSeconds }},
	{"mailboxes_per_account", 1000, "mailboxes of an account", InvalidState, "ours", func(l *Limits) *int64 { return &l.MailboxesPerAccount }},
	{"mailbox_name", 1024, "bytes of a mailbox's name", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.MailboxName }},
	{"mailbox_levels", 32, "levels of a mailbox's name", InvalidParameter, "ours; LIST shows each level of each name", func(l *Limits) *int64 { return &l.MailboxLevels }},
	{"selected_messages", 4_000_000, "messages of mailboxes that IMAP clients have selected; beyond, no other mailbox can be", Unavailable, "ours; 56 bytes each, however many select it", func(l *Limits) *int64 { return &l.SelectedMessages }},
	{"selected_kept", 200_000, "messages of mailboxes selected last that stay in memory for who comes back", Unavailable, "ours; 56 bytes each", func(l *Limits) *int64 { return &l.SelectedKept }},
	{"vanished_runs", 50000, "runs of UIDs that left a mailbox and are told one by one to a client that was away; past it, all that is not there is told", InvalidParameter, "ours; 8 bytes each", func(l *Limits) *int64 { return &l.VanishedRuns }},
	{"plugins", 50, "plugins of a domain, its accounts' included; account keys install none once there are half as many", InvalidState, "ours; each is asked in turn", func(l *Limits) *int64 { return &l.Plugins }},
	{"plugin_module", 16 * miB, "bytes of a module", TooLarge, "ours; standard Go with JSON is 3.3 MiB", func(l *Limits) *int64 { return &l.PluginModule }},
	{"plugin_functions", 50000, "functions of a module", InvalidParameter, "ours; bounds the time to compile", func(l *Limits) *int64 { return &l.PluginFunctions }},
	{"plugin_locals", 10000, "locals of one function", InvalidParameter, "ours; bounds the time to compile", func(l *Limits) *int64 { return &l.PluginLocals }},
	{"plugin_function_bytes", 128 * kiB, "bytes of one function", InvalidParameter, "ours; the largest of the go command compiled for WASI has 61 KiB", func(l *Limits) *int64 { return &l.PluginFunctionBytes }},
	{"plugin_blocks", 20000, "blocks that a compiler makes of one function: of what jumps on a condition, of tables, and of checks, too", InvalidParameter, "ours; the time to compile grows with their square, and is some seconds; the go command has at most 6,699", func(l *Limits) *int64 { return &l.PluginBlocks }},
	{"plugin_compile_seconds", 5, "seconds that compiling a module may take, for each 2 MiB of it begun", InvalidParameter, "ours; standard Go of 3.3 MiB takes one, plain code of 15 MiB four, in less than 150 MiB of memory; what takes longer was made to", func(l *Limits) *int64 { return &l.PluginCompileSeconds }},
	{"plugin_memory", 32 * miB, "bytes of memory of one call", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.PluginMemory }},
	{"plugin_modules", 8, "compiled modules of plugins that stay in memory, beside those that run; others are loaded again", Unavailable, "ours; one of standard Go takes 22 MB, and is loaded again in 50 ms", func(l *Limits) *int64 { return &l.PluginModules }},
	{"plugin_idle", 64 * miB, "bytes of instances of plugins that wait for their next call, without what they share; beyond that some are made anew", Unavailable, "ours; one of standard Go has about 1 MiB of its own", func(l *Limits) *int64 { return &l.PluginIdle }},
	{"plugin_cache", 1 << 30, "bytes of compiled plugins that are kept on disk; the oldest go, and are compiled again when they are needed", Unavailable, "ours; one of standard Go takes 13 MB", func(l *Limits) *int64 { return &l.PluginCache }},
	{"plugin_millis", 250, "milliseconds of one call", Unavailable, "ours; its failure policy decides", func(l *Limits) *int64 { return &l.PluginMillis }},
	{"plugin_event_millis", 30_000, "milliseconds of one call that nobody waits for: of the hooks event and tick", Unavailable, "ours; they may ask servers elsewhere", func(l *Limits) *int64 { return &l.PluginEventMillis }},
	{"plugin_event_memory", 64 * miB, "bytes of memory of such a call", InvalidParameter, "ours; an answer from elsewhere has room", func(l *Limits) *int64 { return &l.PluginEventMemory }},
	{"plugin_event_calls", 8, "such calls under way at once, of a domain half as many; more wait", Unavailable, "ours; while they wait for servers they take memory alone", func(l *Limits) *int64 { return &l.PluginEventCalls }},
	{"plugin_fuel", 200_000_000, "weighted instructions of one call", Unavailable, "ours; 60 to 200 ms of work, but the same on every machine; its failure policy decides", func(l *Limits) *int64 { return &l.PluginFuel }},
	{"plugin_stack", 1 * miB, "bytes of the frames of one call, guessed by their locals and operands", Unavailable, "ours; the engine alone would take 400 MB; its failure policy decides", func(l *Limits) *int64 { return &l.PluginStack }},
	{"plugin_frames", 10000, "functions of one call that wait for each other", Unavailable, "ours; its failure policy decides", func(l *Limits) *int64 { return &l.PluginFrames }},
	{"plugin_failures_row", 5, "failures of a plugin in a row, until it is not asked for a while", Unavailable, "ours; its failure policy answers", func(l *Limits) *int64 { return &l.PluginFailuresRow }},
	{"plugin_failures_fifty", 10, "failures of a plugin in 50 calls, until it is not asked for a while", Unavailable, "ours; its failure policy answers", func(l *Limits) *int64 { return &l.PluginFailuresFifty }},
	{"plugin_pause_seconds", 30, "seconds until a plugin that failed too often is tried again", Unavailable, "ours; its failure policy answers", func(l *Limits) *int64 { return &l.PluginPauseSeconds }},
	{"plugin_message_millis", 2000, "milliseconds of all calls for one message", Unavailable, "ours; failure policies decide", func(l *Limits) *int64 { return &l.PluginMessageMillis }},
	{"plugin_host_calls", 10000, "imports used in one call", Unavailable, "ours; its failure policy decides", func(l *Limits) *int64 { return &l.PluginHostCalls }},
	{"plugin_verdict", 256 * kiB, "bytes of a verdict", TooLarge, "ours", func(l *Limits) *int64 { return &l.PluginVerdict }},
	{"plugin_body", 1 * miB, "bytes of the text and HTML of a verdict, which come on top of it", TooLarge, "ours; what a person writes has a hundredth", func(l *Limits) *int64 { return &l.PluginBody }},
	{"plugin_redirects", 10, "addresses that plugins send one mail on to, for each recipient; with more it stays here", InvalidParameter, "ours; Pigeonhole lets Sieve scripts have 4", func(l *Limits) *int64 { return &l.PluginRedirects }},
	{"plugin_thread_ids", 20, "conversations or emails that one verdict moves", InvalidParameter, "ours; each is renumbered in the message's commit", func(l *Limits) *int64 { return &l.PluginThreadIDs }},
	{"redirect_hops", 5, "times that plugins of this gateway send one mail on; then it stays where it is", InvalidState, "ours; more is a circle, or looks like one to the hosts behind", func(l *Limits) *int64 { return &l.RedirectHops }},
	{"plugin_config", 64 * kiB, "bytes of a plugin's configuration", TooLarge, "ours", func(l *Limits) *int64 { return &l.PluginConfig }},
	{"plugin_config_values", 100, "values of a plugin's configuration and secrets", InvalidParameter, "ours; each message that the plugin sees decodes them", func(l *Limits) *int64 { return &l.PluginConfigValues }},
	{"plugin_log_lines", 64, "log lines of one call; more are dropped", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.PluginLogLines }},
	{"plugin_log_line", 1 * kiB, "bytes of a log line; more are cut", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.PluginLogLine }},
	{"plugin_key", 512, "bytes of the name of a value in the KV", InvalidParameter, "ours; it stands in the store's keys", func(l *Limits) *int64 { return &l.PluginKey }},
	{"plugin_value", 64 * kiB, "bytes of one value in the KV", TooLarge, "ours", func(l *Limits) *int64 { return &l.PluginValue }},
	{"plugin_store", 10 * miB, "bytes of a plugin's KV", InvalidState, "ours; keys count too", func(l *Limits) *int64 { return &l.PluginStore }},
	{"plugin_writes", 100, "values that plugins remember because of one message", InvalidState, "ours; they are in its commit", func(l *Limits) *int64 { return &l.PluginWrites }},
	{"plugin_write_bytes", 256 * kiB, "bytes of them together", InvalidState, "ours; they are in its commit", func(l *Limits) *int64 { return &l.PluginWriteBytes }},
	{"plugin_counters", 10_000, "counters of a plugin", InvalidState, "ours; each has a name of at most plugin_key bytes", func(l *Limits) *int64 { return &l.PluginCounters }},
	{"plugin_counter_changes", 5000, "counters of a domain's plugins that change in a second; they are in memory until they are durable", InvalidState, "ours; each takes at most 1 KiB", func(l *Limits) *int64 { return &l.PluginCounterChanges }},
	{"plugin_hosts", 50, "entries of a manifest's http_hosts", InvalidParameter, "ours; each message that the plugin sees decodes them", func(l *Limits) *int64 { return &l.PluginHosts }},
	{"plugin_http_calls", 10, "requests that a plugin makes in one call, of the hooks event and tick", InvalidState, "ours", func(l *Limits) *int64 { return &l.PluginHTTPCalls }},
	{"plugin_http_bytes", 1 * miB, "bytes of the body of an answer; a longer one is none", TooLarge, "ours; a call may have plugin_http_calls of them in memory", func(l *Limits) *int64 { return &l.PluginHTTPBytes }},
	{"plugin_http_request", 1 * miB, "bytes of a request, as the plugin writes it", TooLarge, "ours", func(l *Limits) *int64 { return &l.PluginHTTPRequest }},
	{"plugin_http_headers", 50, "header fields of a request", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.PluginHTTPHeaders }},
	{"plugin_sends", 10, "mails that a plugin sends in one call", InvalidState, "ours; they are in the message's commit", func(l *Limits) *int64 { return &l.PluginSends }},
	{"plugin_header_bytes", 256 * kiB, "bytes of the header fields that plugins add to a mail that arrives, in all its copies", InvalidParameter, "ours; they are in its commit; its failure policy decides about the plugin that adds more", func(l *Limits) *int64 { return &l.PluginHeaderBytes }},
	{"plugin_send_bytes", 512 * kiB, "bytes of all mails that plugins send and answer because of one message, or of one batch; those that find no room are dropped, and the plugin's log says so", InvalidState, "ours; they are in the message's commit, which on a small disk takes 1.1 MiB", func(l *Limits) *int64 { return &l.PluginSendBytes }},
	{"plugin_thread_messages", 20, "messages of a conversation that a plugin reads, the newest", InvalidParameter, "ours; package abi says so", func(l *Limits) *int64 { return &l.PluginThreadMessages }},
	{"plugin_thread_text", 4 * kiB, "bytes of the text of each", InvalidParameter, "ours; package abi says so", func(l *Limits) *int64 { return &l.PluginThreadText }},
	{"plugin_tick_seconds", 60, "seconds from one tick of a plugin to the next, at least", InvalidParameter, "ours", func(l *Limits) *int64 { return &l.PluginTickSeconds }},
	{"plugin_uploads", 4, "modules read or compiled at once, of a domain a quarter", Unavailable, "ours; each stands in memory", func(l *Limits) *int64 { return &l.PluginUploads }},
	{"plugin_versions", 4, "versions kept of a plugin, the one that is asked included", InvalidState, "ours; three to go back to", func(l *Limits) *int64 { return &l.PluginVersions }},
	{"plugin_lines", 1000, "lines kept of a plugin's log; older ones go", InvalidParameter, "ours; and no longer than the log of requests", func(l *Limits) *int64 { return &l.PluginLines }},
	{"event_window", 100, "events of a subscription that are read ahead, or told before an older one is", Unavailable, "ours; they stand in memory", func(l *Limits) *int64 { return &l.EventWindow }},
	{"event_waiting", 1000, "events that a subscription is told again; with more, the new ones wait in the feed", InvalidState, "ours; about 0.3 KiB of disk each", func(l *Limits) *int64 { return &l.EventWaiting }},
	{"event_attempts", 5, "times that a subscription is told of an event before that is given up", Unavailable, "ours; over about an hour", func(l *Limits) *int64 { return &l.EventAttempts }},
	{"event_failures", 1000, "events kept that a subscription could not be told of; older ones go", Unavailable, "ours; and no longer than the log of requests", func(l *Limits) *int64 { return &l.EventFailures }},
	{"event_error", 1 * kiB, "bytes kept of why it could not; more are cut", InvalidParameter, "ours; as a line of a plugin's log", func(l *Limits) *int64 { return &l.EventError }},
	{"webhooks", 50, "webhooks of a domain, its accounts' included; account keys add none once there are half as many", InvalidState, "ours; as plugins", func(l *Limits) *int64 { return &l.Webhooks }},
	{"webhook_attempts", 8, "times that a webhook is told of an event before that is given up", Unavailable, "design: over about 27 hours", func(l *Limits) *int64 { return &l.WebhookAttempts }},
	{"webhook_calls", 64, "calls of webhooks under way at once, of a domain half as many; more wait", Unavailable, "ours; they wait for servers and take memory alone", func(l *Limits) *int64 { return &l.WebhookCalls }},
	{"webhook_answer", 1 * kiB, "bytes kept of a webhook's answer; more are cut", InvalidParameter, "ours; enough for a line that says what is wrong", func(l *Limits) *int64 { return &l.WebhookAnswer }},
	{"webhook_body", 64 * kiB, "bytes of a text in an event; a longer one is left out, and the event says so", TooLarge, "design, \"Webhooks and events\"", func(l *Limits) *int64 { return &l.WebhookBody }},
	{"plugin_hold_days", 30, "days until mail that a plugin holds until a time leaves, however late that time is", InvalidParameter, "ours; as far ahead as mail can be scheduled", func(l *Limits) *int64 { return &l.PluginHoldDays }},
	{"trace_steps", 100, "answers of plugins that the trace of a message keeps; later ones are counted", InvalidParameter, "ours; twice the plugins of a domain", func(l *Limits) *int64 { return &l.TraceSteps }},
	{"trace_bytes", 64 * kiB, "bytes of the trace of a message; lines that plugins said go first", InvalidParameter, "ours; about 200 answers without lines", func(l *Limits) *int64 { return &l.TraceBytes }},
	{"trace_lines", 4 * kiB, "bytes of the lines that a trace keeps of one answer; all are in the plugin's log", InvalidParameter, "ours; four lines of plugin_log_line", func(l *Limits) *int64 { return &l.TraceLines }},
	{"delivery_turns", 20, "attempts and other turns that are kept of a delivery, the newest", InvalidParameter, "ours; two days of attempts are fewer", func(l *Limits) *int64 { return &l.DeliveryTurns }},
	{"plugin_intents", 1000, "mails that plugins of a domain want sent and that wait; one plugin may have half; the newest are dropped", InvalidState, "ours; they wait only while something is in their way", func(l *Limits) *int64 { return &l.PluginIntents }},
	{"plugin_intent_bytes", 64 * miB, "bytes of them together; one plugin may have half; the newest are dropped", InvalidState, "ours; a reply has up to plugin_verdict", func(l *Limits) *int64 { return &l.PluginIntentBytes }},
	{"plugin_intent_hours", 24, "hours that a mail of a plugin is tried to be sent; then its plugin's log says that it was not", Unavailable, "ours; who wrote yesterday wants no answer from a program any more", func(l *Limits) *int64 { return &l.PluginIntentHours }},
	{"plugin_sends_hour", 200, "mails that a plugin sends per hour; more wait", RateLimited, "ours; a fifth of a key's, since nobody watches a plugin", func(l *Limits) *int64 { return &l.PluginSendsHour }},
	{"reply_hours", 4, "hours for which a plugin answers a sender once from a mailbox; 0: as often as it is written to", InvalidState, "ours; RFC 5230 section 4.2 has days for vacations, agents talk more often", func(l *Limits) *int64 { return &l.ReplyHours }},
	{"replies_thread_day", 20, "answers of plugins in one conversation per day", InvalidState, "ours; what a loop may cost that nothing else stops", func(l *Limits) *int64 { return &l.RepliesThreadDay }},
	{"replay_messages", 1000, "messages that one replay asks a plugin about", InvalidParameter, "ours; a filter of microseconds is through in seconds", func(l *Limits) *int64 { return &l.ReplayMessages }},
	{"replay_differences", 100, "differences that a replay lists; all are counted", InvalidParameter, "ours; a page", func(l *Limits) *int64 { return &l.ReplayDifferences }},
	{"replay_seconds", 20, "seconds of a replay; then it says how far it came", Unavailable, "ours; a third of what a request may take", func(l *Limits) *int64 { return &l.ReplaySeconds }},
	{"replays_at_once", 4, "replays under way at once, of a domain a quarter", Unavailable, "ours; each reads mail all the time", func(l *Limits) *int64 { return &l.ReplaysAtOnce }},
	{"dns_questions", 100, "questions to DNS about one mail, for SPF, for DKIM and for each domain in From; more fail as if no server answered", Unavailable, "ours; an SPF record of ten mx terms may ask as many by RFC 7208 section 4.6.4", func(l *Limits) *int64 { return &l.DNSQuestions }},
	{"dns_at_once", 1000, "questions to DNS under way at once; more wait", Unavailable, "ours; each holds a file descriptor", func(l *Limits) *int64 { return &l.DNSAtOnce }},
	{"dns_answer", 32 * kiB, "bytes of an answer from DNS", Unavailable, "ours; TCP would carry 64 KiB", func(l *Limits) *int64 { return &l.DNSAnswer }},
	{"dns_records", 256, "records of an answer from DNS", Unavailable, "ours; large domains have some 50 TXT records", func(l *Limits) *int64 { return &l.DNSRecords }},
	{"dns_aliases", 8, "CNAMEs that lead to one answer", Unavailable, "ours; content networks use three", func(l *Limits) *int64 { return &l.DNSAliases }},
	{"dns_cache", 4 * miB, "bytes of remembered answers from DNS", Unavailable, "ours; some 8,000 answers", func(l *Limits) *int64 { return &l.DNSCache }},
	{"auth_seconds", 10, "seconds to check who sent a mail; what is not known by then is temperror", Unavailable, "ours; RFC 7208 section 4.6.4 wants 20 for SPF alone, but the sender waits", func(l *Limits) *int64 { return &l.AuthSeconds }},
	{"auth_authors", 4, "domains in From that DMARC looks at, the first; with more the mail never passes", Unavailable, "ours; RFC 9989 section 11.5 wants a limit", func(l *Limits) *int64 { return &l.AuthAuthors }},
	{"dkim_signatures", 5, "DKIM signatures of a mail that are checked", Unavailable, "ours; RFC 6376 section 8.4 warns of many", func(l *Limits) *int64 { return &l.DKIMSignatures }},
	{"dkim_names", 200, "names in the h= of a DKIM signature", Unavailable, "ours; ten times what is usual", func(l *Limits) *int64 { return &l.DKIMNames }},
	{"spf_lookups", 10, "terms of SPF records that ask DNS; more is permerror", Unavailable, "RFC 7208 section 4.6.4", func(l *Limits) *int64 { return &l.SPFLookups }},
	{"spf_voids", 2, "of these, terms that find nothing; more is permerror", Unavailable, "RFC 7208 section 4.6.4", func(l *Limits) *int64 { return &l.SPFVoids }},
	{"queue_attempts", 200, "messages that are being carried to other hosts at once; more wait", Unavailable, "ours; each takes a connection and about 100 KiB", func(l *Limits) *int64 { return &l.QueueAttempts }},
	{"queue_domain", 100, "of these, messages of one domain", Unavailable, "ours; half, so that no tenant keeps all others waiting", func(l *Limits) *int64 { return &l.QueueDomain }},
	{"queue_site", 10, "of these, messages to one site; it begins with two, and two more each second", Unavailable, "ours; half of what large providers allow", func(l *Limits) *int64 { return &l.QueueSite }},
	{"queue_batch", 50, "recipients of one message that one transaction carries to a site", Unavailable, "ours; RFC 5321 section 4.5.3.1.8 has servers take 100", func(l *Limits) *int64 { return &l.QueueBatch }},
	{"queue_hours", 48, "hours that a delivery is tried; then its sender learns that it failed", Unavailable, "ours; RFC 5321 section 4.5.4.1 says 4 to 5 days, senders of transactional mail want to know sooner", func(l *Limits) *int64 { return &l.QueueHours }},
	{"queue_deliveries", 200_000, "deliveries of a domain that wait for other hosts", Unavailable, "ours; about 0.5 KiB of disk each, beside the bodies", func(l *Limits) *int64 { return &l.QueueDeliveries }},
	{"queue_bytes", 4096 * miB, "bytes of bodies that they carry, counted for each", Unavailable, "ours; one body may serve many", func(l *Limits) *int64 { return &l.QueueBytes }},
	{"queue_sites", 10_000, "sites of which the queue remembers how they are doing; those that fail and are forgotten are tried again at once", Unavailable, "ours; about 0.2 KiB each", func(l *Limits) *int64 { return &l.QueueSites }},
	{"courier_recipients", 100, "recipients of one transaction with a next hop", InvalidParameter, "RFC 5321 section 4.5.3.1.8: what each server takes", func(l *Limits) *int64 { return &l.CourierRecipients }},
	{"courier_hosts", 10, "mail hosts of a domain that are tried, the preferred ones first", Unavailable, "ours; large providers have five", func(l *Limits) *int64 { return &l.CourierHosts }},
	{"courier_tries", 10, "addresses of them that one attempt to deliver connects to", Unavailable, "ours; RFC 5321 section 5.1 wants at least two", func(l *Limits) *int64 { return &l.CourierTries }},
	{"courier_messages", 100, "messages of one connection to a next hop; then it is closed", Unavailable, "ours; many servers end it there", func(l *Limits) *int64 { return &l.CourierMessages }},
	{"courier_host", 10, "connections to one mail host at once; more wait", Unavailable, "ours; half of what large providers allow", func(l *Limits) *int64 { return &l.CourierHost }},
	{"courier_idle", 100, "connections to next hops that are kept for the next message", Unavailable, "ours; each has 40 KiB of buffers", func(l *Limits) *int64 { return &l.CourierIdle }},
	{"courier_reply", 64 * kiB, "bytes of a next hop's reply to one command; more ends the connection", Unavailable, "ours; RFC 5321 section 4.5.3.1.5 allows lines of 512", func(l *Limits) *int64 { return &l.CourierReply }},
	{"courier_replies", 1 * miB, "bytes of all its replies on one connection", Unavailable, "ours; 100 messages with ten recipients each, five times", func(l *Limits) *int64 { return &l.CourierReplies }},
	{"sts_policy", 64 * kiB, "bytes of an MTA-STS policy; a longer one counts as none", Unavailable, "RFC 8461 section 3.3", func(l *Limits) *int64 { return &l.STSPolicy }},
	{"sts_policies", 10000, "MTA-STS policies that are remembered; those not used for longest go", Unavailable, "ours; about 1 KiB each", func(l *Limits) *int64 { return &l.STSPolicies }},
	{"session_logins", 3, "failed logins of a session", RateLimited, "ours", func(l *Limits) *int64 { return &l.SessionLogins }},
}

// DefaultLimits is the table's second column.
func DefaultLimits() Limits {
	var l Limits
	for _, row := range LimitTable {
		*row.Field(&l) = row.Default
	}
	return l
}

// Times that bound waiting. Unlike Limits they are not for operators to set.
const (
	// RequestTimeout is how long a REST handler may work on a request whose body
	// is read. Past it: 503 service_unavailable. Ours.
	RequestTimeout = 60 * time.Second
	// BodyTimeout is how long a client may take to send a request's body; past
	// it the connection is closed. Ours: 360 MiB at 200 KiB/s.
	BodyTimeout = 30 * time.Minute
	// LinkTime is how long a signed link to a file is good. Past it: 410 gone. Ours: a
	// page or a program that was given it has fetched it by then.
	LinkTime = time.Hour
	// StreamTokenTime is how long a token for a stream is good, and a stream that it
	// opened lasts. Past it: 401 invalid_api_key. Ours: as a link.
	StreamTokenTime = time.Hour
	// WebhookPatience is how long a webhook may take nothing of what there is until it is
	// switched off, as soon as an event is given up. Ours: longer than a long weekend.
	WebhookPatience = 5 * 24 * time.Hour
	// WebhookOverlap is how long the former secret of a webhook signs, too, after a new one
	// was made. Ours: a day is enough to bring the new one to every receiver.
	WebhookOverlap = 24 * time.Hour
	// DrainTimeout is how long a stop waits for running work. Ours; service
	// managers commonly kill after 30 s or more.
	DrainTimeout = 20 * time.Second
	// LeaseTime is how long an attempt to deliver may hold its delivery before
	// it counts as lost. RFC 5321 section 4.5.3.2.6 gives the final dot alone 10
	// minutes.
	LeaseTime = 15 * time.Minute
	// CommandTimeout is how long an SMTP client may wait before its next command.
	// Past it: 421. RFC 5321 section 4.5.3.2.7 wants at least five minutes.
	CommandTimeout = 5 * time.Minute
	// LoginTimeout is how long an IMAP client may be silent, or take over a command,
	// before it has logged in, and LoginWindow how long it may take until it has.
	// IdleTimeout is for commands after that, and for IDLE, in which the client hears
	// from us each IdleKeepalive. Past them: BYE. RFC 9051 section 5.4 wants at least
	// 30 minutes after the login; the others are ours: programs log in at once, and
	// networks forget connections on which nothing is said for five minutes.
	LoginTimeout  = 30 * time.Second
	LoginWindow   = 2 * time.Minute
	IdleTimeout   = 30 * time.Minute
	IdleKeepalive = 2 * time.Minute
	// AnswerTimeout is how long an IMAP or HTTP client may take to read the next 16 KiB of
	// an answer, and GoodbyeTimeout how long it may take over all that is still to be said
	// once its session is to end: at a stop, a revoked key, a fault of its own. Past them
	// the connection is closed without a word. Ours: half a KiB a second; and a stop
	// waits for nobody who does not listen.
	AnswerTimeout  = 30 * time.Second
	GoodbyeTimeout = time.Second
	// AppendAhead is how far in the future the date of an APPEND may be. One beyond it
	// counts as not given: the message is dated now, or it would stand on top of every
	// list. Ours: no clock that is meant to be right is a day fast.
	AppendAhead = 24 * time.Hour
	// TransferTimeout bounds the transfer of one message over SMTP or IMAP, and
	// TransferPause a pause in it. Past them: 451 4.4.2 or BYE, and the end of the
	// connection. Ours: 50 MiB at 30 KiB/s.
	TransferTimeout = 30 * time.Minute
	TransferPause   = 3 * time.Minute
	// TransferGrace is how long a message over SMTP or IMAP may come as slowly as it
	// likes; then it must have come with TransferRate bytes a second since. Past it:
	// 451 4.4.2 or BYE, and the end of the connection. Ours: a modem is six times as quick.
	TransferGrace = 30 * time.Second
	TransferRate  = 1 * kiB
	// DataTimeout is how long the gateway may take from the final dot to its
	// reply. Past it: 451, and nothing is stored. RFC 5321 section 4.5.3.2.6 lets
	// clients wait 10 minutes; section 6.1 wants servers far quicker, or slow
	// answers become duplicates.
	DataTimeout = 2 * time.Minute
	// ConnectTimeout is how long a next hop may take to accept a connection, and again
	// for a TLS handshake. HopTimeout is for each of its replies, HopDataTimeout for the
	// one to DATA, HopEndTimeout for the one to the final dot; HopPause is for each block
	// of the message, TransferTimeout for all of them. Past the final dot nobody knows
	// whether it was delivered; past the others it was not. RFC 5321 section 4.5.3.2.
	ConnectTimeout = 30 * time.Second
	HopTimeout     = 5 * time.Minute
	HopDataTimeout = 2 * time.Minute
	HopEndTimeout  = 10 * time.Minute
	HopPause       = 3 * time.Minute
	// HopIdle is how long a connection to a next hop is kept without work. Ours: a
	// queue that has more mail for it has sent it by then.
	HopIdle = 5 * time.Second
	// STSTimeout is how long fetching an MTA-STS policy may take, and STSPause how long
	// a failure to is remembered; RFC 8461 section 3.3. STSFresh is the age at which a
	// policy is fetched again although its id is the same; section 10.2.
	STSTimeout = time.Minute
	STSPause   = 5 * time.Minute
	STSFresh   = 24 * time.Hour
	// DNSTimeout is how long one question to DNS may take, all servers and tries
	// together, and DNSTry one of them. Past it: a temporary failure. Ours: a mail
	// asks several, and its sender waits.
	DNSTimeout = 5 * time.Second
	DNSTry     = 2 * time.Second
	// DNSKept, DNSKeptNothing and DNSKeptFailure are how long an answer is remembered
	// at most, one that there is nothing, and a failure. RFC 2308 section 5 and RFC 9520
	// section 3.2 would allow more; ours, since who just repaired a record tries again.
	DNSKept        = time.Hour
	DNSKeptNothing = 5 * time.Minute
	DNSKeptFailure = 5 * time.Second
	// OutcomeRetention is how long receiving remembers what became of a delivery
	// from inside, so that a repeat gives the same answer. Ours: far over
	// LeaseTime, and over any restart an operator would wait for.
	OutcomeRetention = 7 * 24 * time.Hour
)

// PreviewRunes is the length of a preview. API guide, "List (Preview)".
const PreviewRunes = 200

// MaxTextRead is how much of one text part is decoded for an answer; ours. A
// longer part is cut and says so.
const MaxTextRead = 10 * miB
