package rawserver

import "syscall"

// relisten gives a listening socket the shortest backlog there is.
func relisten(fd uintptr) error { return syscall.Listen(int(fd), 0) }
