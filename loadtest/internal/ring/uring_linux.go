//go:build !(mips || mipsle || mips64 || mips64le)

package ring

import (
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// uring is a Linux io_uring, used for no more than this: to do many reads and
// writes that need not wait by one system call. None of them is left to the
// kernel to finish later. It belongs to one goroutine.
//
// The numbers and layouts are those of <linux/io_uring.h>.
type uring struct {
	fd              int
	shared, entries []byte // shared with the kernel
	submissions     []submission
	completions     []completion
	tail, head      *uint32 // of submissions, and of completions
	completionsTail *uint32
}

// The same on every architecture that Go knows, but for MIPS.
const (
	sysUringSetup = 425
	sysUringEnter = 426

	uringSend = 26
	uringRecv = 27

	uringEntries     = 64     // and so how long one call can take: some 300 µs
	uringSingleMap   = 1 << 0 // feature: both rings are in one mapping
	uringNoDrop      = 1 << 1 // feature: completions are not lost if there are too many
	uringGetEvents   = 1 << 0 // of enter
	uringEntriesAt   = 0x10000000
	uringNeededParts = uringSingleMap | uringNoDrop
)

type submission struct {
	op, flags uint8
	priority  uint16
	fd        int32
	_         uint64
	addr      uint64
	size      uint32
	opFlags   uint32
	user      uint64
	_, _, _   uint64
}

type completion struct {
	user   uint64
	result int32
	_      uint32
}

type uringParams struct {
	submissions, completions, flags, cpu, idle, features, wq uint32
	_                                                        [3]uint32
	sub                                                      struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	com struct {
		head, tail, mask, entries, overflow, cqes, flags, _ uint32
		_                                                   uint64
	}
}

// newURing fails where the kernel is too old, or a sandbox forbids it.
func newURing() (*uring, error) {
	var p uringParams
	fd, _, errno := syscall.Syscall(sysUringSetup, uringEntries, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	u := &uring{fd: int(fd)}
	syscall.CloseOnExec(u.fd)
	if p.features&uringNeededParts != uringNeededParts {
		u.close()
		return nil, os.NewSyscallError("io_uring_setup", syscall.ENOSYS)
	}
	size := max(p.sub.array+4*p.submissions, p.com.cqes+uint32(unsafe.Sizeof(completion{}))*p.completions)
	var err error
	if u.shared, err = u.mmap(0, int(size)); err == nil {
		u.entries, err = u.mmap(uringEntriesAt, int(p.submissions)*int(unsafe.Sizeof(submission{})))
	}
	if err != nil {
		u.close()
		return nil, err
	}
	at := func(offset uint32) unsafe.Pointer { return unsafe.Pointer(&u.shared[offset]) } // the kernel's layout
	u.submissions = unsafe.Slice((*submission)(unsafe.Pointer(&u.entries[0])), p.submissions)
	u.completions = unsafe.Slice((*completion)(at(p.com.cqes)), p.completions)
	u.tail, u.head, u.completionsTail = (*uint32)(at(p.sub.tail)), (*uint32)(at(p.com.head)), (*uint32)(at(p.com.tail))
	for i, order := 0, unsafe.Slice((*uint32)(at(p.sub.array)), p.submissions); i < len(order); i++ {
		order[i] = uint32(i)
	}
	return u, nil
}

func (u *uring) mmap(offset int64, size int) ([]byte, error) {
	m, err := syscall.Mmap(u.fd, offset, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED|syscall.MAP_POPULATE)
	return m, os.NewSyscallError("mmap", err)
}

func (u *uring) close() {
	for _, m := range [][]byte{u.shared, u.entries} {
		if m != nil {
			_ = syscall.Munmap(m) // it is ours and whole
		}
	}
	_ = syscall.Close(u.fd)
}

// perform does steps, in their order, and returns how many: fewer than all if
// the kernel cannot take them now.
func (u *uring) perform(steps []step) (done int) {
	for done < len(steps) {
		part := steps[done:min(len(steps), done+len(u.submissions))]
		tail, mask := *u.tail, uint32(len(u.submissions)-1)
		for i := range part {
			s := &part[i]
			e := &u.submissions[(tail+uint32(i))&mask]
			*e = submission{
				op: uringRecv, fd: int32(s.conn.fd), addr: uint64(uintptr(unsafe.Pointer(unsafe.SliceData(s.buf)))), // steps hold the memory
				size: uint32(len(s.buf)), opFlags: syscall.MSG_DONTWAIT | syscall.MSG_NOSIGNAL, user: uint64(i),
			}
			if s.send {
				e.op = uringSend
			}
		}
		atomic.StoreUint32(u.tail, tail+uint32(len(part)))
		submitted := u.submit(len(part))
		if submitted < len(part) {
			atomic.StoreUint32(u.tail, tail+uint32(submitted)) // nobody else submits
		}
		u.complete(part, submitted)
		if done += submitted; submitted < len(part) {
			break
		}
	}
	return done
}

func (u *uring) submit(n int) (submitted int) {
	for submitted < n {
		k, _, errno := syscall.RawSyscall6(sysUringEnter, uintptr(u.fd), uintptr(n-submitted), 0, 0, 0, 0)
		switch {
		case errno == syscall.EINTR:
		case errno != 0 || k == 0:
			return submitted
		default:
			submitted += int(k)
		}
	}
	return submitted
}

// complete takes the results of the first n steps. They are all there, since no
// step may wait; to ask for them by wait is for a kernel that sees that otherwise.
func (u *uring) complete(steps []step, n int) {
	mask := uint32(len(u.completions) - 1)
	for n > 0 {
		head, tail := *u.head, atomic.LoadUint32(u.completionsTail)
		for ; head != tail; head++ {
			c := &u.completions[head&mask]
			steps[c.user].result = c.result
			n--
		}
		atomic.StoreUint32(u.head, head)
		if n > 0 {
			_, _, _ = syscall.Syscall6(sysUringEnter, uintptr(u.fd), 0, uintptr(n), uringGetEvents, 0, 0)
		}
	}
}
