package serve

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// variablePrefix starts the name of every variable of ours.
const variablePrefix = "POSTERN_"

// variable is the name of a setting in the environment.
func variable(name string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

// LoadEnv applies variables such as POSTERN_REST_LISTEN. One that looks like a
// setting and is none is a fault; others, such as the POSTERN_URL of the
// commands, are left alone. POSTERN_DATA is the short name of the data folder,
// which commands and gateway share.
func (c *Config) LoadEnv(environ []string) error {
	environ = slices.Clone(environ)
	slices.Sort(environ) // POSTERN_DATA before POSTERN_SERVER_DATA
	var faults []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if !strings.HasPrefix(name, variablePrefix) {
			continue
		}
		if err := c.setVariable(name, value); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(faults...)
}

func (c *Config) setVariable(name, value string) error {
	if name == "POSTERN_DATA" {
		return c.Set("server.data", value)
	}
	for _, s := range table {
		if variable(s.name) == name {
			return c.Set(s.name, value)
		}
	}
	first, rest, _ := strings.Cut(strings.ToLower(strings.TrimPrefix(name, variablePrefix)), "_")
	if isTable(first) {
		return fmt.Errorf("unknown setting; did you mean %s?", variable(nearest(first+"."+rest)))
	}
	return nil
}
