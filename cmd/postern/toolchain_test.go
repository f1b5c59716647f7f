package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// npmFolder is above the one where .ci/setup has npm put asc.
const npmFolder = "../../.ci/node"

// withCompilers has a script find the compilers of plugins, and Go its cache. Nothing is
// fetched.
func withCompilers(e *testscript.Env) error {
	npm, err := filepath.Abs(filepath.Join(npmFolder, "node_modules", ".bin"))
	if err != nil {
		return err
	}
	cache := os.Getenv("GOCACHE")
	if cache == "" {
		if cache, err = os.UserCacheDir(); err != nil {
			return err
		}
		cache = filepath.Join(cache, "go-build")
	}
	e.Setenv("PATH", e.Getenv("PATH")+string(os.PathListSeparator)+npm)
	e.Setenv("GOCACHE", cache)
	e.Setenv("GOPROXY", "off")
	e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
	return nil
}

// builds is the condition [builds:LANG]: something here builds plugins in a language. In CI
// something has to.
func builds(cond string) (bool, error) {
	name, ok := strings.CutPrefix(cond, "builds:")
	if !ok {
		return false, fmt.Errorf("there is no condition %s", cond)
	}
	l, err := languageNamed(name)
	if err != nil {
		return false, err
	}
	found := l.tool(npmFolder) != ""
	if !found && os.Getenv("CI") == "true" {
		return false, fmt.Errorf("nothing here builds plugins in %s: .ci/setup installs %s", name, l.needs)
	}
	return found, nil
}
