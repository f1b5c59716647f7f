package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (c *client) sendCommand() *cobra.Command {
	var mail email
	var files []string
	cmd := c.flags(&cobra.Command{
		Use: "send", Short: "Send an email; its id is printed", Args: cobra.NoArgs,
	})
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		body, err := mail.body(files)
		if err != nil {
			return err
		}
		defer body.Close()
		var out struct{ ID string }
		if err := c.call(cmd, "POST", "/emails", body, &out); err != nil {
			return err
		}
		return c.printf(cmd, "%s\n", out.ID)
	}
	cmd.Flags().StringVar(&mail.From, "from", "", "sender")
	cmd.Flags().StringArrayVar(&mail.To, "to", nil, "recipient (repeatable)")
	cmd.Flags().StringVar(&mail.Subject, "subject", "", "subject")
	cmd.Flags().StringVar(&mail.Text, "text", "", "plain text")
	cmd.Flags().StringVar(&mail.HTML, "html", "", "HTML")
	cmd.Flags().StringArrayVar(&files, "attach", nil, "a file to attach (repeatable)")
	for _, f := range []string{"from", "to"} {
		if err := cmd.MarkFlagRequired(f); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return cmd
}

// email is the JSON of a send, but for its attachments.
type email struct {
	From    string   `json:"from"`
	To      []string `json:"to"`
	Subject string   `json:"subject"`
	Text    string   `json:"text,omitempty"`
	HTML    string   `json:"html,omitempty"`
}

// body is the JSON of a send. Files are read while it is sent: they never stand
// in memory.
func (e *email) body(files []string) (io.ReadCloser, error) {
	fields, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return io.NopCloser(bytes.NewReader(fields)), nil
	}
	opened := make([]*os.File, 0, len(files))
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			closeAll(opened)
			return nil, err
		}
		opened = append(opened, f)
	}
	r, w := io.Pipe()
	go func() {
		defer closeAll(opened)
		w.CloseWithError(writeFiles(w, fields, opened))
	}()
	return r, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close() // it was read
	}
}

// writeFiles writes fields, an object, with the attachments as its last member.
func writeFiles(w io.Writer, fields []byte, files []*os.File) error {
	lead := string(fields[:len(fields)-1]) + `,"attachments":[`
	for _, f := range files {
		name, err := json.Marshal(filepath.Base(f.Name()))
		if err != nil {
			return err
		}
		typ, err := json.Marshal(mime.TypeByExtension(filepath.Ext(f.Name())))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(w, `%s{"filename":%s,"content_type":%s,"content":"`, lead, name, typ); err != nil {
			return err
		}
		enc := base64.NewEncoder(base64.StdEncoding, w)
		if _, err := io.Copy(enc, f); err != nil {
			return err
		}
		if err := enc.Close(); err != nil {
			return err
		}
		lead = `"},`
	}
	_, err := io.WriteString(w, `"}]}`)
	return err
}
