#!/bin/sh
# Run this where sbatch is. When the array has ended, so does this, and then: brunt merge results
export BRUNT_RUN=load
export BRUNT_RESULTS=results
export TARGET=http://10.0.0.1:8080/
sbatch --wait --export=ALL --job-name=load --no-requeue --time=1:30:00 --cpus-per-task=2 --ntasks=1 --partition=load '--wrap=exec ./load.test -test.run '\''^TestSetUp$'\''' || exit
export BRUNT_SHARDS=4 BRUNT_START=$(($(date +%s) + 30))
sbatch --wait --export=ALL --job-name=load --no-requeue --time=1:30:00 --cpus-per-task=2 --array=0-3 --partition=load '--wrap=exec ./load.test -test.run '\''^TestLoad$'\'''
code=$?
unset BRUNT_SHARDS BRUNT_START
sbatch --wait --export=ALL --job-name=load --no-requeue --time=1:30:00 --cpus-per-task=2 --ntasks=1 --partition=load '--wrap=exec ./load.test -test.run '\''^TestTearDown$'\''' || { after=$?; exit $((code ? code : after)); }
exit $code
