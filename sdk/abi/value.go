package abi

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// Value returns one value of the document by its path, as the import get does: the
// steps are the names in its JSON, and indexes, such as to.0.addr. Booleans are true
// and false, numbers decimal. ok is false if there is no such value, or if it is not
// one but many.
func (e *Event) Value(path string) (value string, ok bool) {
	v := reflect.ValueOf(e).Elem()
	for step := range strings.SplitSeq(path, ".") {
		switch v.Kind() {
		case reflect.Struct:
			if v = field(v, step); !v.IsValid() {
				return "", false
			}
		case reflect.Slice, reflect.Array:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= v.Len() {
				return "", false
			}
			v = v.Index(i)
		default:
			return "", false
		}
	}
	switch v.Kind() {
	case reflect.String:
		return v.String(), true
	case reflect.Bool:
		return strconv.FormatBool(v.Bool()), true
	case reflect.Int, reflect.Int64:
		return strconv.FormatInt(v.Int(), 10), true
	case reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, 64), true
	}
	return "", false
}

// positions says of each type of struct where the field of each name in JSON is. It is
// found out once: what reflection tells costs as much as a plugin's whole call.
var positions sync.Map

func field(v reflect.Value, name string) reflect.Value {
	of, known := positions.Load(v.Type())
	if !known {
		names := make(map[string]int, v.NumField())
		for i := range v.NumField() {
			tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			names[tag] = i
		}
		of, _ = positions.LoadOrStore(v.Type(), names)
	}
	if i, ok := of.(map[string]int)[name]; ok {
		return v.Field(i)
	}
	return reflect.Value{}
}
