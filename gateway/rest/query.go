package rest

import (
	"strconv"
	"strings"
	"time"

	"github.com/centerleap/postern/gateway"
)

// Readers of query parameters. What can't be read is InvalidParameter and names
// its parameter.

// number reads a query parameter that counts from 1.
func (k *call) number(name string, def int) (int, error) {
	v := k.c.Query(name)
	if v == "" {
		return def, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 1<<30 {
		return 0, gateway.Fieldf(gateway.InvalidParameter, name, "%s is a whole number from 1", name)
	}
	return n, nil
}

// flag reads a query parameter that is true or false; false if it is not there.
func (k *call) flag(name string) (bool, error) {
	v := k.c.Query(name)
	if v == "" {
		return false, nil
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		err = gateway.Fieldf(gateway.InvalidParameter, name, "%s is true or false", name)
	}
	return on, err
}

// choice is flag with nil for a parameter that is not there.
func (k *call) choice(name string) (*bool, error) {
	if k.c.Query(name) == "" {
		return nil, nil
	}
	on, err := k.flag(name)
	return &on, err
}

// time reads a time as RFC 3339 writes it; zero if it is not there.
func (k *call) time(name string) (t time.Time, err error) {
	v := k.c.Query(name)
	if v == "" {
		return t, nil
	}
	if t, err = time.Parse(time.RFC3339, v); err != nil {
		err = gateway.Fieldf(gateway.InvalidParameter, name, "%s is a time such as 2026-03-19T18:00:00Z", name)
	}
	return t, err
}

// uuid reads an id; zero if it is not there.
func (k *call) uuid(name string) (id gateway.ID, err error) {
	v := k.c.Query(name)
	if v == "" {
		return id, nil
	}
	if id, err = gateway.ParseID(v); err != nil {
		err = gateway.Fieldf(gateway.InvalidParameter, name, "%s is an id", name)
	}
	return id, err
}

// tag reads name or name:value; nil if it is not there.
func (k *call) tag() (*gateway.TagFilter, error) {
	v := k.c.Query("tag")
	if v == "" {
		return nil, nil
	}
	return gateway.ParseTagFilter(v)
}

// words reads what a list is searched for.
func words(v string) (string, error) {
	if strings.TrimSpace(v) == "" {
		return "", gateway.Fieldf(gateway.InvalidParameter, "q", "q holds no word")
	}
	return v, nil
}
