// Package data deals out rows of test data, such as users and their passwords, to the
// requests of a load test by number.
//
// [ReadFile], [ReadCSV] and [ReadJSONLines] read all of a table and refuse one with a
// fault. A row is a number's: row i for request i, or user i of a scenario, so that a run
// that is repeated has the same data, and no lock is needed. Each row is used once, and
// then there are [ErrNoMoreRows], or with [Rows.Cycle] again and again.
//
// [Rows.Source] fills the placeholders of a [loadtest.Template] with the values of rows.
// [Row.Get] is what [loadtest.Template.Request] takes for one request.
//
// Rows are held in memory as the strings that they are: a table costs about what its file
// does, and 16 bytes a value.
package data
