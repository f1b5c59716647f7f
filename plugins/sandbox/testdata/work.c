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
