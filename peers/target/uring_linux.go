package target

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The names are the kernel's, IORING_SETUP_SINGLE_ISSUER for one; io_uring_setup(2),
// io_uring_enter(2) and io_uring_register(2) explain them, and <linux/io_uring.h>
// has the numbers and the layouts below. loadtest has a ring of its own, of another
// kind; the server shares nothing with it, so as not to err as the client does.
const (
	ioringSetupClamp        = 1 << 4
	ioringSetupRDisabled    = 1 << 6
	ioringSetupSingleIssuer = 1 << 12
	ioringSetupDeferTaskrun = 1 << 13

	ioringFeatSingleMmap = 1 << 0
	ioringFeatNodrop     = 1 << 1

	ioringOffSQRing = 0
	ioringOffSQEs   = 0x10000000

	ioringEnterGetevents = 1 << 0

	ioringRegisterEnableRings = 12

	ioringOpPollAdd     = 6
	ioringOpAccept      = 13
	ioringOpAsyncCancel = 14
	ioringOpSend        = 26
	ioringOpRecv        = 27

	// Of submission.flags.
	iosqeBufferSelect   = 1 << 5
	iosqeCQESkipSuccess = 1 << 6

	ioringSQCQOverflow = 1 << 1 // of the flags that uring.flags points to

	// Of submission.priority.
	ioringRecvsendPollFirst = 1 << 0
	ioringRecvMultishot     = 1 << 1
	ioringAcceptMultishot   = 1 << 0

	// Of submission.opFlags.
	ioringAsyncCancelAll = 1 << 0
	ioringAsyncCancelAny = 1 << 2

	// Of completion.flags.
	ioringCQEFBuffer     = 1 << 0
	ioringCQEFMore       = 1 << 1
	ioringCQEBufferShift = 16
)

// submission is struct io_uring_sqe: an operation that the kernel is to do.
type submission struct {
	op, flags uint8
	priority  uint16 // ioprio
	fd        int32
	_         uint64
	addr      uint64
	size      uint32
	opFlags   uint32
	user      uint64 // comes back in the completion
	group     uint16 // of provided buffers
	_         uint16
	_         uint32
	_, _      uint64
}

// completion is struct io_uring_cqe: what has come of an operation. A multishot
// operation has several, all but the last with ioringCQEFMore.
type completion struct {
	user   uint64
	result int32 // an errno, negated, if it is below 0
	flags  uint32
}

// fd is the descriptor in the user data's lower half.
func (c completion) fd() int { return int(uint32(c.user)) }

func (c completion) more() bool { return c.flags&ioringCQEFMore != 0 }

// errno is what it failed with, or 0.
func (c completion) errno() unix.Errno {
	if c.result >= 0 {
		return 0
	}
	return unix.Errno(-c.result)
}

// pollEvents are opFlags: whatever the byte order, the events come first.
func pollEvents(events uint16) uint32 {
	var flags [4]byte
	binary.NativeEndian.PutUint16(flags[:], events)
	return binary.NativeEndian.Uint32(flags[:])
}

// uringParams is struct io_uring_params.
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

// uring is an io_uring that one thread uses: the one that has enabled it, which must
// not change. Completions are made by that thread too, within enter and nowhere
// else (DEFER_TASKRUN).
type uring struct {
	fd              int
	rings, entries  []byte // shared with the kernel
	submissions     []submission
	completions     []completion
	tail, head      *uint32 // of submissions, and of completions
	completionsTail *uint32
	flags           *uint32 // what the kernel has to say

	queued    uint32 // submissions that enter has not handed over yet
	next, end uint32 // completions that completed has not given yet
}

// newURing makes a ring for so many submissions at once, as yet disabled. It fails
// where the kernel is too old (before 6.1), or a sandbox forbids it.
func newURing(entries uint32) (*uring, error) {
	p := uringParams{flags: ioringSetupClamp | ioringSetupRDisabled | ioringSetupSingleIssuer | ioringSetupDeferTaskrun}
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return nil, os.NewSyscallError("io_uring_setup", errno)
	}
	u := &uring{fd: int(fd)} // with CLOEXEC
	if err := u.open(p); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// open maps what is shared with the kernel.
func (u *uring) open(p uringParams) (err error) {
	if need := uint32(ioringFeatSingleMmap | ioringFeatNodrop); p.features&need != need {
		return os.NewSyscallError("io_uring_setup", unix.ENOSYS)
	}
	size := max(p.sub.array+4*p.submissions, p.com.cqes+uint32(unsafe.Sizeof(completion{}))*p.completions)
	if u.rings, err = u.mmap(ioringOffSQRing, int(size)); err != nil {
		return err
	}
	if u.entries, err = u.mmap(ioringOffSQEs, int(p.submissions)*int(unsafe.Sizeof(submission{}))); err != nil {
		return err
	}
	// The kernel says where in the mappings everything is; they are not Go's memory,
	// and stay until close.
	at := func(offset uint32) unsafe.Pointer { return unsafe.Pointer(&u.rings[offset]) }
	u.submissions = unsafe.Slice((*submission)(unsafe.Pointer(&u.entries[0])), p.submissions)
	u.completions = unsafe.Slice((*completion)(at(p.com.cqes)), p.completions)
	u.tail, u.head, u.completionsTail = (*uint32)(at(p.sub.tail)), (*uint32)(at(p.com.head)), (*uint32)(at(p.com.tail))
	u.flags = (*uint32)(at(p.sub.flags))
	for i, order := 0, unsafe.Slice((*uint32)(at(p.sub.array)), p.submissions); i < len(order); i++ {
		order[i] = uint32(i)
	}
	// A disabled ring cannot be entered; any other refusal is a sandbox's.
	if err = u.enter(0); !errors.Is(err, unix.EBADFD) {
		return fmt.Errorf("enter a disabled ring: %w", err)
	}
	return nil
}

func (u *uring) mmap(offset int64, size int) ([]byte, error) {
	m, err := unix.Mmap(u.fd, offset, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	return m, os.NewSyscallError("mmap", err)
}

// register is io_uring_register(2).
func (u *uring) register(op uintptr, arg unsafe.Pointer, n uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(u.fd), op, uintptr(arg), n, 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_register", errno)
	}
	return nil
}

// enable binds the ring to this thread.
func (u *uring) enable() error { return u.register(ioringRegisterEnableRings, nil, 0) }

// room is how many submissions there may be more before the next enter.
func (u *uring) room() int { return len(u.submissions) - int(u.queued) }

// submit queues an operation for the next enter; there must be room. What it points
// to must stay until it has completed.
func (u *uring) submit(e submission) {
	if u.room() == 0 {
		panic("target: more submissions than the ring holds")
	}
	tail := *u.tail // nobody else changes it
	u.submissions[tail&uint32(len(u.submissions)-1)] = e
	atomic.StoreUint32(u.tail, tail+1)
	u.queued++
}

// enter hands over what is queued and lets the kernel work, until there are at least
// wait completions. It may return early.
func (u *uring) enter(wait int) error {
	atomic.StoreUint32(u.head, u.next)
	n, _, errno := unix.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(u.fd), uintptr(u.queued), uintptr(wait), ioringEnterGetevents, 0, 0)
	switch errno {
	case 0:
		u.queued -= uint32(n)
	case unix.EINTR:
	case unix.EAGAIN, unix.EBUSY:
		// Short of memory, or of room for completions: taking some makes room.
		if u.next == atomic.LoadUint32(u.completionsTail) {
			return os.NewSyscallError("io_uring_enter", errno)
		}
	default:
		return os.NewSyscallError("io_uring_enter", errno)
	}
	u.end = atomic.LoadUint32(u.completionsTail)
	return nil
}

// waiting is true if completed has one to give.
func (u *uring) waiting() bool { return u.next != u.end }

// overflowed is true if there are completions that the ring has no room for.
func (u *uring) overflowed() bool { return atomic.LoadUint32(u.flags)&ioringSQCQOverflow != 0 }

// at is one of the completions from next up to end.
func (u *uring) at(i uint32) *completion { return &u.completions[i&uint32(len(u.completions)-1)] }

// completed gives the next of the completions that enter has found.
func (u *uring) completed() completion {
	u.next++
	return *u.at(u.next - 1)
}

// close gives up the ring and its memory. What is in flight by then ends in its own
// time, and without a completion.
func (u *uring) close() {
	for _, m := range [][]byte{u.rings, u.entries} {
		if m != nil {
			unix.Munmap(m) //nolint:errcheck // it is ours and whole
		}
	}
	unix.Close(u.fd) //nolint:errcheck // nothing is lost with it
}
