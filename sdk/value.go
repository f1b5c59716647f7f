package sdk

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
)

var (
	errValue = errors.New("sdk: this writes maps by string, slices, strings, numbers, booleans, nil and what has MarshalJSON; make a json.RawMessage of anything else")
	errDeep  = errors.New("sdk: this value is nested too deep")
)

// deepest is how deep a value may nest that is written: one that holds itself has no end.
// Ours.
const deepest = 200

// appendValue writes a value in JSON, without reflection: what encoding/json would say, and
// not all that it can.
func appendValue(b []byte, v any, deep int) ([]byte, error) {
	if deep > deepest {
		return nil, errDeep
	}
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case interface{ MarshalJSON() ([]byte, error) }:
		doc, err := v.MarshalJSON()
		if err == nil {
			_, err = decode(doc, (*scanner).raw)
		}
		return append(b, doc...), err
	case string:
		return appendText(b, v), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case []any:
		return appendList(b, v, deep)
	case []string:
		return appendList(b, v, deep)
	case []map[string]any:
		return appendList(b, v, deep)
	case []map[string]string:
		return appendList(b, v, deep)
	case map[string]any:
		return appendMap(b, v, deep)
	case map[string]string:
		return appendMap(b, v, deep)
	}
	return appendNumber(b, v)
}

func appendNumber(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case int:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int32:
		return strconv.AppendInt(b, int64(v), 10), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case uint32:
		return strconv.AppendUint(b, uint64(v), 10), nil
	case uint64:
		return strconv.AppendUint(b, v, 10), nil
	case float64:
		if !math.IsNaN(v) && !math.IsInf(v, 0) { // JSON has no words for these
			return strconv.AppendFloat(b, v, 'g', -1, 64), nil
		}
	}
	return nil, errValue
}

func appendList[T any](b []byte, list []T, deep int) (_ []byte, err error) {
	b = append(b, '[')
	for i, v := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendValue(b, v, deep+1); err != nil {
			return nil, err
		}
	}
	return append(b, ']'), nil
}

func appendMap[T any](b []byte, m map[string]T, deep int) (_ []byte, err error) {
	b = append(b, '{')
	for i, name := range slices.Sorted(maps.Keys(m)) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendText(b, name), ':')
		if b, err = appendValue(b, m[name], deep+1); err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}
