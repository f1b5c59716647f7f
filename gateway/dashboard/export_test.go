package dashboard

import "strings"

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

// Settings are what the form of a plugin's settings makes of a configuration that it shows.
func Settings(config map[string]string) (map[string]string, error) {
	read, err := readSettings(strings.ReplaceAll(settingsText(config), "\n", "\r\n"))
	if err != nil {
		return nil, err
	}
	return *read, nil
}
