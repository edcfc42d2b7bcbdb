//go:build linux

package k8stest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What the other tests see of pods, the stand-in does as a kubelet would.
func testKubelet(t *testing.T, r run) {
	pods := r.client.CoreV1().Pods(metav1.NamespaceDefault)
	start := func(name string, argv ...string) {
		_, err := pods.Create(t.Context(), &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PodSpec{
			RestartPolicy: v1.RestartPolicyNever,
			Containers: []v1.Container{{
				Name: "main", Image: "local/none", Command: argv,
				Env:          []v1.EnvVar{{Name: "DIR", Value: "/mnt"}, {Name: "FILE", Value: "$(DIR)/pids"}},
				VolumeMounts: []v1.VolumeMount{{Name: "mnt", MountPath: "/mnt"}},
			}},
			Volumes: []v1.Volume{{Name: "mnt", VolumeSource: v1.VolumeSource{HostPath: &v1.HostPathVolumeSource{Path: r.results}}}},
		}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
	gone := func(name string) bool {
		_, err := pods.Get(t.Context(), name, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	}

	for name, tc := range map[string]struct {
		argv   []string
		code   int32
		reason string
	}{
		"no-such-program": {[]string{"./none"}, 128, "StartError"},
		"by-a-signal":     {[]string{"sh", "-c", "kill -9 $$$$"}, 137, "Error"}, // $$ is $ in a manifest
		"by-itself":       {[]string{"sh", "-c", "exit 3"}, 3, "Error"},
		"well":            {[]string{"sh", "-c", "test -d $(DIR)"}, 0, "Completed"},
	} {
		start(name, tc.argv...)
		var pod *v1.Pod
		eventually(t, name+" ends", func() bool {
			var err error
			pod, err = pods.Get(t.Context(), name, metav1.GetOptions{})
			require.NoError(t, err)
			return ended(pod)
		})
		state := pod.Status.ContainerStatuses[0].State.Terminated
		require.Equal(t, tc.code, state.ExitCode, name)
		require.Equal(t, tc.reason, state.Reason, name)
		require.Equal(t, tc.code == 0, pod.Status.Phase == v1.PodSucceeded, name)
	}

	// Neither it nor its child ends when it is asked to.
	start("stubborn", "sh", "-c", `trap "" TERM; sleep 3600 & echo $$$$ $! > $FILE; wait`)
	var pids []string
	eventually(t, "it runs", func() bool {
		text, _ := os.ReadFile(filepath.Join(r.results, "pids"))
		pids = strings.Fields(string(text))
		return len(pids) == 2
	})
	began := time.Now()
	require.NoError(t, pods.Delete(t.Context(), "stubborn", *metav1.NewDeleteOptions(1)))
	eventually(t, "it is gone", func() bool { return gone("stubborn") })
	require.GreaterOrEqual(t, time.Since(began), time.Second, "the grace period")
	for _, pid := range pids {
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%s/cmdline", pid)) // empty for one that nobody has waited for
		require.Empty(t, strings.ReplaceAll(string(cmdline), "\x00", " "), "it has left a process behind")
	}
}
