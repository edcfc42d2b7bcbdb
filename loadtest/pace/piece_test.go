package pace

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const year = 365 * 24 * time.Hour

func number(x float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(x) }

func whole(n int64) *big.Float { return new(big.Float).SetPrec(400).SetInt64(n) }

func calc(op func(z, x, y *big.Float) *big.Float, x, y *big.Float) *big.Float {
	return op(number(0), x, y)
}

var add, sub, mul, quo = (*big.Float).Add, (*big.Float).Sub, (*big.Float).Mul, (*big.Float).Quo

// bigLine returns the instant of arrival n of a line, computed with 400 bits.
func bigLine(from, to float64, over time.Duration, n int64) time.Duration {
	x := calc(mul, whole(n), number(nano))
	slope := number(0)
	if from != to {
		slope = calc(quo, calc(sub, number(to), number(from)), whole(2*int64(over)))
	}
	root := calc(mul, number(4), calc(mul, slope, x))
	root = calc(add, root, calc(mul, number(from), number(from)))
	if root.Sign() < 0 {
		return forever // there is no such arrival
	}
	t := calc(quo, calc(mul, number(2), x), calc(add, number(from), root.Sqrt(root)))
	at, _ := calc(add, t, number(0.5)).Int64()
	return time.Duration(at)
}

func TestLinesAreExactToTheNanosecond(t *testing.T) {
	for _, line := range []struct {
		from, to float64
		over     time.Duration
	}{
		{1000, 1000, 0},
		{3, 3, 0},
		{0.1, 0.1, 0},
		{1e9, 1e9, 0},
		{999999999.7, 999999999.7, 0},
		{100.0 / 60, 100.0 / 60, 0},
		{math.Pi * 1e5, math.Pi * 1e5, 0},
		{0, 500, 30 * time.Second},
		{100, 500, 30 * time.Second},
		{0, 1e9, time.Hour},
		{0, 1e9, time.Second},
		{1e9, 0, time.Hour},
		{1e9, 0, year},
		{1e9, 1e-9, 7 * year},
		{777, 0, 3 * year},
		{0.001, 1e6, 10 * year},
		{1e6, 1e6 + 1e-6, 10 * year},
	} {
		s := Constant(line.from)
		if line.over > 0 {
			s = Ramp(line.from, line.to, line.over)
		}
		require.NoError(t, s.Validate())
		f := s.root.(*flow)
		last := f.len() - 1
		rng := rand.New(rand.NewPCG(1, 2))
		ns := []int64{0, 1, 2, 3, 10, 999_999_999, 1e9, 1e9 + 1, 1e12 + 7, last / 3, last - 1, last}
		for range 200 {
			ns = append(ns, rng.Int64N(min(last, 1e15)+1), rng.Int64N(min(last, 1e6)+1), max(0, last-rng.Int64N(1000)))
		}
		for _, n := range ns {
			if n < 1 || n > last {
				continue
			}
			_, at := f.find(0, arrival(n))
			require.Equal(t, bigLine(line.from, line.to, line.over, n), at, "arrival %d of %v", n, s)
		}
		if line.over > 0 {
			require.GreaterOrEqual(t, bigLine(line.from, line.to, line.over, last+1), f.length(), "arrival %d of %v", last+1, s)
		}
	}
}

// A schedule of three pieces places its arrivals as if each were alone, but for where it begins.
func TestPiecesFollowWithoutAStep(t *testing.T) {
	s := Constant(0.3).Until(5 * time.Second).Then(Constant(0).Until(time.Second)).Then(Constant(3).Until(time.Second))
	require.EqualValues(t, 5, s.Len()) // 1.5 + 0 + 3
	var at []time.Duration
	for t := range s.All() {
		at = append(at, t)
	}
	require.Equal(t, []time.Duration{0, 3333333333, 6166666667, 6500000000, 6833333333}, at)
}

// What is due when a pause begins is due when it ends: a ramp that holds a whole number
// of arrivals holds no more, however its slope is rounded.
func TestRampHoldsNoMoreThanItsArea(t *testing.T) {
	for _, unit := range []time.Duration{time.Second, time.Minute, 24 * time.Hour} {
		for from := range int64(12) {
			for to := range int64(12) {
				for k := range time.Duration(40) {
					over := 2 * (k + 1) * unit
					if from == to {
						continue
					}
					s := Ramp(float64(from), float64(to), over).Then(Constant(0).Until(time.Hour)).Then(Constant(1).Until(time.Second))
					n := (from + to) * int64(over/time.Second) / 2
					at, _, ok := s.root.steps()(n)
					require.True(t, ok)
					require.Equal(t, over+time.Hour, at, "arrival %d of %v", n, s)
				}
			}
		}
	}
	require.EqualValues(t, 3_155_760_000, Ramp(1, 0, 200*year+50*24*time.Hour).Len(), "half a second for each of its seconds")
}

// bigSine returns sin(x) with 400 bits.
func bigSine(x *big.Float) *big.Float {
	sine, term := number(0), x
	for k := int64(1); term.Sign() != 0 && term.MantExp(nil) > -400; k += 2 {
		sine = calc(add, sine, term)
		term = calc(quo, calc(mul, term, calc(mul, x, x)), whole(-(k+1)*(k+2)))
	}
	return sine
}

func TestWavesAreExactToTheNanosecond(t *testing.T) {
	pi, _, err := big.ParseFloat("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798214808651", 10, 400, big.ToNearestEven)
	require.NoError(t, err)
	for _, wave := range []struct {
		mean, amplitude float64
		period          time.Duration
	}{
		{1000, 500, time.Minute},
		{1000, 999, time.Minute},
		{1000, 1000, time.Second},
		{0.7, 0.1, 90 * time.Second},
		{5e8, 5e8, time.Second},
		{12345.678, 12000, time.Hour},
		{100, 50, 24 * time.Hour},
	} {
		s := Sine(wave.mean, wave.amplitude, wave.period)
		f := s.root.(*flow)
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range int64(200) {
			n := i
			if i > 50 {
				n = rng.Int64N(1e9) + 1
			}
			_, at := f.find(0, arrival(n))
			// Λ at the instant, in billionths, and how far that is from n in time.
			theta := calc(quo, calc(mul, pi, whole(int64(at%wave.period))), whole(int64(wave.period)))
			sine := bigSine(theta)
			area := calc(quo, calc(mul, number(wave.amplitude), whole(int64(wave.period))), pi)
			area = calc(mul, area, calc(mul, sine, sine))
			area = calc(add, area, calc(mul, number(wave.mean), whole(int64(at))))
			gap, _ := calc(sub, area, calc(mul, whole(n), number(nano))).Float64()
			rate := s.Rate(at)
			if rate > wave.mean/100 {
				require.LessOrEqual(t, math.Abs(gap/rate), 1.0, "arrival %d of %v: nanoseconds off", n, s)
			}
		}
	}
}

// Where the rate of a wave is 0, an equation with a double root is solved.
func TestWaveAtItsTrough(t *testing.T) {
	for e := 0.0; e <= 1; e += 1.0 / 64 {
		for m := -3.0; m < 8; m += 1.0 / 128 {
			angle := kepler(m, e)
			require.InDelta(t, m, angle-e*math.Sin(angle), 1e-14, "e %v", e)
		}
	}
	require.Zero(t, kepler(0, 1))
	for m := 1e-18; m < 1; m *= 1.7 {
		angle := kepler(m, 1)
		require.InDelta(t, m, keplerNear0(angle), 1e-15*angle, m)
		require.InDelta(t, -angle, kepler(-m, 1), 1e-15, m)
	}
}

// keplerNear0 returns E - sin E without cancellation.
func keplerNear0(angle float64) (m float64) {
	term := angle
	for k := 1.0; k < 40; k += 2 {
		term *= -angle * angle / ((k + 1) * (k + 2))
		m -= term
	}
	return m
}

// What is computed of an instant may be off where the rate is close to 0; the instant
// stays within its piece.
func TestInstantsStayWithinTheirPiece(t *testing.T) {
	require.Zero(t, solve(0, 1, 0), "the first arrival of a ramp from 0")
	require.Zero(t, solve(0, 0, 0))
	require.InEpsilon(t, 2.5, solve(2, 0, 5), 1e-15, "of a ramp that hardly rises")
	p := piece{start: 10, d: 10}
	for _, tt := range []struct {
		start time.Duration
		t, by float64
		want  time.Duration
	}{
		{0, 3, 0.4, 3},
		{0, 3, 0.5, 4},
		{0, 3, -0.5, 3},
		{4, 3, 1, 8},
		{0, 10, 0, 10},
		{0, 11, 0, 10},
		{0, 9, 2, 10},
		{4, 9, 0, 10},
		{0, 2, -3, 0},
		{0, 1e30, 0, 10},
		{0, 0, 1e30, 10},
	} {
		require.Equal(t, tt.want, p.nearest(tt.start, tt.t, tt.by), "%+v", tt)
	}
	endless := piece{d: forever}
	require.Equal(t, forever, endless.nearest(0, 0x1p63, 0))
	require.Equal(t, forever, endless.nearest(1<<62, 0x1p62, 0))
	require.Equal(t, time.Duration(1<<62), endless.nearest(0, 0x1p62, 0))
}

// Whole periods of a wave are exact, on which side of their end the division of large
// numbers comes out.
func TestWavesKeepTheirPeriods(t *testing.T) {
	require.NoError(t, Sine(5e8, 1, 200_000*time.Second).Validate(), "as many arrivals in a period as may be")
	rng := rand.New(rand.NewPCG(5, 6))
	for range 5000 {
		p := Sine(1e6*rng.Float64()+1, 0.5, time.Duration(1+rng.Int64N(int64(time.Hour)))).root.(*flow).last()
		k := 1 + rng.Int64N(1_000_000)
		whole := integer(k).mul(p.period())
		for _, by := range []float64{-1e-9, 0, 1e-9} {
			require.InDelta(t, k*int64(p.over), int64(p.inverse(whole.add(exact{by, 0}))), 1, "period %d of %v, %v beyond", k, p.text(-1), by)
		}
	}
}

func TestIntegralIsThatOfTheRate(t *testing.T) {
	for _, s := range []Schedule{
		Constant(1234).Until(time.Minute),
		Ramp(0, 500, 30*time.Second),
		Ramp(500, 0, 30*time.Second),
		Ramp(500, 20, 30*time.Second).Until(20 * time.Second),
		Sine(1000, 1000, 7*time.Second).Until(time.Minute),
		Stages(Stage{100, 0}, Stage{100, 10 * time.Second}, Stage{500, 5 * time.Second}, Stage{0, time.Second}),
		Constant(10).Until(time.Second).Then(Sine(50, 20, time.Second).Until(2500 * time.Millisecond)).Then(Ramp(3, 4, time.Second)),
	} {
		f := s.root.(*flow)
		for _, p := range f.pieces {
			// Simpson's rule, from the start of the piece.
			var numeric float64
			const steps = 20000
			length := p.end - p.start
			at := func(i int) float64 { return p.rate(time.Duration(float64(length) * float64(i) / steps)) }
			for i := range steps {
				numeric += (at(2*i/2) + 4*(at(i)+at(i+1))/2 + at(i+1)) / 6 * float64(length) / steps
			}
			require.InEpsilon(t, numeric, p.integral(length).hi, 1e-6, "%v", s)
			// And the inverse of the integral is where it was.
			for i := range 100 {
				t0 := length * time.Duration(i) / 100
				require.InDelta(t, float64(t0), float64(p.inverse(p.integral(t0))), 1, "%v at %v", s, t0)
			}
		}
		require.InDelta(t, f.top().hi/nano, float64(s.Len()), 1)
	}
}

func TestRate(t *testing.T) {
	at := func(s Schedule, at ...time.Duration) (rates []float64) {
		for _, t := range at {
			rates = append(rates, s.Rate(t*time.Second))
		}
		return rates
	}
	stages := Stages(Stage{100, 10 * time.Second}, Stage{100, 10 * time.Second}, Stage{0, 10 * time.Second})
	require.Equal(t, []float64{0, 0, 50, 100, 100, 50, 0}, at(stages, -1, 0, 5, 10, 15, 25, 30))
	require.Equal(t, []float64{0, 100, 200, 200, 0}, at(stages.Exactly(4000, 1), 0, 5, 10, 15, 30))
	require.Equal(t, []float64{0, 25, 50, 50, 0}, at(stages.Shard(1, 2), 0, 5, 10, 15, 30))
	require.Equal(t, []float64{7, 7}, at(Poisson(7, 1), 0, 1e6))
	require.Equal(t, []float64{25, 25, 0}, at(Burst(50, 2*time.Second).Until(3*time.Second), 0, 1, 3))
	require.Equal(t, []float64{2, 0, 0}, at(Recorded(0, 5, 2*time.Second), 0, 1, 2))
	require.Equal(t, []float64{12, 12, 5, 5, 0}, at(Constant(5).Until(4*time.Second).Merge(Constant(7).Until(2*time.Second)), 0, 1, 2, 3, 4))
	require.Equal(t, []float64{5, 5, 9, 0}, at(Poisson(5, 1).Until(2*time.Second).Then(Constant(9).Take(9)), 0, 1, 2, 3))
	require.Equal(t, []float64{1, 5, 0}, at(Constant(1).Until(time.Second).Then(Constant(5).Until(time.Second)), 0, 1, 2))
	require.InDelta(t, 150, Sine(100, 50, 4*time.Second).Rate(time.Second), 1e-9)
	require.Zero(t, Schedule{}.Rate(0))
}

func TestExactArithmetic(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	value := func(x exact) *big.Float { return calc(add, number(x.hi), number(x.lo)) }
	for range 3000 {
		a, b := integer(rng.Int64()), integer(rng.Int64N(1<<rng.IntN(62)+1)+1)
		for name, got := range map[string]struct{ got, want *big.Float }{
			"add":   {value(a.add(b)), calc(add, value(a), value(b))},
			"sub":   {value(a.sub(b)), calc(sub, value(a), value(b))},
			"plus":  {value(a.add(exact{b.hi, 0})), calc(add, value(a), number(b.hi))},
			"mul":   {value(a.mul(b)), calc(mul, value(a), value(b))},
			"times": {value(a.mul(exact{b.hi, 0})), calc(mul, value(a), number(b.hi))},
			"div":   {value(a.div(b)), calc(quo, value(a), value(b))},
		} {
			if got.want.Sign() == 0 {
				continue
			}
			off, _ := calc(quo, calc(sub, got.got, got.want), got.want).Float64()
			require.LessOrEqual(t, math.Abs(off), 1e-30, "%s of %v and %v", name, a, b)
		}
		n := rng.Int64N(1 << 60)
		require.Equal(t, n, integer(n).ceil())
		require.Equal(t, n+1, integer(n).add(exact{1e-9, 0}).ceil(), fmt.Sprint(n))
	}
	require.EqualValues(t, math.MaxInt64, exact{1e300, 0}.ceil())
	require.EqualValues(t, math.MaxInt64, exact{0x1p63, 0}.ceil())
}
