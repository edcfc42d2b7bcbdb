//go:build unix

package schedulertest

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// Slurm is a cluster of virtual nodes n1, n2, … with two CPUs each, all on this machine.
type Slurm struct {
	*Lab
	nodes []*Daemon
}

// StartSlurm starts slurmctld and so many slurmd on loopback, which take what they are
// told from whoever reaches their ports: meant for machines without other users. From
// now on the lab's srun, sbatch and so on speak with them.
func (l *Lab) StartSlurm(nodes int) *Slurm {
	l.Helper()
	l.Need("apt-get install slurmctld slurmd slurm-client", "slurmctld", "slurmd", "srun", "sbatch", "scontrol", "sinfo")
	self, err := user.Current()
	require.NoError(l, err)
	ports := l.Ports(1 + nodes)
	var conf strings.Builder
	fmt.Fprintf(&conf, slurmConf, self.Username, l.Dir, ports[0])
	for i, port := range ports[1:] {
		fmt.Fprintf(&conf, "NodeName=n%d NodeAddr=127.0.0.1 NodeHostname=localhost Port=%d CPUs=2 RealMemory=1000 State=UNKNOWN\n", i+1, port)
	}
	conf.WriteString("PartitionName=ci Nodes=ALL Default=YES MaxTime=INFINITE State=UP\n")
	path := l.Write("slurm.conf", conf.String())
	require.NoError(l, os.Mkdir(filepath.Join(l.Dir, "state"), 0o700))
	l.Setenv("SLURM_CONF", path)
	s := &Slurm{Lab: l}
	all := []*Daemon{l.Start("slurmctld", "slurmctld", "-D", "-i", "-f", path)}
	for i := range nodes {
		// Its slurmstepd has no other variable than this, and no parent.
		name := fmt.Sprintf("n%d", i+1)
		require.NoError(l, os.Mkdir(filepath.Join(l.Dir, name), 0o700))
		own := l.Write(filepath.Join(name, "slurm.conf"), conf.String())
		s.nodes = append(s.nodes, l.Start("slurmd-"+name, "slurmd", "-D", "-N", name, "-f", own))
	}
	l.Wait("idle nodes", func() bool {
		_, out := l.Run(10*time.Second, "sinfo", "-h", "-o", "%D %t")
		return strings.TrimSpace(out) == fmt.Sprintf("%d idle", nodes)
	}, append(all, s.nodes...)...)
	return s
}

// Lose takes node n1, n2, … from the cluster with all that runs on it.
func (s *Slurm) Lose(node int) {
	s.nodes[node-1].kill(filepath.Join(s.Dir, fmt.Sprintf("n%d", node)))
}

// slurmConf is for a user, a directory and slurmctld's port. Nothing listens on other
// addresses than those of the configuration, which is loopback.
const slurmConf = `ClusterName=ci
SlurmUser=%[1]s
SlurmdUser=%[1]s
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=%[3]d
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
AuthType=auth/none
CredType=cred/none
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
AccountingStorageType=accounting_storage/none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,defer=0
ReturnToService=2
SlurmdParameters=config_overrides
KillWait=5
SlurmctldTimeout=30
SlurmdTimeout=10
TCPTimeout=2
MessageTimeout=5
StateSaveLocation=%[2]s/state
SlurmdSpoolDir=%[2]s/spool-%%n
SlurmctldPidFile=%[2]s/slurmctld.pid
SlurmdPidFile=%[2]s/slurmd-%%n.pid
SlurmctldLogFile=%[2]s/slurmctld.log
SlurmdLogFile=%[2]s/slurmd-%%n.log
SlurmctldDebug=info
SlurmdDebug=info
`
