// Package pace says when the arrivals of a load test are due.
package pace
