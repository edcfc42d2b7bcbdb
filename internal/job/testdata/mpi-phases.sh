#!/bin/sh
# Run this where mpirun is. When it has ended: brunt merge results
export BRUNT_RUN=load
export BRUNT_RESULTS=results
export TARGET=http://10.0.0.1:8080/
./load.test -test.run '^TestSetUp$' || exit
export BRUNT_SHARDS=4 BRUNT_START=2026-03-01T13:00:00Z
timeout --foreground --kill-after=10 5410 mpirun -n 4 --map-by node --bind-to none --timeout 5400 -x BRUNT_SHARDS -x BRUNT_START -x BRUNT_RUN -x BRUNT_RESULTS -x TARGET ./load.test -test.run '^TestLoad$'
code=$?
unset BRUNT_SHARDS BRUNT_START
./load.test -test.run '^TestTearDown$' || { after=$?; exit $((code ? code : after)); }
exit $code
