#!/bin/sh
# Run this where mpirun is. When it has ended: brunt merge results
export BRUNT_RUN=load
export BRUNT_RESULTS=results
export TARGET=http://10.0.0.1:8080/
export BRUNT_SHARDS=4 BRUNT_START=$(($(date +%s) + 30))
timeout --foreground --kill-after=10 5410 mpirun -n 4 --map-by node --bind-to none --timeout 5400 -x BRUNT_SHARDS -x BRUNT_START -x BRUNT_RUN -x BRUNT_RESULTS -x TARGET --hostfile 'my hosts' ./load.test -test.run '^TestLoad$'
