package loadtest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/brunt/loadtest/internal/http1"
)

func TestErrorsOfHTTP1AreTranslated(t *testing.T) {
	for want, phase := range map[Phase]http1.Phase{
		PhaseUnknown: http1.PhaseUnknown, PhasePool: http1.PhasePool, PhaseDNS: http1.PhaseDNS, PhaseConnect: http1.PhaseConnect,
		PhaseTLS: http1.PhaseTLS, PhaseHeaders: http1.PhaseHeaders, PhaseBody: http1.PhaseBody,
	} {
		require.Equal(t, &PhaseError{want, errTest}, fromHTTP1(&http1.Error{Phase: phase, Err: errTest}))
	}
	err := fromHTTP1(&http1.Error{Phase: http1.PhaseHeaders, Err: &http1.ProtocolError{Reason: "malformed status line", Text: "SMTP"}})
	require.ErrorIs(t, err, ErrProtocol)
	require.Equal(t, ClassProtocol, classify(err))
	require.Equal(t, &ProtocolError{Reason: "malformed status line", Text: "SMTP"}, err)
	require.EqualError(t, err, `loadtest: bad HTTP response: malformed status line: "SMTP"`)

	err = fromHTTP1(&http1.Error{Phase: http1.PhaseBody, Err: &http1.BodyLimitError{Limit: 7}})
	require.Equal(t, ClassBodyLimit, classify(err))
	require.EqualError(t, err, "loadtest: response body exceeds MaxResponseBytes (7)")
	require.NotErrorAs(t, err, new(*PhaseError))

	require.Equal(t, errTest, fromHTTP1(errTest))
}
