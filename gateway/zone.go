package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// ZoneLine is a DNS record as a zone file has it, RFC 1035 section 5.1. Type is MX, with
// a priority, or TXT.
func ZoneLine(name, typ string, priority int, value string) string {
	if typ == "MX" {
		return fmt.Sprintf("%s. IN MX %d %s.", name, priority, value)
	}
	return fmt.Sprintf("%s. IN TXT %s", name, zoneText(value))
}

// zoneStrings is the most that one string of a TXT record holds, RFC 1035 section 3.3.
const zoneStrings = 255

// zoneText is a text in quotes, in as many strings as it needs.
func zoneText(s string) string {
	var out []string
	for piece := range slices.Chunk([]byte(s), zoneStrings) {
		out = append(out, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(string(piece))+`"`)
	}
	return strings.Join(out, " ")
}
