package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
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
	"time"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	certLife = 397 * 24 * time.Hour // the longest that browsers accept
	// certRenew is how long before its end a certificate is made anew.
	certRenew = 30 * 24 * time.Hour
)

// localCA keeps a certificate authority in dir, and a server certificate signed
// by it for the given names: made when missing, and again when the names change
// or its time runs out. It returns the path of the CA's certificate, which
// clients are told to trust.
func localCA(dir string, names []string, now time.Time) (caFile string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	caFile = filepath.Join(dir, "ca.pem")
	ca, caKey, err := readPair(caFile, filepath.Join(dir, "ca.key"))
	if errors.Is(err, fs.ErrNotExist) {
		ca, caKey, err = issue(dir, "ca", &x509.Certificate{
			Subject: pkix.Name{CommonName: "Postern local CA"}, NotAfter: now.Add(caLife), IsCA: true, BasicConstraintsValid: true,
			KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, MaxPathLenZero: true,
		}, nil, nil, now)
	}
	if err != nil {
		return "", fmt.Errorf("local CA: %w", err)
	}
	cert, _, err := readPair(filepath.Join(dir, "server.pem"), filepath.Join(dir, "server.key"))
	if err == nil && covers(cert, names) && now.Before(cert.NotAfter.Add(-certRenew)) && cert.CheckSignatureFrom(ca) == nil {
		return caFile, nil
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: names[0]}, NotAfter: now.Add(certLife),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	_, _, err = issue(dir, "server", template, ca, caKey, now)
	return caFile, err
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

func writePEM(path, typ string, der []byte, mode fs.FileMode) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}), mode)
}

func readPair(certFile, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	der, err := readPEM(certFile)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	if der, err = readPEM(keyFile); err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, nil, err
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s holds no key of ours", keyFile)
	}
	return cert, ec, nil
}

func readPEM(path string) ([]byte, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", path)
	}
	return block.Bytes, nil
}
