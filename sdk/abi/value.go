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
	v, of := reflect.ValueOf(e).Elem(), shapeOfEvent()
	for step := range strings.SplitSeq(path, ".") {
		if v, of, ok = of.at(v, step); !ok {
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

// shape says of a struct where the field of each name in JSON is, and of what shape what is
// in it is; of a list, what its elements are. Others have none.
type shape struct {
	fields map[string]member
	each   *shape
}

type member struct {
	index int
	shape *shape
}

// shapeOfEvent is found out once: what reflection tells costs as much as a plugin's whole
// call.
var shapeOfEvent = sync.OnceValue(func() *shape { return shapeOf(reflect.TypeFor[Event]()) })

func shapeOf(t reflect.Type) *shape {
	switch t.Kind() {
	case reflect.Struct:
		s := &shape{fields: make(map[string]member, t.NumField())}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			s.fields[name] = member{i, shapeOf(t.Field(i).Type)}
		}
		return s
	case reflect.Slice, reflect.Array:
		return &shape{each: shapeOf(t.Elem())}
	}
	return nil
}

// at is what a step leads to, and of what shape it is; ok is false if it leads nowhere.
func (s *shape) at(v reflect.Value, step string) (in reflect.Value, of *shape, ok bool) {
	switch {
	case s == nil:
		return v, nil, false
	case s.fields != nil:
		f, ok := s.fields[step]
		if !ok {
			return v, nil, false
		}
		return v.Field(f.index), f.shape, true
	}
	i, err := strconv.Atoi(step)
	if err != nil || i < 0 || i >= v.Len() {
		return v, nil, false
	}
	return v.Index(i), s.each, true
}
