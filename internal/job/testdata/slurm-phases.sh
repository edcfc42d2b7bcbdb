#!/bin/sh
#SBATCH --job-name=load
#SBATCH --no-requeue
#SBATCH --time=1:30:00
#SBATCH --cpus-per-task=2
#SBATCH --ntasks=4
#SBATCH --spread-job
# Submit this with sbatch. When the job has ended: brunt merge results
export BRUNT_RUN=load
export BRUNT_RESULTS=results
export TARGET=http://10.0.0.1:8080/
srun --ntasks=1 --nodes=1 --cpus-per-task=2 ./load.test -test.run '^TestSetUp$' || exit
export BRUNT_SHARDS=4 BRUNT_START=$(($(date +%s) + 30))
srun --ntasks=4 --kill-on-bad-exit=0 --cpus-per-task=2 ./load.test -test.run '^TestLoad$'
code=$?
unset BRUNT_SHARDS BRUNT_START
srun --ntasks=1 --nodes=1 --cpus-per-task=2 ./load.test -test.run '^TestTearDown$' || { after=$?; exit $((code ? code : after)); }
exit $code
