// What a plugin in C does: it looks at every byte of an event. Built by the tests where
// there is a clang that knows wasm32.
static unsigned char doc[8192];

__attribute__((import_module("postern_v1"), import_name("event"))) int event(void *dst, int len);

__attribute__((export_name("postern_inbound"))) int inbound(void) {
	int n = event(doc, sizeof doc), quotes = 0, depth = 0, deepest = 0;
	for (int i = 0; i < n; i++) {
		if (doc[i] == '"') quotes++;
		if (doc[i] == '{') depth++;
		if (doc[i] == '}') depth--;
		if (depth > deepest) deepest = depth;
	}
	return deepest > 0 ? 0 : quotes;
}

__attribute__((import_module("postern_v1"), import_name("header"))) int header(const char *name, int len, int index, void *dst, int room);
__attribute__((import_module("postern_v1"), import_name("verdict"))) int verdict(const void *doc, int len);

static char subject[512], from[512], list[512];

// contains reports whether a text has a word in it; case does not matter.
static int contains(const char *text, int n, const char *word, int len) {
	for (int i = 0; i + len <= n; i++) {
		int j = 0;
		for (; j < len; j++) {
			char c = text[i + j];
			if (c >= 'A' && c <= 'Z') c += 'a' - 'A';
			if (c != word[j]) break;
		}
		if (j == len) return 1;
	}
	return 0;
}

#define SAY(doc) verdict(doc, sizeof doc - 1)

// The decision of testdata/plans from three header fields.
__attribute__((export_name("postern_outbound"))) int outbound(void) {
	int s = header("subject", 7, 0, subject, sizeof subject), f = header("from.addr", 9, 0, from, sizeof from);
	int l = header("List-Unsubscribe", 16, 0, list, sizeof list);
	if (contains(from, f, "@spam.example", 13)) return SAY("{\"action\":\"reject\"}");
	if (contains(subject, s, "lottery", 7)) return SAY("{\"action\":\"accept\",\"folder\":\"Junk\",\"labels\":[\"spam\"]}");
	if (contains(subject, s, "invoice", 7) && l < 0) return SAY("{\"action\":\"accept\",\"labels\":[\"invoice\"]}");
	return SAY("{\"action\":\"accept\"}");
}
