package main

import (
	"bytes"
	"errors"
	"fmt"
	"mime/multipart"
	"os"

	"github.com/spf13/cobra"
)

// pluginPush brings a gateway the plugin of a folder or a file.
type pluginPush struct {
	*pluginsCommand
	pluginBuild
	from   string
	enable bool
}

func (p *pluginsCommand) push() *cobra.Command {
	u := &pluginPush{pluginsCommand: p}
	var watch bool
	cmd := &cobra.Command{
		Use: "push [DIR | FILE.wasm]", Short: "Install a plugin, or give an installed one new code", Args: cobra.MaximumNArgs(1),
		Long: `Install a plugin, or give an installed one new code. One of a folder is built
first. It is asked about nothing before it is enabled; one that is enabled has
its new code from the next mail on. With --watch it is pushed again each time a
file changes, until Ctrl-C.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if u.from = folderOf(args); watch {
				return u.watch(cmd)
			}
			return u.once(cmd)
		},
	}
	cmd.Flags().StringVar(&u.manifest, "manifest", "", "of a FILE.wasm: its manifest, if it has none in it")
	cmd.Flags().BoolVar(&u.enable, "enable", false, "ask it from now on")
	cmd.Flags().BoolVar(&watch, "watch", false, "go on, and push it again each time a file changes")
	u.buildFlags(cmd)
	return cmd
}

// isFolder reports whether it has to be built first. What is asked for that is about the
// other kind is no use, and not passed over: who asks for a signature counts on it.
func (u *pluginPush) isFolder() (bool, error) {
	info, err := os.Stat(u.from)
	switch {
	case err != nil:
		return false, err
	case info.IsDir() && u.manifest != "":
		return false, errors.New("--manifest is for a FILE.wasm: a folder has its own")
	case !info.IsDir() && u.key+u.out != "":
		return false, errors.New("--sign and --out are for a folder, which is built; a module is signed by postern plugin sign")
	}
	return info.IsDir(), nil
}

// once builds what is to be built, and pushes.
func (u *pluginPush) once(cmd *cobra.Command) error {
	folder, err := u.isFolder()
	if err != nil {
		return err
	}
	files := map[string]string{"wasm": u.from}
	if folder {
		done, err := u.run(cmd, u.from)
		if err != nil {
			return err
		}
		files["wasm"] = done.File
	} else if u.manifest != "" {
		files["manifest"] = u.manifest
	}
	in, err := formOf(files)
	if err != nil {
		return err
	}
	c := u.pluginsCommand
	if u.enable {
		c = &pluginsCommand{client: u.quiet(), domain: u.domain, account: u.account} // the second answer says it all
	}
	var out pluginAnswer
	if err := c.call(cmd, "POST", c.path("/plugins"), in, &out); err != nil {
		return err
	}
	if u.enable {
		if err := u.call(cmd, "PATCH", u.path("/plugins/"+out.ID), map[string]any{"status": "enabled"}, &out); err != nil {
			return err
		}
	}
	return u.printf(cmd, "%s  %s %s  %s\n", out.ID, out.Name, out.Version, out.Status)
}

// form is a body of multipart/form-data.
type form struct {
	bytes.Buffer
	contentType string
}

// formOf reads files into a form, each as the part of its name.
func formOf(files map[string]string) (*form, error) {
	f := &form{}
	w := multipart.NewWriter(&f.Buffer)
	for name, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		part, err := w.CreateFormFile(name, name)
		if err != nil {
			return nil, err
		}
		if _, err := part.Write(raw); err != nil {
			return nil, err
		}
	}
	f.contentType = w.FormDataContentType()
	return f, w.Close()
}

// say tells whoever watches what happens; it is no answer.
func (u *pluginPush) say(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}
