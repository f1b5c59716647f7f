package serve

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// SocketPath is the operator's socket in a data folder.
func SocketPath(data string) string { return filepath.Join(data, "postern.sock") }

// maxSocketPath is what the kernel takes, with its final zero (unix(7)).
const maxSocketPath = 107

// listenSocket opens the operator's socket. Whoever may open it is the operator,
// so nobody else may: mode 0600 in a folder of mode 0700, and the kernel is
// asked who connects.
func listenSocket(data string) (net.Listener, error) {
	path := SocketPath(data)
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the socket, %s, is longer than %d characters; choose a shorter data folder", path, maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // the store's lock says that no other process listens there
	}
	if err := os.Chmod(data, 0o700); err != nil {
		return nil, err
	}
	ln, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return peerListener{ln.(*net.UnixListener)}, nil
}

// peerListener lets in processes of our own user, and root.
type peerListener struct{ *net.UnixListener }

// Accept returns the next connection that may be.
func (l peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil && (uid == uint32(os.Getuid()) || uid == 0) {
			return c, nil
		}
		_ = c.Close()
	}
}

func peerUID(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return 0, err
	}
	if credErr != nil {
		return 0, credErr
	}
	return cred.Uid, nil
}
