package target

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// backlog is how many connections may wait to be accepted; the system has a limit
// of its own, often 4096.
const backlog = 16 << 10

// listen gives a socket that listens on a free port of the loopback interface,
// with flags as socket(2) has them.
func listen(flags int) (fd int, address string, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return 0, "", os.NewSyscallError("socket", err)
	}
	if address, err = bind(fd); err != nil {
		unix.Close(fd) //nolint:errcheck // nothing is lost with it
		return 0, "", err
	}
	return fd, address, nil
}

func bind(fd int) (address string, err error) {
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", os.NewSyscallError("bind", err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		return "", os.NewSyscallError("listen", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	bound := name.(*unix.SockaddrInet4)
	return (&net.TCPAddr{IP: bound.Addr[:], Port: bound.Port}).String(), nil
}
