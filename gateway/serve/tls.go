package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	certLife = 397 * 24 * time.Hour // the longest that browsers accept
	// certRenew is how long before its end a certificate is made anew.
	certRenew = 30 * 24 * time.Hour
)

// certificate is what every door with TLS shows. Quickstart's is made when its
// domain is known, before anybody is served.
type certificate struct {
	now atomic.Pointer[tls.Certificate]
}

var errNoCertificate = errors.New("no certificate yet")

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if p := c.now.Load(); p != nil {
		return p, nil
	}
	return nil, errNoCertificate
}

// configured takes the certificate of the configuration, if there is one.
func (c *certificate) configured(cfg *Config) error {
	certs, err := cfg.certificates()
	if err == nil && len(certs) > 0 {
		c.now.Store(&certs[0])
	}
	return err
}

// local takes the one that localCA keeps in dir.
func (c *certificate) local(dir string) error {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err == nil {
		c.now.Store(&cert)
	}
	return err
}

// localCA keeps a certificate authority in dir, and a server certificate signed
// by it for the given names: each made when missing, when its time runs out, and
// the second also when the names change. It returns the path of the authority's
// certificate, which clients are told to trust.
func localCA(dir string, names []string, now time.Time) (caFile string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	caFile = filepath.Join(dir, "ca.pem")
	ca, caKey, err := readPair(dir, "ca")
	if err != nil {
		return "", fmt.Errorf("local CA: %w", err)
	}
	if ca == nil || !lasts(ca, now) {
		ca, caKey, err = issue(dir, "ca", &x509.Certificate{
			Subject: pkix.Name{CommonName: "Postern local CA"}, NotAfter: now.Add(caLife), IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLenZero: true,
		}, nil, nil, now)
		if err != nil {
			return "", fmt.Errorf("local CA: %w", err)
		}
	}
	cert, _, err := readPair(dir, "server")
	if err != nil {
		return "", fmt.Errorf("local certificate: %w", err)
	}
	if cert != nil && covers(cert, names) && lasts(cert, now) && cert.CheckSignatureFrom(ca) == nil {
		return caFile, nil
	}
	_, _, err = issue(dir, "server", serverTemplate(names, now), ca, caKey, now)
	return caFile, err
}

func serverTemplate(names []string, now time.Time) *x509.Certificate {
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, NotAfter: now.Add(certLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, n)
		}
	}
	return t
}

// lasts reports whether a certificate is valid now and needs no renewal yet.
func lasts(cert *x509.Certificate, now time.Time) bool {
	return !now.Before(cert.NotBefore) && now.Before(cert.NotAfter.Add(-certRenew))
}

func covers(cert *x509.Certificate, names []string) bool {
	return !slices.ContainsFunc(names, func(n string) bool { return cert.VerifyHostname(n) != nil })
}

// issue makes a key and a certificate, signed by ca or by itself, in two files.
func issue(dir, name string, template, ca *x509.Certificate, caKey *ecdsa.PrivateKey, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)); err != nil {
		return nil, nil, err
	}
	template.NotBefore = now.Add(-time.Hour)
	if ca == nil {
		ca, caKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".key"), "PRIVATE KEY", secret, 0o600); err != nil {
		return nil, nil, err
	}
	if err := writePEM(filepath.Join(dir, name+".pem"), "CERTIFICATE", der, 0o644); err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	return cert, key, err
}

// writePEM replaces a file at once, so that a crash leaves the old one or the new.
func writePEM(path, typ string, der []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has its new name by then, or the write has failed
	err = pem.Encode(f, &pem.Block{Type: typ, Bytes: der})
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// readPair reads a certificate and its key; neither if one is missing or they do
// not belong together, as after a crash between the writing of the two. Files
// that are no certificate of ours are an error: they are not ours to replace.
func readPair(dir, name string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	secret, err := readPEM(filepath.Join(dir, name+".key"))
	if err != nil || secret == nil {
		return nil, nil, err
	}
	der, err := readPEM(filepath.Join(dir, name+".pem"))
	if err != nil || der == nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(secret)
	if err != nil {
		return nil, nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s.key holds no key of ours", name)
	}
	if !ec.PublicKey.Equal(cert.PublicKey) {
		return nil, nil, nil
	}
	return cert, ec, nil
}

// readPEM reads the one block of a file; nil if the file is missing or empty.
func readPEM(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(raw) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM; remove it to have it made again", path)
	}
	return block.Bytes, nil
}
