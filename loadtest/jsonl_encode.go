package loadtest

import (
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// appendRecord appends r as a JSON object that means the same as the one that
// MarshalJSON writes, without reflection and without allocating: it runs for every
// request of a load.
func appendRecord(b []byte, r *RequestResult) ([]byte, error) {
	if r.Class >= numClasses {
		return b, fmt.Errorf("loadtest: no error class %d", uint8(r.Class))
	}
	b = append(b, `{"url":`...)
	b = appendString(b, r.URL)
	b = append(b, `,"status_code":`...)
	b = strconv.AppendInt(b, int64(r.StatusCode), 10)
	b = append(b, `,"latency_ms":`...)
	b = appendMillionths(b, int64(r.Latency), millis(r.Latency))
	b = append(b, `,"timestamp":`...)
	b = appendTimestamp(b, r.Timestamp)
	b = append(b, `,"attempt":`...)
	b = strconv.AppendInt(b, int64(r.Attempt), 10)
	b = append(b, `,"error":`...)
	if r.Err == nil {
		b = append(b, "null"...)
	} else {
		b = appendString(b, r.Err.Error())
	}
	if r.Class != ClassNone {
		b = append(b, `,"error_class":"`...)
		b = append(b, classNames[r.Class]...)
		b = append(b, '"')
	}
	if r.Name != "" {
		b = append(b, `,"name":`...)
		b = appendString(b, r.Name)
	}
	if r.Method != "" {
		b = append(b, `,"method":`...)
		b = appendString(b, r.Method)
	}
	if r.Bytes != 0 {
		b = append(b, `,"bytes":`...)
		b = strconv.AppendInt(b, r.Bytes, 10)
	}
	if r.Expected {
		b = append(b, `,"expected":true`...)
	}
	return append(b, '}'), nil
}

func appendTimestamp(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, '0')
	}
	return appendMillionths(b, t.UnixMicro(), unixSeconds(t))
}

// appendMillionths appends n ÷ 10⁶ as the decimal that it is, which rounds to the
// same float as the quotient f while both are exact; beyond, it appends f.
func appendMillionths(b []byte, n int64, f float64) []byte {
	const exact = 1 << 53
	if n < 0 || n > exact {
		return appendFloat(b, f)
	}
	b = strconv.AppendInt(b, n/1e6, 10)
	rest := n % 1e6
	if rest == 0 {
		return b
	}
	var digits [7]byte
	digits[0] = '.'
	last := 0
	for i := 6; i > 0; i-- {
		digits[i] = byte('0' + rest%10)
		if last == 0 && digits[i] != '0' {
			last = i
		}
		rest /= 10
	}
	return append(b, digits[:last+1]...)
}

// appendFloat appends f, which is finite: it comes from an integer.
func appendFloat(b []byte, f float64) []byte {
	if math.Abs(f) < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'e', -1, 64)
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD,
// as in encoding/json.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				b = append(b, s[start:i]...)
				b = append(b, `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
