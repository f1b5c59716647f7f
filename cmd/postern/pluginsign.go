package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/centerleap/postern/plugins/plugintest"
)

const (
	pemKey     = "PRIVATE KEY" // PKCS #8, RFC 5958
	mostOfKey  = 16 << 10      // bytes of a key file; ours
	keyFileUse = "a file of postern plugin keygen"
)

func (p *pluginsCommand) keygen() *cobra.Command {
	return &cobra.Command{
		Use: "keygen FILE", Short: "Make a key to sign plugins with", Args: cobra.ExactArgs(1),
		Long: `Make a key to sign plugins with: FILE is the private one (Ed25519, PKCS #8 in PEM),
what is printed the public one. A gateway whose plugins.signers lists public keys
takes no module that none of them signed.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			public, private, err := ed25519.GenerateKey(nil)
			if err != nil {
				return err
			}
			der, err := x509.MarshalPKCS8PrivateKey(private)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			if err := errors.Join(pem.Encode(f, &pem.Block{Type: pemKey, Bytes: der}), f.Sync(), f.Close()); err != nil {
				return errors.Join(err, os.Remove(args[0]))
			}
			if p.asJSON {
				return printJSON(cmd, map[string]string{"file": args[0], "public_key": keyText(public)})
			}
			return p.printf(cmd, "%s\n", keyText(public))
		},
	}
}

func keyText(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

func (p *pluginsCommand) sign() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "sign FILE.wasm --key KEYFILE", Short: "Sign a module that is built, its manifest with it", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := readKey(file)
			if err != nil {
				return err
			}
			wasm, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			if wasm, err = plugintest.Sign(wasm, key); err != nil {
				return fmt.Errorf("%s: %w", args[0], err)
			}
			if err := replaceFile(args[0], wasm); err != nil {
				return err
			}
			by := keyText(ed25519.PublicKey(key[ed25519.SeedSize:]))
			if p.asJSON {
				return printJSON(cmd, map[string]string{"file": args[0], "signed_by": by})
			}
			return p.printf(cmd, "%s is signed by %s\n", args[0], by)
		},
	}
	cmd.Flags().StringVar(&file, "key", "", keyFileUse)
	_ = cmd.MarkFlagRequired("key") // it is there
	return cmd
}

// readKey reads a private key. What is wrong with it is said without any of it.
func readKey(file string) (ed25519.PrivateKey, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, mostOfKey))
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(raw); block != nil && block.Type == pemKey {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if key, ok := key.(ed25519.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("%s is no Ed25519 key: make one with postern plugin keygen", file)
}
