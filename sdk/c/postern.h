// Postern's SDK for plugins in C: one header, which needs clang and lld and no libc. Copy
// it next to your own file and say what your plugin decides:
//
//	#include "postern.h"
//
//	static postern_verdict *filter(void) {
//		postern_verdict *v = postern_accept();
//		if (postern_has_header("List-Unsubscribe")) {
//			postern_folder(v, "Newsletters");
//			postern_label(v, "bulk");
//		}
//		return v;
//	}
//	POSTERN_INBOUND(filter)
//
// Every call sees a fresh instance: a variable does not last, what is to last goes into
// the KV; and memory is taken and never given back. A text is UTF-8 with a 0 behind it,
// "" if there is none. A trap is a failure, and the plugin's failure policy decides. What
// the words mean, and which permission each needs, is told in README.md beside this file.
#ifndef POSTERN_H
#define POSTERN_H

#define POSTERN_IMPORT(name) __attribute__((import_module("postern_v1"), import_name(#name))) extern
#define POSTERN_API static inline __attribute__((unused))

POSTERN_IMPORT(event) int postern_import_event(void *dst, int cap);
POSTERN_IMPORT(get) int postern_import_get(const char *path, int plen, void *dst, int cap);
POSTERN_IMPORT(header) int postern_import_header(const char *name, int nlen, int index, void *dst, int cap);
POSTERN_IMPORT(header_count) int postern_import_header_count(const char *name, int nlen);
POSTERN_IMPORT(part) int postern_import_part(int part, long long offset, void *dst, int cap);
POSTERN_IMPORT(verdict) int postern_import_verdict(const char *doc, int len);
POSTERN_IMPORT(log) void postern_import_log(int level, const char *text, int len);
POSTERN_IMPORT(config) int postern_import_config(const char *key, int klen, void *dst, int cap);
POSTERN_IMPORT(now) long long postern_import_now(void);
POSTERN_IMPORT(kv_get) int postern_import_kv_get(const char *key, int klen, void *dst, int cap);
POSTERN_IMPORT(kv_put) int postern_import_kv_put(const char *key, int klen, const void *val, int vlen, long long ttl);
POSTERN_IMPORT(kv_delete) int postern_import_kv_delete(const char *key, int klen);
POSTERN_IMPORT(kv_incr) long long postern_import_kv_incr(const char *key, int klen, long long delta, long long ttl);
POSTERN_IMPORT(kv_list) int postern_import_kv_list(const char *prefix, int plen, const char *cursor, int clen, void *dst, int cap);
POSTERN_IMPORT(http) int postern_import_http(const char *request, int len);
POSTERN_IMPORT(http_read) int postern_import_http_read(int handle, long long offset, void *dst, int cap);
POSTERN_IMPORT(send) int postern_import_send(const char *mail, int len);
POSTERN_IMPORT(thread) int postern_import_thread(void *dst, int cap);

// Why the gateway did not do what it was asked.
enum {
	POSTERN_ABSENT = -1, POSTERN_DENIED = -2, POSTERN_BAD_ARGUMENT = -3,
	POSTERN_OVER_QUOTA = -4, POSTERN_HOST_FAILURE = -5, POSTERN_TOO_LARGE = -6,
};

POSTERN_API const char *postern_strerror(int errnum) {
	static const char *const what[] = {"there is no such thing", "the plugin was not granted this", "bad argument", "over quota", "the gateway failed", "too large"};
	return errnum < 0 && errnum >= -6 ? what[-errnum - 1] : "the gateway failed";
}

// Memory, one piece behind the other. What is left of it when a call ends is gone.
extern unsigned char __heap_base;
static unsigned char *postern_top;

POSTERN_API void *postern_alloc(unsigned size) {
	if (!postern_top) postern_top = &__heap_base;
	unsigned at = ((unsigned)postern_top + 7) & ~7u, end = at + size, room = __builtin_wasm_memory_size(0) << 16;
	if (end < at || (end > room && __builtin_wasm_memory_grow(0, (end - room + 0xffff) >> 16) == (unsigned)-1)) __builtin_trap();
	postern_top = (unsigned char *)end;
	return (void *)at;
}

POSTERN_API int postern_len(const char *s) {
	int n = 0;
	while (s[n]) n++;
	return n;
}

POSTERN_API int postern_equal(const char *a, const char *b) {
	while (*a && *a == *b) a++, b++;
	return *a == *b;
}

POSTERN_API char postern_lower(char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; }

// Whether a text has another in it; the case of ASCII letters does not matter.
POSTERN_API int postern_contains(const char *text, const char *part) {
	for (;; text++) {
		int i = 0;
		while (part[i] && postern_lower(text[i]) == postern_lower(part[i])) i++;
		if (!part[i]) return 1;
		if (!*text) return 0;
	}
}

POSTERN_API long long postern_number(const char *s) {
	long long n = 0;
	int less = *s == '-';
	for (s += less; *s >= '0' && *s <= '9'; s++) n = n * 10 + *s - '0';
	return less ? -n : n;
}

// Bytes with a 0 behind them. If len is negative it is an error, and data is "".
typedef struct {
	const char *data;
	int len;
} postern_bytes;

// Calls an import that answers with bytes, again with more room if they are many.
#define POSTERN_READ(import, ...) ({ \
	int cap_ = 255; \
	char *dst_ = postern_alloc(cap_ + 1); \
	int n_ = import(__VA_ARGS__, dst_, cap_); \
	if (n_ > cap_) cap_ = n_, dst_ = postern_alloc(cap_ + 1), n_ = import(__VA_ARGS__, dst_, cap_); \
	dst_[n_ < 0 ? 0 : n_] = 0; \
	(postern_bytes){n_ < 0 ? "" : dst_, n_}; \
})

// Text that is being put together.
typedef struct {
	char *p;
	int n, cap;
} postern_buf;

POSTERN_API void postern_byte(postern_buf *b, char c) {
	if (b->n + 1 >= b->cap) {
		char *old = b->p;
		b->cap = b->cap ? b->cap * 2 : 128;
		b->p = postern_alloc(b->cap);
		__builtin_memcpy(b->p, old, b->n);
	}
	b->p[b->n++] = c;
	b->p[b->n] = 0;
}

POSTERN_API void postern_add(postern_buf *b, const char *s) {
	while (*s) postern_byte(b, *s++);
}

// Two texts as one.
POSTERN_API const char *postern_concat(const char *a, const char *b) {
	postern_buf both = {0};
	postern_add(&both, a);
	postern_add(&both, b);
	return both.p ? both.p : "";
}

POSTERN_API void postern_digits(postern_buf *b, long long n, int least) {
	char digit[24];
	int i = 0;
	unsigned long long u = n < 0 ? -(unsigned long long)n : n;
	if (n < 0) postern_byte(b, '-');
	for (; u || i < least; u /= 10) digit[i++] = '0' + u % 10;
	while (i) postern_byte(b, digit[--i]);
}

// How many bytes the character of UTF-8 has that s begins with; 0 if it is none.
POSTERN_API int postern_rune(const unsigned char *s) {
	int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
	for (int i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80) return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f)) return 0;
	return n;
}

// A text as JSON writes it; bytes that are not UTF-8 become U+FFFD.
POSTERN_API void postern_quote(postern_buf *b, const char *s) {
	postern_byte(b, '"');
	while (*s) {
		int n = postern_rune((const unsigned char *)s);
		if (n == 0) {
			postern_add(b, "\xef\xbf\xbd");
			n = 1;
		} else if (*s == '"' || *s == '\\') {
			postern_byte(b, '\\');
			postern_byte(b, *s);
		} else if (n == 1 && *s < ' ') {
			postern_add(b, "\\u00");
			postern_byte(b, "01"[*s >> 4]);
			postern_byte(b, "0123456789abcdef"[*s & 15]);
		} else {
			for (int i = 0; i < n; i++) postern_byte(b, s[i]);
		}
		s += n ? n : 1;
	}
	postern_byte(b, '"');
}

// A JSON object that is being written: its members by name, each as JSON.
enum { POSTERN_MEMBERS = 20 };
typedef struct {
	const char *name[POSTERN_MEMBERS];
	postern_buf json[POSTERN_MEMBERS];
} postern_object;

POSTERN_API postern_object *postern_new(void) {
	postern_object *o = postern_alloc(sizeof *o);
	__builtin_memset(o, 0, sizeof *o);
	return o;
}

POSTERN_API postern_buf *postern_member(postern_object *o, const char *name) {
	int i = 0;
	while (o->name[i] && !postern_equal(o->name[i], name))
		if (++i == POSTERN_MEMBERS) __builtin_trap();
	o->name[i] = name;
	return &o->json[i];
}

// Sets a member to a text, or to JSON.
POSTERN_API void postern_set(postern_object *o, const char *name, const char *text) {
	postern_buf *b = postern_member(o, name);
	b->n = 0;
	postern_quote(b, text);
}

POSTERN_API void postern_raw(postern_object *o, const char *name, const char *json) {
	postern_buf *b = postern_member(o, name);
	b->n = 0;
	postern_add(b, json);
}

// Makes room in a member that is an array or an object; what is added ends with close.
POSTERN_API postern_buf *postern_grow(postern_object *o, const char *name, char open) {
	postern_buf *b = postern_member(o, name);
	if (b->n) b->p[b->n - 1] = ',';
	else postern_byte(b, open);
	return b;
}

POSTERN_API void postern_list(postern_object *o, const char *name, const char *text) {
	postern_buf *b = postern_grow(o, name, '[');
	postern_quote(b, text);
	postern_byte(b, ']');
}

POSTERN_API const char *postern_write(postern_object *o) {
	postern_buf b = {0};
	postern_byte(&b, '{');
	for (int i = 0; i < POSTERN_MEMBERS && o->name[i]; i++) {
		if (i) postern_byte(&b, ',');
		postern_quote(&b, o->name[i]);
		postern_byte(&b, ':');
		postern_add(&b, o->json[i].p);
	}
	postern_byte(&b, '}');
	return b.p;
}

POSTERN_API void postern_pairs(postern_object *o, const char *name, const char *tag, const char *value) {
	postern_object *pair = postern_new();
	postern_set(pair, "name", tag);
	postern_set(pair, "value", value);
	postern_buf *b = postern_grow(o, name, '[');
	postern_add(b, postern_write(pair));
	postern_byte(b, ']');
}

// JSON that is read: where it goes on.
typedef struct {
	const char *at;
} postern_scan;

POSTERN_API int postern_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

POSTERN_API int postern_take(postern_scan *s, char c) {
	while (postern_blank(*s->at)) s->at++;
	int found = *s->at == c && c;
	if (found) s->at++;
	while (postern_blank(*s->at)) s->at++;
	return found;
}

POSTERN_API unsigned postern_hex4(const char *s) {
	unsigned n = 0;
	for (int i = 0; i < 4 && s[i]; i++) n = n << 4 | ((s[i] & 15) + (s[i] > '9' ? 9 : 0));
	return n;
}

POSTERN_API void postern_utf8(postern_buf *b, unsigned r) {
	if (r < 0x80) {
		postern_byte(b, r);
		return;
	}
	int more = r < 0x800 ? 1 : r < 0x10000 ? 2 : 3;
	postern_byte(b, (0xff00 >> (more + 1) & 0xff) | r >> 6 * more);
	while (more--) postern_byte(b, 0x80 | (r >> 6 * more & 0x3f));
}

// Reads the string that is here, and goes behind it.
POSTERN_API const char *postern_string(postern_scan *s) {
	postern_buf b = {0};
	for (s->at++; *s->at && *s->at != '"'; s->at++) {
		char c = *s->at;
		if (c == '\\' && s->at[1]) {
			c = *++s->at;
			c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c == 'b' ? '\b' : c == 'f' ? '\f' : c;
			if (c == 'u' && postern_len(s->at) > 4) {
				unsigned r = postern_hex4(s->at + 1), low = 0;
				s->at += 4;
				if (r >> 10 == 0x36 && s->at[1] == '\\' && s->at[2] == 'u' && (low = postern_hex4(s->at + 3)) >> 10 == 0x37) {
					r = 0x10000 + ((r & 0x3ff) << 10) + (low & 0x3ff);
					s->at += 6;
				}
				postern_utf8(&b, r >> 11 == 0x1b ? 0xfffd : r);
				continue;
			}
		}
		postern_byte(&b, c);
	}
	if (*s->at) s->at++;
	return b.p ? b.p : "";
}

// Goes behind the value that is here, however deep it is.
POSTERN_API void postern_skip(postern_scan *s) {
	for (int depth = 0; *s->at; s->at++) {
		char c = *s->at;
		if (c == '"') {
			for (s->at++; *s->at && *s->at != '"'; s->at++)
				if (*s->at == '\\' && s->at[1]) s->at++;
			if (!*s->at) return;
			if (!depth) {
				s->at++;
				return;
			}
		} else if (c == '[' || c == '{') {
			depth++;
		} else if (!depth && (c == ',' || c == ']' || c == '}' || postern_blank(c))) {
			return;
		} else if ((c == ']' || c == '}') && !--depth) {
			s->at++;
			return;
		}
	}
}

// Goes to a member or an element, the step that path begins with; returns what follows it.
POSTERN_API const char *postern_enter(postern_scan *s, const char *path) {
	postern_buf step = {0};
	while (*path && *path != '.') postern_byte(&step, *path++);
	int array = *s->at == '[', i = 0;
	if (!step.p || (!array && *s->at != '{')) return 0;
	s->at++;
	for (postern_take(s, 0); *s->at && *s->at != ']' && *s->at != '}'; i++) {
		if (array ? i == postern_number(step.p) && *step.p <= '9' : postern_equal(postern_string(s), step.p)) {
			if (!array) postern_take(s, ':');
			return *path ? path + 1 : path;
		}
		if (!array) postern_take(s, ':');
		postern_skip(s);
		if (!postern_take(s, ',')) return 0;
	}
	return 0;
}

// One value of a JSON document by its path, such as "messages.0.text": a text without its
// quotes, anything else as it is written; 0 if there is none.
POSTERN_API const char *postern_json_get(const char *doc, const char *path) {
	postern_scan s = {doc};
	postern_take(&s, 0);
	while (path && *path) path = postern_enter(&s, path);
	if (!path || !*s.at) return 0;
	if (*s.at == '"') return postern_string(&s);
	const char *from = s.at;
	postern_skip(&s);
	postern_buf b = {0};
	while (from < s.at) postern_byte(&b, *from++);
	return b.p && !postern_equal(b.p, "null") ? b.p : 0;
}

POSTERN_API const char *postern_json(const char *doc, const char *path) {
	const char *v = postern_json_get(doc, path);
	return v ? v : "";
}

// A path with an index in it: postern_path("to.", 0, ".addr").
POSTERN_API const char *postern_path(const char *before, int i, const char *after) {
	postern_buf b = {0};
	postern_add(&b, before);
	postern_digits(&b, i, 1);
	postern_add(&b, after);
	return b.p;
}

// What the message says. postern_get reads one value of the event document by its path,
// such as "to.0.addr", and tells with a negative len that there is none.
POSTERN_API postern_bytes postern_get(const char *path) { return POSTERN_READ(postern_import_get, path, postern_len(path)); }
POSTERN_API const char *postern_value(const char *path) { return postern_get(path).data; }
POSTERN_API int postern_truth(const char *path) { return postern_equal(postern_value(path), "true"); }

POSTERN_API const char *postern_subject(void) { return postern_value("subject"); }
POSTERN_API int postern_subject_contains(const char *word) { return postern_contains(postern_subject(), word); }
// The i-th header field of a name, decoded and unfolded; -1 is the last.
POSTERN_API const char *postern_header_at(const char *name, int i) { return POSTERN_READ(postern_import_header, name, postern_len(name), i).data; }
POSTERN_API const char *postern_header(const char *name) { return postern_header_at(name, 0); }
POSTERN_API int postern_header_count(const char *name) {
	int n = postern_import_header_count(name, postern_len(name));
	return n < 0 ? 0 : n;
}
POSTERN_API int postern_has_header(const char *name) { return postern_header_count(name) > 0; }
POSTERN_API const char *postern_from(void) { return postern_value("from.addr"); }
POSTERN_API const char *postern_from_name(void) { return postern_value("from.name"); }
// The i-th address of To, of Cc and of the envelope; "" behind the last.
POSTERN_API const char *postern_to(int i) { return postern_value(postern_path("to.", i, ".addr")); }
POSTERN_API const char *postern_to_name(int i) { return postern_value(postern_path("to.", i, ".name")); }
POSTERN_API const char *postern_cc(int i) { return postern_value(postern_path("cc.", i, ".addr")); }
POSTERN_API const char *postern_cc_name(int i) { return postern_value(postern_path("cc.", i, ".name")); }
POSTERN_API const char *postern_recipient(int i) { return postern_value(postern_path("envelope.rcpt_to.", i, "")); }
// A result of authentication: of "spf", "dkim", "dmarc", "from_aligned" or "disposition".
POSTERN_API const char *postern_auth(const char *what) {
	return postern_value(postern_concat("auth.", what));
}
POSTERN_API int postern_reply_ok(void) { return postern_truth("automated.reply_ok"); }
POSTERN_API int postern_dry_run(void) { return postern_truth("dry_run"); }
// The start of the text that people see, at most most bytes; there are 16 KiB.
POSTERN_API const char *postern_text(int most) {
	postern_bytes text = postern_get("text");
	if (text.len > most) {
		while (most > 0 && (text.data[most] & 0xc0) == 0x80) most--;
		((char *)text.data)[most] = 0;
	}
	return text.data;
}
POSTERN_API const char *postern_bcc(int i) { return postern_value(postern_path("bcc.", i, ".addr")); }
POSTERN_API const char *postern_reply_to(int i) { return postern_value(postern_path("reply_to.", i, ".addr")); }
POSTERN_API const char *postern_in_reply_to(void) { return postern_value("in_reply_to"); }
POSTERN_API const char *postern_reference(int i) { return postern_value(postern_path("references.", i, "")); }
POSTERN_API long long postern_size(void) { return postern_number(postern_value("size")); }
// The gateway's id of it, a UUID, "" while it has none; and the one that its sender gave it.
POSTERN_API const char *postern_id(void) { return postern_value("message_id"); }
POSTERN_API const char *postern_domain(void) { return postern_value("domain"); }
POSTERN_API const char *postern_message_id(void) { return postern_value("rfc_message_id"); }
POSTERN_API const char *postern_mailbox(void) { return postern_value("mailbox"); }
POSTERN_API const char *postern_thread_id(void) { return postern_value("thread_id"); }
POSTERN_API const char *postern_new_thread_id(void) { return postern_value("new_thread_id"); }
POSTERN_API const char *postern_via(void) { return postern_value("via"); }
POSTERN_API const char *postern_in_folder(void) { return postern_value("folder"); }
POSTERN_API const char *postern_has_label(int i) { return postern_value(postern_path("labels.", i, "")); }
POSTERN_API const char *postern_has_flag(int i) { return postern_value(postern_path("flags.", i, "")); }
POSTERN_API const char *postern_score_so_far(void) { return postern_value("score"); }
// Event hook: what happened, such as "email.received"; the same id each time it is tried.
POSTERN_API const char *postern_type(void) { return postern_value("type"); }
POSTERN_API const char *postern_event_id(void) { return postern_value("id"); }
POSTERN_API long long postern_attempt(void) { return postern_number(postern_value("attempt")); }
POSTERN_API const char *postern_detail(void) { return postern_value("detail"); }
// The event document, and the message's conversation: JSON, for postern_json.
#define POSTERN_DOC(import) ({ \
	int cap_ = 4096, n_; \
	char *dst_ = postern_alloc(cap_ + 1); \
	if ((n_ = import(dst_, cap_)) > cap_) cap_ = n_, dst_ = postern_alloc(cap_ + 1), n_ = import(dst_, cap_); \
	dst_[n_ < 0 ? 0 : n_] = 0; \
	(postern_bytes){dst_, n_}; \
})
POSTERN_API postern_bytes postern_event(void) { return POSTERN_DOC(postern_import_event); }
POSTERN_API postern_bytes postern_thread(void) { return POSTERN_DOC(postern_import_thread); }
// Reads decoded bytes of a MIME part from an offset on; 0 at its end, or an error. Part -1
// is the message as it came.
POSTERN_API int postern_part(int i, long long offset, void *dst, int cap) { return postern_import_part(i, offset, dst, cap); }

// What the plugin remembers. A key has 1 to 512 bytes, a value at most 64 KiB; 0 seconds is
// for good. They return 0 or an error; postern_kv_incr the counter's value.
POSTERN_API postern_bytes postern_kv_get(const char *key) { return POSTERN_READ(postern_import_kv_get, key, postern_len(key)); }
POSTERN_API int postern_kv_put_bytes(const char *key, const void *value, int len, long long ttl_seconds) { return postern_import_kv_put(key, postern_len(key), value, len, ttl_seconds); }
POSTERN_API int postern_kv_put(const char *key, const char *value, long long ttl_seconds) { return postern_kv_put_bytes(key, value, postern_len(value), ttl_seconds); }
POSTERN_API int postern_kv_delete(const char *key) { return postern_import_kv_delete(key, postern_len(key)); }
POSTERN_API long long postern_kv_incr(const char *key, long long delta, long long ttl_seconds) { return postern_import_kv_incr(key, postern_len(key), delta, ttl_seconds); }

// Keys that begin with a prefix: postern_keys k = {.prefix = "a"}; while ((key = postern_kv_list(&k))) ...
typedef struct {
	const char *prefix, *page, *next;
	int i, error;
} postern_keys;

POSTERN_API const char *postern_kv_list(postern_keys *k) {
	for (;;) {
		const char *key = k->page ? postern_json_get(k->page, postern_path("keys.", k->i++, "")) : 0;
		if (key || (k->page && !*k->next)) return key;
		const char *cursor = k->page ? k->next : "";
		postern_bytes page = POSTERN_READ(postern_import_kv_list, k->prefix, postern_len(k->prefix), cursor, postern_len(cursor));
		k->error = page.len < 0 ? page.len : 0;
		if (k->error) return 0;
		k->page = page.data;
		k->next = postern_json(page.data, "next");
		k->i = 0;
	}
}

// Asks a host that the manifest names; event and tick hooks. The request: postern_request,
// postern_request_header, postern_request_body. status is negative if there is no answer.
typedef struct {
	int status, handle;
	const char *head;
} postern_response;

POSTERN_API postern_object *postern_request(const char *method, const char *url) {
	postern_object *r = postern_new();
	postern_set(r, "method", method);
	postern_set(r, "url", url);
	return r;
}
POSTERN_API void postern_request_header(postern_object *r, const char *name, const char *value) {
	postern_buf *b = postern_grow(r, "headers", '[');
	postern_byte(b, '[');
	postern_quote(b, name);
	postern_byte(b, ',');
	postern_quote(b, value);
	postern_add(b, "]]");
}
POSTERN_API void postern_request_body(postern_object *r, const char *text) { postern_set(r, "body", text); }
POSTERN_API postern_response postern_http(postern_object *r) {
	const char *doc = postern_write(r);
	postern_response a = {0, postern_import_http(doc, postern_len(doc)), ""};
	postern_bytes head = {"", a.handle};
	if (a.handle >= 0) head = POSTERN_READ(postern_import_http_read, a.handle, -1);
	a.head = head.data;
	a.status = head.len < 0 ? head.len : (int)postern_number(postern_json(head.data, "status"));
	return a;
}
POSTERN_API postern_response postern_http_get(const char *url) { return postern_http(postern_request("GET", url)); }
// Sends a JSON text, as postern_write gives one, with a bearer's token unless that is empty.
POSTERN_API postern_response postern_http_post_json(const char *url, const char *json, const char *token) {
	postern_object *r = postern_request("POST", url);
	postern_request_header(r, "Content-Type", "application/json");
	if (*token) postern_request_header(r, "Authorization", postern_concat("Bearer ", token));
	postern_request_body(r, json);
	return postern_http(r);
}
POSTERN_API const char *postern_response_header(const postern_response *a, const char *name) {
	const char *n;
	for (int i = 0; (n = postern_json_get(a->head, postern_path("headers.", i, ".0"))); i++)
		if (postern_len(n) == postern_len(name) && postern_contains(n, name)) return postern_json(a->head, postern_path("headers.", i, ".1"));
	return "";
}
POSTERN_API postern_bytes postern_response_body(const postern_response *a) {
	int size = postern_number(postern_json(a->head, "size")), at = 0, n = 1;
	char *body = postern_alloc(size + 1);
	while (at < size && (n = postern_import_http_read(a->handle, at, body + at, size - at)) > 0) at += n;
	body[at] = 0;
	return (postern_bytes){body, n < 0 ? n : at};
}
// One value of a body in JSON, by its path; "" if there is none.
POSTERN_API const char *postern_response_string(const postern_response *a, const char *path) { return postern_json(postern_response_body(a).data, path); }

// A setting of this installation, and one that nobody is shown.
POSTERN_API const char *postern_config(const char *key) { return POSTERN_READ(postern_import_config, key, postern_len(key)).data; }
POSTERN_API const char *postern_secret(const char *key) { return postern_config(key); }
// The time of the call in Unix milliseconds: it stands still while a hook runs.
POSTERN_API long long postern_now(void) { return postern_import_now(); }
// The log that the tenant reads: at most 64 lines a call, of 1 KiB.
POSTERN_API void postern_log_debug(const char *text) { postern_import_log(0, text, postern_len(text)); }
POSTERN_API void postern_log_info(const char *text) { postern_import_log(1, text, postern_len(text)); }
POSTERN_API void postern_log_warn(const char *text) { postern_import_log(2, text, postern_len(text)); }
POSTERN_API void postern_log_error(const char *text) { postern_import_log(3, text, postern_len(text)); }

// What a hook decides: one of these, with something added by those below.
typedef postern_object postern_verdict;

POSTERN_API postern_verdict *postern_act(const char *action) {
	postern_verdict *v = postern_new();
	postern_set(v, "action", action);
	return v;
}
POSTERN_API postern_verdict *postern_refuse(const char *action, int code, const char *text) {
	postern_verdict *v = postern_act(action), *smtp = postern_new();
	postern_digits(postern_member(smtp, "code"), code, 1);
	postern_set(smtp, "text", text);
	postern_raw(v, "smtp", postern_write(smtp));
	return v;
}
POSTERN_API postern_verdict *postern_kept(const char *action, const char *reason) {
	postern_verdict *v = postern_act(action);
	postern_set(v, "reason", reason);
	return v;
}
POSTERN_API postern_verdict *postern_move(const char *op, const char *thread_id, const char *const *with, int count) {
	postern_verdict *v = postern_new(), *move = postern_new();
	postern_set(move, "op", op);
	postern_set(move, "thread_id", thread_id);
	for (int i = 0; i < count; i++) postern_list(move, "with", with[i]);
	postern_raw(v, "thread", postern_write(move));
	return v;
}
// Mail that arrives. reject: code is 550 to 559, or 0 for 550; text is one line for its sender.
POSTERN_API postern_verdict *postern_accept(void) { return postern_act("accept"); }
POSTERN_API postern_verdict *postern_reject(int code, const char *text) { return postern_refuse("reject", code, text); }
POSTERN_API postern_verdict *postern_tempfail(const char *text) { return postern_refuse("tempfail", 0, text); }
POSTERN_API postern_verdict *postern_quarantine(const char *reason) { return postern_kept("quarantine", reason); }
POSTERN_API postern_verdict *postern_discard(void) { return postern_act("discard"); }
// Mail that leaves.
POSTERN_API postern_verdict *postern_allow(void) { return postern_act("allow"); }
POSTERN_API postern_verdict *postern_deny(const char *text) { return postern_refuse("deny", 0, text); }
POSTERN_API postern_verdict *postern_hold(const char *reason) { return postern_kept("hold", reason); }
// Conversations: go to one, start one; have others go there too; start one with other messages.
POSTERN_API postern_verdict *postern_join(const char *thread_id) { return postern_move("join", thread_id, 0, 0); }
POSTERN_API postern_verdict *postern_new_thread(void) { return postern_move("new", "", 0, 0); }
POSTERN_API postern_verdict *postern_merge(const char *thread_id, const char *const *with, int count) { return postern_move("merge", thread_id, with, count); }
POSTERN_API postern_verdict *postern_split(const char *const *with, int count) { return postern_move("split", "", with, count); }

POSTERN_API void postern_folder(postern_verdict *v, const char *name) { postern_set(v, "folder", name); }
POSTERN_API void postern_label(postern_verdict *v, const char *label) { postern_list(v, "labels", label); }
POSTERN_API void postern_unlabel(postern_verdict *v, const char *label) { postern_list(v, "unlabel", label); }
// Sets a flag: \Seen, \Flagged or \Answered.
POSTERN_API void postern_flag(postern_verdict *v, const char *flag) { postern_list(v, "flags", flag); }
// Sends it on to an address instead of keeping it, or with postern_keep as well.
POSTERN_API void postern_redirect(postern_verdict *v, const char *addr) { postern_list(v, "redirect", addr); }
POSTERN_API void postern_keep(postern_verdict *v) { postern_raw(v, "keep", "true"); }
POSTERN_API void postern_edit_header(postern_verdict *v, const char *op, const char *name, const char *value) {
	postern_object *edit = postern_new();
	postern_set(edit, "op", op);
	postern_set(edit, "name", name);
	postern_set(edit, "value", value);
	postern_buf *b = postern_grow(v, "headers", '[');
	postern_add(b, postern_write(edit));
	postern_byte(b, ']');
}
// Header fields; to set and delete them is for mail that leaves, as are the next five.
POSTERN_API void postern_add_header(postern_verdict *v, const char *name, const char *value) { postern_edit_header(v, "add", name, value); }
POSTERN_API void postern_set_header(postern_verdict *v, const char *name, const char *value) { postern_edit_header(v, "set", name, value); }
POSTERN_API void postern_delete_header(postern_verdict *v, const char *name) { postern_edit_header(v, "delete", name, ""); }
POSTERN_API void postern_set_subject(postern_verdict *v, const char *text) { postern_set(v, "subject", text); }
POSTERN_API void postern_body(postern_verdict *v, const char *text, const char *html) {
	postern_object *body = postern_new();
	postern_set(body, "text", text);
	postern_set(body, "html", html);
	postern_raw(v, "body", postern_write(body));
}
POSTERN_API void postern_tag(postern_verdict *v, const char *name, const char *value) { postern_pairs(v, "tags", name, value); }
POSTERN_API void postern_remove(postern_verdict *v, const char *addr) { postern_list(v, "remove", addr); }
// A time in Unix milliseconds as RFC 3339 writes it, in whole seconds.
POSTERN_API const char *postern_rfc3339(long long ms) {
	long long days = ms / 86400000 + 719468, second = ms / 1000 % 86400, era = days / 146097, day = days % 146097; // years begin in March
	int year = (day - day / 1460 + day / 36524 - day / 146096) / 365, of_year = day - (365 * year + year / 4 - year / 100);
	int m = (5 * of_year + 2) / 153, month = m < 10 ? m + 3 : m - 9;
	postern_buf b = {0};
	postern_digits(&b, year + era * 400 + (month < 3), 4);
	const int rest[] = {month, of_year - (153 * m + 2) / 5 + 1, second / 3600, second / 60 % 60, second % 60};
	for (int i = 0; i < 5; i++) postern_byte(&b, "--T::"[i]), postern_digits(&b, rest[i], 2);
	postern_byte(&b, 'Z');
	return b.p;
}
// Keeps mail until then, in Unix milliseconds, unless somebody releases it before.
POSTERN_API postern_verdict *postern_hold_until(const char *reason, long long ms) {
	postern_verdict *v = postern_hold(reason);
	postern_object *hold = postern_new();
	postern_set(hold, "until", postern_rfc3339(ms));
	postern_raw(v, "hold", postern_write(hold));
	return v;
}
// A score of up to six decimals, below a million million.
POSTERN_API void postern_score(postern_verdict *v, double score) {
	postern_buf *b = postern_member(v, "score");
	b->n = 0;
	if (!(score > -1e12 && score < 1e12)) score = 0;
	if (score < 0) postern_byte(b, '-'), score = -score;
	long long micro = (long long)(score * 1e6 + 0.5);
	postern_digits(b, micro / 1000000, 1);
	postern_byte(b, '.');
	postern_digits(b, micro % 1000000, 6);
}
POSTERN_API void postern_reason(postern_verdict *v, const char *text) { postern_set(v, "reason", text); }
// The last word: no plugin after this one is asked.
POSTERN_API void postern_final(postern_verdict *v) { postern_raw(v, "final", "true"); }

// What answers a message, and mail that stands for itself: an object of these members.
POSTERN_API postern_object *postern_new_reply(const char *text) {
	postern_object *r = postern_new();
	postern_set(r, "text", text);
	return r;
}
POSTERN_API void postern_reply(postern_verdict *v, postern_object *reply) { postern_raw(v, "reply", postern_write(reply)); }
POSTERN_API postern_object *postern_mail(const char *to) {
	postern_object *m = postern_new();
	postern_list(m, "to", to);
	return m;
}
POSTERN_API void postern_mail_header(postern_object *mail, const char *name, const char *value) {
	postern_buf *b = postern_grow(mail, "headers", '{');
	postern_quote(b, name);
	postern_byte(b, ':');
	postern_quote(b, value);
	postern_byte(b, '}');
}
// Sends mail once, if the call ends well: 0, or an error.
POSTERN_API int postern_send(postern_object *mail) {
	const char *doc = postern_write(mail);
	return postern_import_send(doc, postern_len(doc));
}

// Tells the gateway what a hook decided. A hook that returns 0 has failed.
POSTERN_API int postern_answer(postern_verdict *v) {
	if (!v) return 1;
	const char *doc = postern_write(v);
	int refused = postern_import_verdict(doc, postern_len(doc));
	if (!refused) return 0;
	postern_log_error(postern_concat("the verdict is refused: ", postern_strerror(refused)));
	return 2;
}

// The hooks: functions that take nothing and return a postern_verdict *. That of events is
// tried again if it fails. That of ticks is about no message: it returns 0, or 1 if it failed.
#define POSTERN_HOOK(hook, f) __attribute__((export_name("postern_" #hook))) int postern_hook_##hook(void) { return postern_answer(f()); }
#define POSTERN_INBOUND(f) POSTERN_HOOK(inbound, f)
#define POSTERN_OUTBOUND(f) POSTERN_HOOK(outbound, f)
#define POSTERN_THREAD(f) POSTERN_HOOK(thread, f)
#define POSTERN_ON_EVENT(f) POSTERN_HOOK(event, f)
#define POSTERN_ON_STORED(f) \
	static postern_verdict *postern_stored(void) { return postern_equal(postern_type(), "email.received") ? f() : postern_accept(); } \
	POSTERN_HOOK(event, postern_stored)
#define POSTERN_ON_TICK(f) __attribute__((export_name("postern_tick"))) int postern_hook_tick(void) { return f(); }

// Tick hook: when it was due, and when the one before was ("" for the first), RFC 3339.
POSTERN_API const char *postern_scheduled(void) { return postern_value("scheduled"); }
POSTERN_API const char *postern_previous(void) { return postern_value("previous"); }

// How much memory calls find free: one whose memory has to grow costs its instance.
enum { POSTERN_HEADROOM = 128 << 10 };

// What the gateway runs once, before the first call. 1: that is all there is to make ready.
__attribute__((export_name("postern_init"), weak)) int postern_init(void) {
	postern_top = 0;
	postern_alloc(POSTERN_HEADROOM);
	postern_top = 0;
	return 1;
}

#endif
