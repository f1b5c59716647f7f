package threading

import "strings"

// SortSubject is the base subject of RFC 5256 section 2.1, to the letter: what
// SORT compares. BaseSubject, which decides about conversations, knows the reply
// words of other languages and keeps the name of a list that stands alone.
func SortSubject(s string) string {
	s = collapse(s) // step 1
	for {
		for { // step 2
			t := strings.TrimRight(s, " ")
			if len(t) >= 5 && strings.EqualFold(t[len(t)-5:], "(fwd)") {
				t = t[:len(t)-5]
			}
			if t == s {
				break
			}
			s = t
		}
		s = stripLeaders(s)
		inner, forwarded := stripForward(s) // step 6
		if !forwarded {
			return s
		}
		s = inner
	}
}

// collapse is step 1: tabs and line ends count as spaces, and many as one.
func collapse(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) }), " ")
}

// stripLeaders is steps 3 to 5: it removes what stands before a subject until
// nothing more can go. A blob alone goes only if something is left.
func stripLeaders(s string) string {
	for {
		s = strings.TrimLeft(s, " ")
		rest, ok := stripRefwd(s)
		if !ok {
			break
		}
		s = rest
	}
	for {
		rest, ok := stripBlob(s)
		if !ok || rest == "" {
			return s // behind the blobs that went stood no word, and none does now
		}
		s = rest
	}
}

// stripRefwd removes "[blob] Re [blob]:" and its like.
func stripRefwd(s string) (rest string, ok bool) {
	for blob := true; blob; {
		s, blob = stripBlob(s)
	}
	for _, word := range []string{"re", "fwd", "fw"} {
		if len(s) < len(word) || !strings.EqualFold(s[:len(word)], word) {
			continue
		}
		rest, _ = stripBlob(strings.TrimLeft(s[len(word):], " "))
		if rest, ok = strings.CutPrefix(rest, ":"); ok {
			return rest, true
		}
	}
	return s, false
}

// stripBlob removes "[text] ".
func stripBlob(s string) (rest string, ok bool) {
	if !strings.HasPrefix(s, "[") {
		return s, false
	}
	end := strings.IndexAny(s[1:], "[]") + 1
	if end == 0 || s[end] == '[' {
		return s, false
	}
	return strings.TrimLeft(s[end+1:], " "), true
}

// stripForward removes "[fwd: " and "]" around a subject.
func stripForward(s string) (inner string, ok bool) {
	if len(s) < 6 || !strings.EqualFold(s[:5], "[fwd:") || !strings.HasSuffix(s, "]") {
		return s, false
	}
	return s[5 : len(s)-1], true
}
