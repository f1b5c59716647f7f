package rest

import (
	"slices"

	"github.com/centerleap/postern/gateway"
)

// pageLimit is how many items the caller wants, at most those of a page.
func (s *Server) pageLimit(k *call) (int, error) {
	n, err := k.number("limit", defaultPage)
	return min(n, int(s.cfg.Limits.PageSize)), err
}

// span is the part of a list that the caller wants, by the ids of its items.
func (s *Server) span(k *call) (w gateway.Span, err error) {
	if w.Most, err = s.pageLimit(k); err != nil {
		return w, err
	}
	if w.After, err = k.afterID(); err != nil {
		return w, err
	}
	v := k.c.Query("before")
	if v == "" {
		return w, nil
	}
	if w.Before, err = gateway.ParseID(v); err != nil {
		return w, gateway.Fieldf(gateway.InvalidParameter, "before", "before is the id of the first item of the page after")
	}
	return w, k.oneCursor()
}

// oneCursor refuses after and before at once.
func (k *call) oneCursor() error {
	if k.c.Query("after") != "" && k.c.Query("before") != "" {
		return gateway.Fieldf(gateway.InvalidParameter, "before", "after and before exclude each other")
	}
	return nil
}

// asked reports whether the caller wants a part of a list that is shown whole otherwise.
func (k *call) asked() bool {
	return k.c.Query("limit") != "" || k.c.Query("after") != "" || k.c.Query("before") != ""
}

// spanOf is the span that the caller wants of a list that is short, and whole.
func spanOf[T any](s *Server, k *call, all []T, id func(*T) string) (page []T, more bool, err error) {
	if !k.asked() {
		return all, false, nil
	}
	most, err := s.pageLimit(k)
	if err == nil {
		err = k.oneCursor()
	}
	name, v, at := "after", k.c.Query("after"), -1
	if before := k.c.Query("before"); before != "" {
		name, v = "before", before
	}
	if v != "" && err == nil {
		if at = slices.IndexFunc(all, func(item T) bool { return id(&item) == v }); at < 0 {
			err = gateway.Fieldf(gateway.InvalidParameter, name, "%s names nothing that could be listed", name)
		}
	}
	switch {
	case err != nil:
		return nil, false, err
	case name == "before":
		from := max(0, at-most)
		return all[from:at], from > 0, nil
	}
	to := min(len(all), at+1+most)
	return all[at+1 : to], to < len(all), nil
}

// afterID is the id behind which a page begins; zero for the first.
func (k *call) afterID() (id gateway.ID, err error) {
	v := k.c.Query("after")
	if v == "" {
		return id, nil
	}
	if id, err = gateway.ParseID(v); err != nil {
		return id, gateway.Fieldf(gateway.InvalidParameter, "after", "after is the id of the last item of the page before")
	}
	return id, nil
}
