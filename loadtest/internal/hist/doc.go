// Package hist holds how long things took: in a [Histogram], in a [Block] for each stretch
// of time, which show how sure a quantile of the histogram is and whether it moved, and in
// a [Series] of bounded length.
package hist
