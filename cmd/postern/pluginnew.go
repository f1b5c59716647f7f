package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern"
	"github.com/centerleap/postern/gateway"
)

// templates are what new plugins are made of: a file for each language and hook.
//
//go:embed templates
var templates embed.FS

// newPlugin is what the templates are filled with.
type newPlugin struct {
	Name, Hook, Lang, Source, SDK, Needs, GoVersion string
}

var (
	pluginName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$`)
	goVersion  = regexp.MustCompile(`(?m)^go (\S+)$`)
)

// hookNeeds is what a manifest says for the plugin of each hook.
var hookNeeds = map[string]map[string]any{
	string(gateway.HookInbound): {}, string(gateway.HookOutbound): {}, string(gateway.HookEvent): {},
	string(gateway.HookThread): {"permissions": []string{"thread"}},
	string(gateway.HookTick):   {"permissions": []string{"kv"}, "tick_seconds": 60},
}

func (p *pluginsCommand) create() *cobra.Command {
	var lang, hook string
	cmd := &cobra.Command{
		Use: "new NAME", Short: "Make a folder with a plugin to start from", Args: cobra.ExactArgs(1),
		Long: `Make a folder NAME with a plugin to start from: a small filter that is of use at
once, its manifest, a mail to try it on, and the SDK. Nothing has to be fetched to
build it, but for the language's compiler.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			l, err := languageNamed(lang)
			if err != nil {
				return err
			}
			if !pluginName.MatchString(name) {
				return errors.New("NAME must be of 1 to 64 letters, digits and . _ + -")
			}
			if hookNeeds[hook] == nil {
				return fmt.Errorf("--hook is inbound, outbound, thread, event or tick, not %q", hook)
			}
			if err := makePlugin(name, l, hook); err != nil {
				return err
			}
			if p.asJSON {
				return printJSON(cmd, map[string]string{"folder": name, "lang": lang, "hook": hook})
			}
			return p.printf(cmd, "%s", nextSteps(name, l, hook))
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "go", "go, rust, c or assemblyscript")
	cmd.Flags().StringVar(&hook, "hook", "inbound", "when it is asked: inbound, outbound, thread, event or tick")
	return cmd
}

// nextSteps are for where the command was run, which is where the gateway's data may be.
func nextSteps(name string, l *language, hook string) string {
	mail := " " + name + "/mail.eml"
	if hook == string(gateway.HookTick) {
		mail = ""
	}
	lines := []string{name + "/" + l.source + " is a plugin for the hook " + hook + ". Next:"}
	switch l.name {
	case "go":
		lines = append(lines, "  go -C "+name+" test")
	case "assemblyscript":
		lines = append(lines, "  npm install --prefix "+name)
	}
	lines = append(lines, "  postern plugin build "+name, "  postern plugin test "+name+"/"+moduleFile+mail, "  postern plugin push "+name+" --enable --domain demo.localhost")
	return strings.Join(lines, "\n") + "\n"
}

// makePlugin fills a folder that is not there yet.
func makePlugin(name string, l *language, hook string) error {
	files, err := filesOf(name, l, hook)
	if err != nil {
		return err
	}
	if err := os.Mkdir(name, 0o755); err != nil { //nolint:gosec // sources are no secret
		return err
	}
	for file, text := range files {
		to := filepath.Join(name, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // likewise
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil { //nolint:gosec // likewise
			return err
		}
	}
	return nil
}

// filesOf are the files of a new plugin.
func filesOf(name string, l *language, hook string) (map[string][]byte, error) {
	mod, err := postern.SDKs.ReadFile("go.mod")
	if err != nil {
		return nil, err
	}
	in := newPlugin{Name: name, Hook: hook, Lang: l.name, Source: l.source, SDK: path.Base(l.sdk), Needs: l.needs, GoVersion: string(goVersion.FindSubmatch(mod)[1])}
	files := map[string][]byte{".gitignore": []byte(moduleFile + "\nnode_modules/\n")}
	from := map[string]string{"README.md": "README.md", l.source: l.name + "/" + hook + path.Ext(l.source)}
	switch l.name {
	case "go":
		from["main_test.go"], from["go.mod"], from["postern/go.mod"] = "go/"+hook+"_test.go", "go/go.mod", "go/sdk.mod"
	case "assemblyscript":
		from["package.json"] = "assemblyscript/package.json"
	}
	for file, t := range from {
		if files[file], err = filled(t, &in); err != nil {
			return nil, err
		}
	}
	if hook != string(gateway.HookTick) {
		if files["mail.eml"], err = templates.ReadFile("templates/mail/" + hook + ".eml"); err != nil {
			return nil, err
		}
	}
	if files["manifest.json"], err = manifestOf(name, hook); err != nil {
		return nil, err
	}
	return files, addSDK(files, l)
}

func filled(name string, in *newPlugin) ([]byte, error) {
	t, err := template.ParseFS(templates, "templates/"+name+".tmpl")
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, in)
	return out.Bytes(), err
}

func manifestOf(name, hook string) ([]byte, error) {
	m := map[string]any{"v": 1, "name": name, "version": "0.1.0", "hooks": []string{hook}}
	maps.Copy(m, hookNeeds[hook])
	b, err := json.MarshalIndent(m, "", "  ")
	return append(b, '\n'), err
}

// addSDK adds what the language's SDK is: a file, or Go's packages without their tests.
func addSDK(files map[string][]byte, l *language) error {
	if l.sdk != "" {
		b, err := postern.SDKs.ReadFile("sdk/" + l.sdk)
		files[path.Base(l.sdk)] = b
		return err
	}
	return fs.WalkDir(postern.SDKs, "sdk", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		files["postern/"+name], err = postern.SDKs.ReadFile(name)
		return err
	})
}
