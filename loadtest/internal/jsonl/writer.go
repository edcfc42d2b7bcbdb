package jsonl

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Writer writes whole lines to W.
type Writer struct{ W io.Writer }

// Write writes lines, and returns how many of them were written. If it fails it removes
// the part of a line that may have been. A ctx that is done ends a write that hangs if W
// has a SetWriteDeadline.
func (w Writer) Write(ctx context.Context, lines []byte) (int64, error) {
	if d, ok := w.W.(interface{ SetWriteDeadline(time.Time) error }); ok {
		defer context.AfterFunc(ctx, func() { _ = d.SetWriteDeadline(time.Unix(1, 0)) })()
	}
	n := 0
	for n < len(lines) {
		k, err := w.W.Write(lines[n:])
		n += k
		if err == nil && k <= 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return int64(bytes.Count(lines[:n], []byte{'\n'})), w.takeBack(lines[:n], err)
		}
	}
	return int64(bytes.Count(lines, []byte{'\n'})), nil
}

// takeBack cuts W back to the last whole line of what was written before err.
func (w Writer) takeBack(written []byte, err error) error {
	cut := len(written) - (bytes.LastIndexByte(written, '\n') + 1)
	if f, ok := w.W.(truncater); ok && cut > 0 {
		// What has no position, such as a pipe, can't take anything back.
		if end, seekErr := f.Seek(0, io.SeekCurrent); seekErr == nil {
			if cutErr := f.Truncate(end - int64(cut)); cutErr != nil {
				err = errors.Join(err, fmt.Errorf("loadtest: the last line is cut off: %w", cutErr))
			}
		}
	}
	return err
}

// truncater is implemented by regular files.
type truncater interface {
	io.Seeker
	Truncate(size int64) error
}

// Sync makes the lines durable if W can: pipes and terminals cannot.
func (w Writer) Sync() error {
	s, ok := w.W.(interface{ Sync() error })
	if !ok {
		return nil
	}
	if f, ok := w.W.(*os.File); ok {
		if info, err := f.Stat(); err == nil && !info.Mode().IsRegular() {
			return nil
		} // an error comes back from Sync
	}
	return s.Sync()
}
