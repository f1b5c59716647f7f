package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"filippo.io/age"
	"github.com/spf13/cobra"

	"github.com/centerleap/postern/gateway/serve"
	"github.com/centerleap/postern/gateway/telemetry"
)

// standard is the FILE that means standard output, or input.
const standard = "-"

func (c *client) backupCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "backup", Short: "Make, check and restore backups",
		Long: `Make, check and restore backups. A backup is one file with all that a gateway is:
its store, its certificates in the data folder, and a configuration if that lies
there. Certificates and configurations elsewhere are not in it.`,
	}
	cmd.AddCommand(c.backupCreate(), backupVerify(), backupRestore())
	return cmd
}

func (c *client) backupCreate() *cobra.Command {
	var to []string
	var force bool
	cmd := c.flags(&cobra.Command{
		Use: "create FILE", Short: "Back up a running gateway, without stopping it", Args: cobra.ExactArgs(1),
		Long: `Back up a running gateway, without stopping it: all it had acknowledged when the
backup began is in it. FILE appears when it is whole; - is standard output. From
elsewhere, POSTERN_KEY is an instance key.

With --recipient it is encrypted with age before it touches the disk, and only
the identity of a recipient opens it (see https://age-encryption.org). Without,
whoever reads FILE reads all mail.`,
	})
	cmd.Flags().StringArrayVar(&to, "recipient", nil, "encrypt to this age recipient, age1... (repeatable)")
	cmd.Flags().BoolVar(&force, "force", false, "replace FILE if it exists")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		recipients, err := recipientsOf(to)
		if err != nil {
			return err
		}
		return c.backUp(cmd, args[0], recipients, force)
	}
	return cmd
}

func (c *client) backUp(cmd *cobra.Command, file string, recipients []age.Recipient, force bool) error {
	if err := mayWrite(file, force); err != nil {
		return err
	}
	resp, err := c.ask(cmd.Context(), "GET", "/backup", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var made madeBackup
	write := func(w io.Writer) (err error) {
		made, err = receive(resp.Body, w, recipients)
		return err
	}
	if file == standard {
		return write(cmd.OutOrStdout())
	}
	if err := writeWhole(file, force, write); err != nil {
		return err
	}
	if made.File = file; c.asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(made)
	}
	return c.printf(cmd, "%s  %d bytes of the gateway as of %s%s\n", file, made.Bytes, made.CreatedAt.Format(time.RFC3339), map[bool]string{true: ", encrypted"}[made.Encrypted])
}

// madeBackup is what create prints.
type madeBackup struct {
	File string `json:"file"`
	serve.BackupInfo
	Bytes     int64 `json:"bytes"` // before encryption
	Encrypted bool  `json:"encrypted"`
}

// receive copies a backup to w, encrypted if there are recipients, and holds it to
// its digest on the way.
func receive(r io.Reader, w io.Writer, recipients []age.Recipient) (made madeBackup, err error) {
	if len(recipients) == 0 {
		made.BackupInfo, made.Bytes, err = serve.ReadBackup(io.TeeReader(r, w))
		return made, err
	}
	sealed, err := age.Encrypt(w, recipients...)
	if err != nil {
		return made, err
	}
	made.Encrypted = true
	if made.BackupInfo, made.Bytes, err = serve.ReadBackup(io.TeeReader(r, sealed)); err != nil {
		return made, err // and no end, which a reader would miss
	}
	return made, sealed.Close()
}

// mayWrite looks whether a file would be lost.
func mayWrite(file string, force bool) error {
	if force || file == standard {
		return nil
	}
	switch _, err := os.Lstat(file); {
	case err == nil:
		return fmt.Errorf("%s exists; --force replaces it", file)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return nil
}

// writeWhole gives a file its name when all of it is on the disk; else none is
// left.
func writeWhole(file string, force bool, write func(io.Writer) error) (err error) {
	tmp := file + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) { // of one that was killed
		return err
	}
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = mayWrite(file, force)
	}
	if err == nil {
		err = os.Rename(tmp, file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func backupVerify() *cobra.Command {
	var identity, tmp string
	var asJSON bool
	cmd := &cobra.Command{
		Use: "verify FILE", Short: "Restore a backup into a temporary folder, and check everything in it", Args: cobra.ExactArgs(1),
		Long: `Restore a backup into a temporary folder, and check everything in it: each
checksum, each body, and each count against what is counted. It takes as much disk
as the backup has. One line for each finding, then what is there; the exit status
is 0 if nothing was found. FILE - is standard input.`,
	}
	cmd.Flags().StringVar(&identity, "identity", "", "age identity file, for an encrypted backup")
	cmd.Flags().StringVar(&tmp, "tmp", "", "where to make the temporary folder (default beside FILE)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object instead of text")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		log, err := telemetry.Logger(cmd.ErrOrStderr(), "error", "auto")
		if err != nil {
			return err
		}
		in, err := openBackup(cmd.InOrStdin(), args[0], identity)
		if err != nil {
			return err
		}
		defer in.Close()
		if tmp == "" && args[0] != standard {
			tmp = filepath.Dir(args[0])
		}
		out := &findings{cmd: cmd, asJSON: asJSON}
		report, err := serve.VerifyBackup(cmd.Context(), in, tmp, log, out.found)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		out.CreatedAt = &report.CreatedAt
		return out.end(report.StoreReport)
	}
	return cmd
}

func backupRestore() *cobra.Command {
	var data, identity string
	cmd := &cobra.Command{
		Use: "restore FILE --data DIR", Short: "Make a data folder of a backup", Args: cobra.ExactArgs(1),
		Long: `Make a data folder of a backup; DIR is empty or does not exist, and stays so if the
backup is damaged. A gateway started on it has the mail and the keys of the moment
at which the backup was made: a key that was revoked since works again, and a
delivery that waited then is tried again, also if it has been made meanwhile. Every
mailbox gets a new UIDVALIDITY, so that IMAP clients read it anew: UIDs that they saw
since then come again for other mail. FILE - is standard input.`,
	}
	cmd.Flags().StringVar(&data, "data", "", "the data folder to make")
	cmd.Flags().StringVar(&identity, "identity", "", "age identity file, for an encrypted backup")
	if err := cmd.MarkFlagRequired("data"); err != nil {
		panic(err) // the flag is defined above
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		log, err := telemetry.Logger(cmd.ErrOrStderr(), "error", "auto")
		if err != nil {
			return err
		}
		in, err := openBackup(cmd.InOrStdin(), args[0], identity)
		if err != nil {
			return err
		}
		defer in.Close()
		info, err := serve.Restore(cmd.Context(), in, data, log)
		if err != nil {
			return fmt.Errorf("restore %s: %w", args[0], err)
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s is the gateway as of %s\n", data, info.CreatedAt.Format(time.RFC3339))
		return err
	}
	return cmd
}
