package gateway

import (
	"strconv"
	"strings"
)

// StatusClass reads the enhanced status code at the start of what a host said, such as
// 5.1.1, and names what it is about. Both are empty if there is none. Source: RFC 3463
// sections 2 and 3.
func StatusClass(words string) (code, class string) {
	code, _, _ = strings.Cut(words, " ")
	parts := strings.Split(code, ".")
	if len(parts) != 3 || parts[0] != "2" && parts[0] != "4" && parts[0] != "5" {
		return "", ""
	}
	for _, p := range parts[1:] {
		if n, err := strconv.ParseUint(p, 10, 16); err != nil || n > 999 || len(p) > 1 && p[0] == '0' {
			return "", ""
		}
	}
	subjects := [...]string{"other", "address", "mailbox", "mail system", "network and routing", "protocol", "content", "security or policy"}
	if n, _ := strconv.Atoi(parts[1]); n < len(subjects) {
		return code, subjects[n]
	}
	return code, subjects[0]
}
