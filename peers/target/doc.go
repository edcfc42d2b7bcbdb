// Package target is the server that the contestants drive.
//
// It is small and it does little, so that the client is what limits a run. The
// fast kind reads HTTP/1.1 requests off plain TCP and writes a response that was
// made once, over io_uring or epoll where there is either; the nethttp kind is a plain http.Server, for a run against what
// people test in practice. Both count what they have served, and tell the count
// and the CPU time they have used: a contestant's own word for its work is not
// enough.
//
// [Spawn] runs it in a process of its own, so that its CPU time is not the
// client's, [Start] in this process, which is enough for tests. It listens on
// loopback only.
package target
