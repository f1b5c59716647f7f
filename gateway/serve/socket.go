package serve

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
)

// SocketPath is the operator's socket in a data folder.
func SocketPath(data string) string { return filepath.Join(data, "postern.sock") }

// maxSocketPath is what every kernel takes: BSD has 104 bytes with the final
// zero, Linux 108 (unix(7)).
const maxSocketPath = 103

// listenSocket opens the operator's socket. Whoever may open it is the operator,
// so nobody else may: mode 0600 in a folder of mode 0700, and the kernel is
// asked who connects.
func listenSocket(data string, log *slog.Logger) (net.Listener, error) {
	path := SocketPath(data)
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path of the socket, %s, has %d characters; %d is the most: choose a shorter data folder, or a relative one", path, len(path), maxSocketPath)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // the store's lock says that no other process listens there
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, ln.Close())
	}
	return peerListener{UnixListener: ln, log: log, peer: peerUID}, nil
}

// peerListener lets in processes of our own user, and root.
type peerListener struct {
	*net.UnixListener
	log  *slog.Logger
	peer func(*net.UnixConn) (uint32, error)
}

// Accept returns the next connection that may be.
func (l peerListener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		uid, err := l.peer(c)
		if err == nil && (uid == uint32(os.Getuid()) || uid == 0) {
			return c, nil
		}
		l.log.LogAttrs(context.Background(), slog.LevelWarn, "refused at the operator's socket", slog.Uint64("uid", uint64(uid)), slog.Any("err", err))
		_ = c.Close() // nothing was written to it
	}
}

func peerUID(c *net.UnixConn) (uid uint32, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peerErr error
	if err := raw.Control(func(fd uintptr) { uid, peerErr = peerOf(int(fd)) }); err != nil {
		return 0, err
	}
	return uid, peerErr
}
