#include "postern.h"

static int asked;

static int ends(const char *text, const char *end) {
	int n = postern_len(text), m = postern_len(end);
	return n >= m && postern_equal(text + n - m, end);
}

static postern_verdict *rule(void) {
	asked++;
	postern_verdict *v;
	if (postern_contains(postern_header("Subject"), "invoice") && !ends(postern_header("From"), "@bank.example>")) {
		v = postern_quarantine("an invoice of a stranger");
	} else {
		v = postern_accept();
		if (postern_len(postern_header("List-Unsubscribe")) > 0)
			postern_folder(v, "Newsletters");
	}
	postern_label(v, asked == 1 ? "n1" : "more");
	return v;
}

POSTERN_INBOUND(rule)
