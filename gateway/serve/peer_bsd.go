//go:build darwin || freebsd

package serve

import "golang.org/x/sys/unix"

// peerOf asks the kernel which user is at the other end (unix(4), LOCAL_PEERCRED).
func peerOf(fd int) (uid uint32, err error) {
	cred, err := unix.GetsockoptXucred(fd, 0, unix.LOCAL_PEERCRED)
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
