package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"filippo.io/age"
)

// sealedIntro begins every file of age, https://age-encryption.org/v1.
const sealedIntro = "age-encryption.org/"

// recipientsOf reads the public keys of age that a backup is encrypted to.
func recipientsOf(all []string) (out []age.Recipient, err error) {
	for _, one := range all {
		r, err := age.ParseRecipients(strings.NewReader(one))
		if err != nil {
			return nil, fmt.Errorf("--recipient %s: such is no recipient of age; one begins with age1", one)
		}
		out = append(out, r...)
	}
	return out, nil
}

// openBackup opens a file, or stdin for -, and decrypts it if it is encrypted.
func openBackup(stdin io.Reader, file, identity string) (io.ReadCloser, error) {
	var closer io.Closer = io.NopCloser(nil)
	raw := stdin
	if file != standard {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		raw, closer = f, f
	}
	plain, err := unseal(raw, identity)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", file, err), closer.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{plain, closer}, nil
}

func unseal(raw io.Reader, identity string) (io.Reader, error) {
	in := bufio.NewReaderSize(raw, 64<<10)
	// What is shorter, or can't be read, is so for whoever reads on.
	if intro, _ := in.Peek(len(sealedIntro)); string(intro) != sealedIntro {
		return in, nil
	}
	if identity == "" {
		return nil, errors.New("it is encrypted; --identity names the file with the key")
	}
	f, err := os.Open(identity)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	keys, err := age.ParseIdentities(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", identity, err)
	}
	return age.Decrypt(in, keys...)
}
