package dashboard

// Pages are all routes, for tests that must miss none: method and path, and whether it is
// open to who is not signed in.
func Pages() (all []Page) {
	for i := range routes {
		r := &routes[i]
		all = append(all, Page{r.Method, prefix + r.Path, r.Who&open != 0, r.Who&account != 0, r.Who&domain != 0})
	}
	return all
}

// Page is one route.
type Page struct {
	Method, Path          string
	Open, Account, Domain bool
}

// Static is what pages load.
var Static = files
