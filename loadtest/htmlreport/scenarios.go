package htmlreport

import (
	"maps"
	"slices"

	"example.com/brunt/loadtest"
	"example.com/brunt/loadtest/internal/text"
)

// This file says what a page has more of where users walk through scenarios.

// scenarioRow tells of the users of one scenario.
type scenarioRow struct{ Run, Name, Started, Finished, Failed, Canceled, Requests, P50, P99, Max, Error string }

// walked reports whether users walked through scenarios in r.
func walked(r *loadtest.EngineResult) bool { return r.Users > 0 || len(r.Scenarios) > 0 }

func scenarios(run string, r *loadtest.EngineResult) (rows []scenarioRow) {
	for _, name := range slices.Sorted(maps.Keys(r.Scenarios)) {
		s := r.Scenarios[name]
		rows = append(rows, scenarioRow{
			Run: run, Name: name, Started: text.Count(s.Started), Finished: text.Count(s.Finished),
			Failed: text.Count(s.Failed), Canceled: text.Count(s.Canceled), Requests: text.Count(s.Requests),
			P50: percentile(s.Finished, 0.50, s.Quantile), P99: percentile(s.Finished, 0.99, s.Quantile), Max: percentile(s.Finished, 1, s.Quantile),
			Error: s.Error,
		})
	}
	return rows
}

func userTiles(r *loadtest.EngineResult) []tile {
	if !walked(r) {
		return nil
	}
	return []tile{{"users", "users", text.Count(r.Users), ""}, failedTile("user_error_rate", "users failed", r.UsersFailed, r.Users)}
}
