package sdk

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// objectWriter writes the members of one JSON object; empty ones are left out.
type objectWriter struct {
	b    []byte
	some bool // a member is written
}

// name writes the name of a member as it stands in JSON: quoted, with its colon.
func (w *objectWriter) name(quoted string) {
	if w.some {
		w.b = append(w.b, ',')
	}
	w.some = true
	w.b = append(w.b, quoted...)
}

// What follows looks whether there is something to write, and is small enough to become
// part of its caller: a guest pays for every call, and most members are empty.

func (w *objectWriter) text(name, v string) {
	if v != "" {
		w.addText(name, v)
	}
}

func (w *objectWriter) number(name string, v float64) {
	if v != 0 {
		w.addNumber(name, v)
	}
}

func (w *objectWriter) yes(name string, v bool) {
	if v {
		w.addTrue(name)
	}
}

func (w *objectWriter) texts(name string, list []string) {
	if len(list) > 0 {
		w.addTexts(name, list)
	}
}

func (w *objectWriter) addText(name, v string) {
	w.name(name)
	w.b = appendText(w.b, v)
}

func (w *objectWriter) addNumber(name string, v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) { // JSON has no words for these
		w.name(name)
		w.b = strconv.AppendFloat(w.b, v, 'g', -1, 64)
	}
}

func (w *objectWriter) addTrue(name string) {
	w.name(name)
	w.b = append(w.b, "true"...)
}

func (w *objectWriter) addTexts(name string, list []string) {
	w.name(name)
	for i, v := range list {
		w.b = appendText(append(w.b, "[,"[min(i, 1)]), v)
	}
	w.b = append(w.b, ']')
}

func (w *objectWriter) object(name string, fill func(*objectWriter)) {
	w.name(name)
	w.b = append(w.b, '{')
	in := objectWriter{b: w.b}
	fill(&in)
	w.b = in.b
	w.b = append(w.b, '}')
}

// objects writes an array of objects, each of which fill writes.
func objects[T any](w *objectWriter, name string, list []T, fill func(*objectWriter, *T)) {
	w.name(name)
	for i := range list {
		w.b = append(w.b, "[,"[min(i, 1)], '{')
		in := objectWriter{b: w.b}
		fill(&in, &list[i])
		w.b = in.b
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
}

const hex = "0123456789abcdef"

// appendText writes a JSON string; bytes that are not UTF-8 become U+FFFD.
func appendText(b []byte, s string) []byte {
	b = append(b, '"')
	if plain(s) {
		return append(append(b, s...), '"')
	}
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// plain reports whether a text is ASCII that JSON has no other way to write.
func plain(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
