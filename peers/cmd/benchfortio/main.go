// Benchfortio is the process in which benchpeers measures fortio's library. It has a
// program of its own, so that what the library brings along, in memory and at the
// start of a process, is counted as its own and as nobody else's.
package main

import (
	"fmt"
	"os"

	"example.com/brunt/peers"
	"example.com/brunt/peers/rival/fortio"
)

func main() {
	peers.RunIfChild(fortio.Contestants()...)
	fmt.Fprintln(os.Stderr, "benchfortio: it is started by benchpeers, which tells it what to do")
	os.Exit(2)
}
