package hist

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"math"
	"sync"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// deflaters holds *zlib.Writer, which are a megabyte each.
var deflaters = sync.Pool{New: func() any {
	w, err := zlib.NewWriterLevel(nil, zlib.BestCompression)
	if err != nil {
		panic(err) // of a wrong level alone
	}
	return w
}}

// encode returns h as HdrHistogram's Encode would, byte by byte, but visits only the pages
// there are and not every bucket up to Max.
func (h *Histogram) encode() (string, error) {
	const bytewise = 0x10 // in each cookie: words of one byte
	var counts []byte
	next := 0
	for bucket, n := range h.buckets {
		switch zeros := bucket - next; zeros {
		case 0:
		case 1:
			counts = append(counts, 0)
		default:
			counts = appendZigZag(counts, -int64(zeros))
		}
		counts = appendZigZag(counts, n)
		next = bucket + 1
	}
	if next == 0 {
		counts = append(counts, 0)
	}
	be := binary.BigEndian
	var head []byte
	head = be.AppendUint32(head, uint32(hdrhistogram.V2EncodingCookieBase|bytewise))
	head = be.AppendUint32(head, uint32(len(counts)))
	head = be.AppendUint32(head, 0) // no normalizing offset
	head = be.AppendUint32(head, digits)
	head = be.AppendUint64(head, 1) // lowest
	head = be.AppendUint64(head, uint64(Max))
	head = be.AppendUint64(head, math.Float64bits(1)) // no conversion

	var out bytes.Buffer
	out.Write(make([]byte, 8)) // cookie and length
	w := deflaters.Get().(*zlib.Writer)
	defer deflaters.Put(w)
	w.Reset(&out)
	if _, err := w.Write(append(head, counts...)); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	be.PutUint32(out.Bytes(), uint32(hdrhistogram.V2CompressedEncodingCookieBase|bytewise))
	be.PutUint32(out.Bytes()[4:], uint32(out.Len()-8))
	return base64.StdEncoding.EncodeToString(out.Bytes()), nil
}

// appendZigZag appends v as ZigZag LEB128-64b9B: seven bits to a byte, and all eight of
// the ninth.
func appendZigZag(b []byte, v int64) []byte {
	u := uint64(v<<1 ^ v>>63)
	for range 8 {
		if u < 0x80 {
			return append(b, byte(u))
		}
		b = append(b, byte(u)|0x80)
		u >>= 7
	}
	return append(b, byte(u))
}
