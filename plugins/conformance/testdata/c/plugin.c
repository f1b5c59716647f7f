// Does what the script in its configuration says; conformance_test.go tells what there is.
#include "postern.h"

static postern_verdict *v;
static postern_object *letter;
static const char *a[16];
static int count, failed, calls;

static int is(const char *word) { return postern_equal(a[0], word); }
static void say(const char *text) { postern_log_info(text); }
static void tell(postern_buf *b) { say(b->n ? b->p : ""); }
static void outcome(int r) { say(r < 0 ? postern_strerror(r) : "ok"); }
static void say_number(long long n) {
	postern_buf b = {0};
	postern_digits(&b, n, 1);
	tell(&b);
}
static void say_truth(int yes) { say(yes ? "true" : "false"); }

// FNV-1a, as hash/fnv has it.
static unsigned hash(unsigned h, const char *p, int n, int step) {
	for (int i = 0; i < n; i += step) h = (h ^ (unsigned char)p[i]) * 16777619u;
	return h;
}
static void say_sum(long long n, unsigned h) {
	postern_buf b = {0};
	postern_digits(&b, n, 1);
	postern_byte(&b, ' ');
	postern_digits(&b, h, 1);
	tell(&b);
}

static void person(postern_buf *b, const char *name, const char *addr) {
	if (b->n) postern_add(b, ", ");
	postern_add(b, name);
	postern_add(b, " <");
	postern_add(b, addr);
	postern_byte(b, '>');
}
static void each(postern_buf *b, const char *doc, const char *list, const char *member) {
	const char *s;
	for (int i = 0; (s = postern_json_get(doc, postern_path(list, i, member))); i++) {
		if (i) postern_byte(b, ',');
		postern_add(b, s);
	}
}
static void one(postern_buf *b, const char *doc, const char *path) {
	postern_add(b, postern_json(doc, path));
	postern_byte(b, '|');
}

static double decimal(const char *s) {
	int less = *s == '-';
	double n = 0, unit = 1;
	for (s += less; *s && *s != '.'; s++) n = n * 10 + *s - '0';
	for (s += *s == '.'; *s; s++) n += (*s - '0') * (unit /= 10);
	return less ? -n : n;
}

static int decide(void) {
	if (is("accept")) v = postern_accept();
	else if (is("reject")) v = postern_reject(postern_number(a[1]), a[2]);
	else if (is("tempfail")) v = postern_tempfail(a[1]);
	else if (is("quarantine")) v = postern_quarantine(a[1]);
	else if (is("discard")) v = postern_discard();
	else if (is("allow")) v = postern_allow();
	else if (is("deny")) v = postern_deny(a[1]);
	else if (is("hold")) v = postern_hold(a[1]);
	else if (is("hold_until")) v = postern_hold_until(a[1], postern_number(a[2]));
	else if (is("join")) v = postern_join(a[1]);
	else if (is("new_thread")) v = postern_new_thread();
	else if (is("merge")) v = postern_merge(a[1], a + 2, count - 2);
	else if (is("split")) v = postern_split(a + 1, count - 1);
	else if (is("folder")) postern_folder(v, a[1]);
	else if (is("label")) postern_label(v, a[1]);
	else if (is("unlabel")) postern_unlabel(v, a[1]);
	else if (is("flag")) postern_flag(v, a[1]);
	else if (is("redirect")) postern_redirect(v, a[1]);
	else if (is("keep")) postern_keep(v);
	else if (is("add_header")) postern_add_header(v, a[1], a[2]);
	else if (is("set_header")) postern_set_header(v, a[1], a[2]);
	else if (is("delete_header")) postern_delete_header(v, a[1]);
	else if (is("set_subject")) postern_set_subject(v, a[1]);
	else if (is("body")) postern_body(v, a[1], a[2]);
	else if (is("tag")) postern_tag(v, a[1], a[2]);
	else if (is("remove")) postern_remove(v, a[1]);
	else if (is("reply")) postern_reply(v, postern_new_reply(a[1]));
	else if (is("reply_html")) {
		postern_object *r = postern_new_reply(a[2]);
		postern_set(r, "html", a[1]);
		postern_set(r, "subject", a[3]);
		postern_set(r, "from", a[4]);
		postern_reply(v, r);
	} else if (is("score")) postern_score(v, decimal(a[1]));
	else if (is("reason")) postern_reason(v, a[1]);
	else if (is("reason_kv")) postern_reason(v, postern_kv_get(a[1]).data);
	else if (is("final")) postern_final(v);
	else return 0;
	return 1;
}

static int write(void) {
	if (is("mail")) {
		letter = postern_mail(a[1]);
		return 1;
	}
	if (!letter) return 0;
	if (is("to") || is("cc") || is("bcc") || is("reply_to")) postern_list(letter, a[0], a[1]);
	else if (is("reference")) postern_list(letter, "references", a[1]);
	else if (is("header")) postern_mail_header(letter, a[1], a[2]);
	else if (is("tag")) postern_pairs(letter, "tags", a[1], a[2]);
	else if (is("send")) outcome(postern_send(letter)), letter = 0;
	else postern_set(letter, a[0], a[1]);
	return 1;
}

static int remember(void) {
	if (is("kv_get")) {
		postern_bytes value = postern_kv_get(a[1]);
		say(value.len < 0 ? "nothing" : value.data);
	} else if (is("kv_sum")) {
		postern_bytes value = postern_kv_get(a[1]);
		int n = value.len < 0 ? 0 : value.len;
		say_sum(n, hash(2166136261u, value.data, n, 1));
	} else if (is("kv_put")) outcome(postern_kv_put(a[1], a[2], postern_number(a[3])));
	else if (is("kv_fill")) {
		int n = postern_number(a[2]);
		char *p = postern_alloc(n);
		for (int i = 0; i < n; i++) p[i] = i;
		outcome(postern_kv_put_bytes(a[1], p, n, 0));
	} else if (is("kv_delete")) outcome(postern_kv_delete(a[1]));
	else if (is("kv_incr")) {
		long long n = postern_kv_incr(a[1], postern_number(a[2]), postern_number(a[3]));
		if (n < 0) outcome(n);
		else say_number(n);
	} else if (is("kv_list")) {
		postern_keys keys = {.prefix = a[1]};
		postern_buf b = {0};
		for (const char *key; (key = postern_kv_list(&keys));) {
			if (b.n) postern_byte(&b, ',');
			postern_add(&b, key);
		}
		if (keys.error) outcome(keys.error);
		else tell(&b);
	} else return 0;
	return 1;
}

// Reads a part with so much room, and hashes each so-manieth byte of what there was room for.
static void part(int i, int room, int step) {
	char *p = postern_alloc(room);
	long long at = 0;
	unsigned h = 2166136261u;
	int n;
	while ((n = postern_part(i, at, p, room)) > 0) {
		h = hash(h, p, n, step);
		at += n;
	}
	if (n < 0) outcome(n);
	else say_sum(at, h);
}

static void list(const char *(*item)(int)) {
	postern_buf b = {0};
	for (int i = 0; *item(i); i++) {
		if (i) postern_add(&b, ", ");
		postern_add(&b, item(i));
	}
	tell(&b);
}

static int look(void) {
	postern_buf b = {0};
	if (is("subject")) say(postern_subject());
	else if (is("subject_contains")) {
		int found = 0;
		for (int i = 1; i < count; i++) found |= postern_subject_contains(a[i]);
		say_truth(found);
	} else if (is("header")) say(postern_header(a[1]));
	else if (is("header_at")) say(postern_header_at(a[1], postern_number(a[2])));
	else if (is("header_count")) say_number(postern_header_count(a[1]));
	else if (is("has_header")) say_truth(postern_has_header(a[1]));
	else if (is("from")) {
		person(&b, postern_from_name(), postern_from());
		tell(&b);
	} else if (is("to")) {
		for (int i = 0; *postern_to(i); i++) person(&b, postern_to_name(i), postern_to(i));
		tell(&b);
	} else if (is("cc")) {
		for (int i = 0; *postern_cc(i); i++) person(&b, postern_cc_name(i), postern_cc(i));
		tell(&b);
	} else if (is("recipients")) list(postern_recipient);
	else if (is("auth")) {
		const char *what[] = {"spf", "dkim", "dmarc", "from_aligned", "disposition"};
		for (int i = 0; i < 5; i++) {
			if (i) postern_byte(&b, ' ');
			postern_add(&b, postern_auth(what[i]));
		}
		tell(&b);
	} else if (is("reply_ok")) say_truth(postern_reply_ok());
	else if (is("dry_run")) say_truth(postern_dry_run());
	else if (is("text")) say(postern_text(postern_number(a[1])));
	else if (is("reply_to")) list(postern_reply_to);
	else if (is("references")) list(postern_reference);
	else if (is("in_reply_to")) say(postern_in_reply_to());
	else if (is("size")) say_number(postern_size());
	else if (is("id")) say(postern_id());
	else if (is("domain")) say(postern_domain());
	else if (is("message_id")) say(postern_message_id());
	else if (is("mailbox")) say(postern_mailbox());
	else if (is("thread_id")) say(postern_thread_id());
	else if (is("new_thread_id")) say(postern_new_thread_id());
	else if (is("via")) say(postern_via());
	else if (is("in_folder")) say(postern_in_folder());
	else if (is("labels")) list(postern_has_label);
	else if (is("flags")) list(postern_has_flag);
	else if (is("score_so_far")) say(postern_score_so_far());
	else if (is("type")) say(postern_type());
	else if (is("event_id")) say(postern_event_id());
	else if (is("attempt")) say_number(postern_attempt());
	else if (is("detail")) say(postern_detail());
	else if (is("part")) part(postern_number(a[1]), postern_number(a[2]), postern_number(a[3]));
	else if (is("event")) {
		postern_bytes e = postern_event();
		one(&b, e.data, "subject");
		each(&b, e.data, "headers.", ".1");
		postern_byte(&b, '|');
		one(&b, e.data, "text");
		each(&b, e.data, "parts.", ".type");
		if (e.len < 0) outcome(e.len);
		else tell(&b);
	} else if (is("conversation")) {
		postern_bytes c = postern_thread();
		one(&b, c.data, "thread_id");
		one(&b, c.data, "subject");
		one(&b, c.data, "count");
		each(&b, c.data, "messages.", ".text");
		if (c.len < 0) outcome(c.len);
		else tell(&b);
	} else return 0;
	return 1;
}

static int ask(void) {
	postern_response r;
	if (is("http")) {
		postern_object *q = postern_request(a[1], a[2]);
		postern_request_header(q, a[3], a[4]);
		postern_request_body(q, a[5]);
		r = postern_http(q);
	} else if (is("http_get")) r = postern_http_get(a[1]);
	else if (is("post_json")) r = postern_http_post_json(a[1], a[2], a[3]);
	else return 0;
	postern_buf b = {0};
	if (r.status < 0) outcome(r.status);
	else if (is("http_get")) say(postern_response_string(&r, a[2]));
	else if (is("post_json")) say(postern_response_string(&r, a[4]));
	else {
		postern_digits(&b, r.status, 1);
		postern_byte(&b, '|');
		postern_add(&b, postern_response_header(&r, "x-answer"));
		postern_byte(&b, '|');
		postern_add(&b, postern_response_body(&r).data);
		tell(&b);
	}
	return 1;
}

static void others(void) {
	if (is("log")) {
		if (postern_equal(a[1], "debug")) postern_log_debug(a[2]);
		else if (postern_equal(a[1], "warn")) postern_log_warn(a[2]);
		else if (postern_equal(a[1], "error")) postern_log_error(a[2]);
		else postern_log_info(a[2]);
	} else if (is("config")) say(postern_config(a[1]));
	else if (is("secret")) say(postern_secret(a[1]));
	else if (is("now")) say_number(postern_now());
	else if (is("alloc")) {
		long long n = postern_number(a[1]), total = 0;
		for (int i = 0; i < n; i++) total += postern_len(postern_path("item-", i, ""));
		say_number(total);
	} else if (is("scheduled")) say(postern_scheduled());
	else if (is("previous")) say(postern_previous());
	else if (is("calls")) say_number(++calls);
	else if (is("fail")) {
		postern_log_error(a[1]);
		failed = 1;
	} else __builtin_trap();
}

static postern_verdict *play(void) {
	v = postern_new();
	for (char *at = (char *)postern_config("script"); *at && !failed;) {
		count = 0;
		for (char end = '\t'; end == '\t' && count < 16;) {
			char *word = at;
			while (*at && *at != '\t' && *at != '\n') at++;
			end = *at;
			if (end) *at++ = 0;
			a[count++] = *word == '$' ? postern_config(word + 1) : word;
		}
		if (!write() && !decide() && !remember() && !look() && !ask()) others();
	}
	return failed ? 0 : v;
}

static int tick(void) { return !play(); }

POSTERN_INBOUND(play)
POSTERN_OUTBOUND(play)
POSTERN_THREAD(play)
POSTERN_ON_EVENT(play)
POSTERN_ON_TICK(tick)
