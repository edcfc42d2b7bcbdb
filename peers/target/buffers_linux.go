package target

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// As in uring_linux.go; io_uring_register(2).
const (
	ioringRegisterPbufRing   = 22
	ioringUnregisterPbufRing = 23
)

// bufferEntry is struct io_uring_buf. The tail of the ring lies in the first.
type bufferEntry struct {
	addr uint64
	size uint32
	id   uint16
	tail uint16
}

// bufferRegistration is struct io_uring_buf_reg.
type bufferRegistration struct {
	addr         uint64
	entries      uint32
	group, flags uint16
	_            [3]uint64
}

// buffers are what the kernel reads into, one for each completion, so that a
// connection that waits needs none. They are mapped, since the kernel keeps their
// addresses: Go's collector has no part in them.
type buffers struct {
	ring    *uring
	group   uint16
	size    int
	entries []bufferEntry // shared with the kernel
	all     []byte        // the entries and, behind them, the buffers
	data    []byte
}

// newBuffers provides n buffers, a power of 2, of size bytes each.
func newBuffers(u *uring, group uint16, n, size int) (*buffers, error) {
	head := (n*int(unsafe.Sizeof(bufferEntry{})) + os.Getpagesize() - 1) &^ (os.Getpagesize() - 1)
	all, err := unix.Mmap(-1, 0, head+n*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	b := &buffers{ring: u, group: group, size: size, all: all, data: all[head:]}
	b.entries = unsafe.Slice((*bufferEntry)(unsafe.Pointer(&all[0])), n) // mapped, so aligned to a page
	r := bufferRegistration{addr: address(all), entries: uint32(n), group: group}
	if err := u.register(ioringRegisterPbufRing, unsafe.Pointer(&r), 1); err != nil {
		unix.Munmap(all) //nolint:errcheck // it is ours and whole
		return nil, err
	}
	for id := range n {
		b.give(uint16(id))
	}
	return b, nil
}

// of is the buffer of a completion, up to what was read into it. It is to be given
// back.
func (b *buffers) of(c completion) (id uint16, data []byte) {
	id = uint16(c.flags >> ioringCQEBufferShift)
	from := int(id) * b.size
	return id, b.data[from : from+max(int(c.result), 0)]
}

// give gives a buffer to the kernel, which looks for it in enter only: a system
// call of the same thread, so that nothing here needs to be atomic.
func (b *buffers) give(id uint16) {
	tail := &b.entries[0].tail
	e := &b.entries[int(*tail)&(len(b.entries)-1)]
	e.addr, e.size, e.id = address(b.data[int(id)*b.size:]), uint32(b.size), id // and not its tail
	*tail++
}

// close takes the buffers from the kernel and frees them; nothing may be reading.
func (b *buffers) close() error {
	err := b.ring.register(ioringUnregisterPbufRing, unsafe.Pointer(&bufferRegistration{group: b.group}), 1)
	unix.Munmap(b.all) //nolint:errcheck // it is ours and whole
	return err
}

// address is that of the first byte, for the kernel. It does not keep p alive.
func address(p []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&p[0]))) }
