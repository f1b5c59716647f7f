package imapd

import (
	"fmt"
	"slices"
	"strings"
)

// Extensions are the capabilities that our front adds to the library's. An operator
// can hide each, as long as a client of theirs gets it wrong; a hidden one is not
// served either.
var Extensions = []string{
	"CONDSTORE", // RFC 7162, and the next, which goes with it
	"QRESYNC",
	"OBJECTID", // RFC 8474
	"QUOTA",    // RFC 9208
	"SORT",     // RFC 5256, 5957 and 5267; THREAD is of the first, too
	"THREAD",
}

// CheckExtension says what is wrong with the name of an extension to hide.
func CheckExtension(name string) error {
	if !slices.Contains(Extensions, strings.ToUpper(name)) {
		return fmt.Errorf("one of %s is expected, not %q", strings.Join(Extensions, ", "), name)
	}
	return nil
}

// offers are the extensions that are served, by name.
type offers map[string]bool

func offersWithout(hidden []string) offers {
	o := make(offers)
	for _, name := range Extensions {
		o[name] = !slices.ContainsFunc(hidden, func(h string) bool { return strings.EqualFold(h, name) })
	}
	o["QRESYNC"] = o["QRESYNC"] && o["CONDSTORE"]
	return o
}

// shown is how capabilities name what has more names than one.
var shown = map[string]string{
	"SORT":   "SORT SORT=DISPLAY ESORT",
	"THREAD": "THREAD=REFERENCES",
	"QUOTA":  "QUOTA QUOTA=RES-STORAGE", // RFC 9208 section 3
}

// String is how capabilities show them, a space before each.
func (o offers) String() string {
	var b strings.Builder
	for _, name := range Extensions {
		if more, ok := shown[name]; ok && o[name] {
			b.WriteString(" " + more)
		} else if o[name] {
			b.WriteString(" " + name)
		}
	}
	return b.String()
}
