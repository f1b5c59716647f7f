package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/plugins/plugintest"
)

// moduleFile is what build makes in a folder.
const moduleFile = "plugin.wasm"

// pluginBuild makes modules of folders.
type pluginBuild struct {
	localPlugin
	out, key string
}

// builtAnswer is what was built.
type builtAnswer struct {
	File        string   `json:"file"`
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	SizeBytes   int64    `json:"size_bytes"`
	SHA256      string   `json:"sha256"`
	Hooks       []string `json:"hooks"`
	Permissions []string `json:"permissions"`
	SignedBy    string   `json:"signed_by,omitempty"`
}

func (p *pluginsCommand) build() *cobra.Command {
	b := &pluginBuild{}
	cmd := &cobra.Command{
		Use: "build [DIR]", Short: "Build the plugin of a folder, with its manifest in it", Args: cobra.MaximumNArgs(1),
		Long: `Build the plugin of a folder, by what its source is: main.go, plugin.rs, plugin.c
or plugin.ts. Its manifest.json is written into the module, which is then checked
as a gateway checks it. The same sources and compiler give the same bytes.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			done, err := b.run(cmd, folderOf(args))
			if err != nil {
				return err
			}
			if p.asJSON {
				return printJSON(cmd, done)
			}
			return p.printf(cmd, "%s", done.text())
		},
	}
	b.buildFlags(cmd)
	return cmd
}

func (b *pluginBuild) buildFlags(cmd *cobra.Command) {
	cmd.Flags().StringVarP(&b.out, "out", "o", "", "where the module of a folder goes (default plugin.wasm in it)")
	cmd.Flags().StringVar(&b.key, "sign", "", "sign what was built, with "+keyFileUse)
}

func folderOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[0]
}

// run builds a folder and checks what came of it.
func (b *pluginBuild) run(cmd *cobra.Command, dir string) (*builtAnswer, error) {
	if b.out != "" && !isModule(b.out) {
		return nil, errors.New("--out is a file whose name ends in .wasm")
	}
	l, err := languageOf(dir)
	if err != nil {
		return nil, err
	}
	manifest, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "postern-build")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	raw := filepath.Join(tmp, moduleFile)
	if err := l.compile(cmd.Context(), dir, raw); err != nil {
		return nil, err
	}
	wasm, err := os.ReadFile(raw)
	if err != nil {
		return nil, err
	}
	if wasm, err = plugintest.Pack(wasm, manifest); err != nil {
		return nil, err
	}
	if wasm, err = b.signed(wasm); err != nil {
		return nil, err
	}
	done, err := b.checked(cmd, wasm)
	if err != nil {
		return nil, err
	}
	done.File = b.out
	if b.out == "" {
		done.File = filepath.Join(dir, moduleFile)
	}
	return done, replaceFile(done.File, wasm)
}

// signed is a module with a signature, if it is to have one.
func (b *pluginBuild) signed(wasm []byte) ([]byte, error) {
	if b.key == "" {
		return wasm, nil
	}
	key, err := readKey(b.key)
	if err != nil {
		return nil, err
	}
	return plugintest.Sign(wasm, key)
}

// checked holds a module to what a gateway takes.
func (b *pluginBuild) checked(cmd *cobra.Command, wasm []byte) (*builtAnswer, error) {
	settings, _, err := b.settings(cmd)
	if err != nil {
		return nil, err
	}
	p, err := plugintest.Open(cmd.Context(), wasm, plugintest.Config{Limits: &settings.Limits, CacheDir: localCache(settings)})
	if err != nil {
		return nil, err
	}
	inst := p.Installed()
	out := &builtAnswer{
		Name: inst.Name, Version: inst.Version, SizeBytes: int64(len(wasm)), SHA256: fmt.Sprintf("%x", inst.SHA256), Hooks: []string{}, Permissions: append([]string{}, inst.Asks...), SignedBy: inst.SignedBy,
	}
	for _, h := range inst.Hooks {
		out.Hooks = append(out.Hooks, string(h))
	}
	return out, p.Close()
}

func (a *builtAnswer) text() string {
	permissions := "none"
	if len(a.Permissions) > 0 {
		permissions = strings.Join(a.Permissions, ", ")
	}
	signed := ""
	if a.SignedBy != "" {
		signed = "  signed by: " + a.SignedBy + "\n"
	}
	return fmt.Sprintf("%s: %s %s, %d KiB\n  hooks: %s\n  permissions: %s\n", a.File, a.Name, a.Version, (a.SizeBytes+1023)>>10, strings.Join(a.Hooks, ", "), permissions) + signed
}

// replaceFile writes a file whole, or leaves what was there.
func replaceFile(name string, b []byte) error {
	tmp := name + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil { //nolint:gosec // not a secret
		return err
	}
	return os.Rename(tmp, name)
}
