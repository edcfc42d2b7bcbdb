//go:build unix

package schedulertest

import "syscall"

func stop(pid int) { _ = syscall.Kill(pid, syscall.SIGSTOP) }
