//go:build linux

package k8stest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestKubernetes(t *testing.T) {
	image := t.TempDir()
	brunt := build(t, image)
	c := startControlPlane(t, buildControlPlane(t))
	startKubelet(t, c, image, "node-0", "node-1", "node-2", "node-3")
	for _, test := range []struct {
		name string
		run  func(*testing.T, run)
	}{
		{"kubelet", testKubelet},
		{"manifest", testManifest},
		{"whole", testWhole},
		{"evicted", testEvicted},
		{"deleted", testDeleted},
		{"crashed", testCrashed},
		{"late", testLate},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, prepare(t, c, brunt, test.name)) })
	}
}

// The server takes the manifest as it is, and lets its pods into a restricted namespace.
func testManifest(t *testing.T, r run) {
	manifest := r.manifest(t, time.Hour)
	require.ErrorContains(t, r.submit(t, strings.Replace(manifest, "completionMode:", "completionMood:", 1)),
		`unknown field "spec.completionMood"`, "else nothing is validated")
	require.NoError(t, r.submit(t, manifest))

	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod"}, Spec: r.job(t).Spec.Template.Spec}
	dry := metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}}
	_, err := r.client.CoreV1().Pods(r.name).Create(t.Context(), pod, dry)
	require.NoError(t, err)
	pod.Spec.Containers[0].SecurityContext.AllowPrivilegeEscalation = new(true)
	_, err = r.client.CoreV1().Pods(r.name).Create(t.Context(), pod, dry)
	require.ErrorContains(t, err, `violates PodSecurity "restricted`, "else nothing is forbidden")

	require.NoError(t, r.client.BatchV1().Jobs(r.name).Delete(t.Context(), r.name, metav1.DeleteOptions{
		PropagationPolicy: new(metav1.DeletePropagationForeground),
	}))
	eventually(t, "the pods are gone", func() bool { return len(r.pods(t)) == 0 })
	require.Empty(t, r.arrivals())
}

// Every arrival comes once, whichever shard sends it, and the shards are one result.
func testWhole(t *testing.T, r run) {
	require.NoError(t, r.submit(t, r.manifest(t, toStart)))
	require.Equal(t, batchv1.JobComplete, r.end(t))
	nodes := make(map[string]bool)
	for _, pod := range r.pods(t) {
		nodes[pod.Spec.NodeName] = true
	}
	require.Len(t, nodes, shards, "each on a node of its own")
	seen := r.arrivals()
	require.Len(t, seen, arrivals)
	for n, times := range seen {
		require.Equal(t, 1, times, "arrival %d", n)
	}
	code, out, errs := r.merge(t, "-format", "json")
	require.Zero(t, code, errs)
	var tests []struct {
		Name   string
		Shards int
		Result struct {
			Requests, Scheduled int
			Succeeded           int `json:"success_count"`
		}
	}
	require.NoError(t, json.Unmarshal([]byte(out), &tests))
	require.Len(t, tests, 1)
	require.Equal(t, "TestLoad", tests[0].Name)
	require.Equal(t, shards, tests[0].Shards)
	require.Equal(t, arrivals, tests[0].Result.Scheduled)
	require.Equal(t, arrivals, tests[0].Result.Requests)
	require.Equal(t, arrivals, tests[0].Result.Succeeded)
}

// A pod is evicted in the middle of its load, when the others have ended.
func testEvicted(t *testing.T, r run) {
	const shard = 2
	r.hold = arrivals - shards + shard
	require.NoError(t, r.submit(t, r.manifest(t, toStart)))
	r.await(t, shards-1, v1.PodSucceeded)
	require.NoError(t, r.client.PolicyV1().Evictions(r.name).Evict(t.Context(), &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: r.name, Name: r.pods(t)[shard].Name},
	}))
	require.Equal(t, batchv1.JobFailed, r.end(t))
	r.refused(t, "of 4 shards, 1 wrote no result: 2")
}

// A pod is deleted before the load begins: that ends them all.
func testDeleted(t *testing.T, r run) {
	require.NoError(t, r.submit(t, r.manifest(t, time.Hour)))
	r.await(t, shards, v1.PodRunning)
	require.NoError(t, r.client.CoreV1().Pods(r.name).Delete(t.Context(), r.pods(t)[1].Name, metav1.DeleteOptions{}))
	require.Equal(t, batchv1.JobFailed, r.end(t))
	require.Empty(t, r.arrivals())
	r.refused(t, "no result")
}

// A shard exits with 7, when the others have ended.
func testCrashed(t *testing.T, r run) {
	const shard = 1
	r.hold = arrivals - shards + shard
	require.NoError(t, r.submit(t, r.manifest(t, toStart)))
	r.await(t, shards-1, v1.PodSucceeded)
	eventually(t, "its last request waits", func() bool { return r.arrivals()[r.hold] == 1 })
	r.answer <- "crash"
	require.Equal(t, batchv1.JobFailed, r.end(t))
	require.EqualValues(t, 7, r.pods(t)[shard].Status.ContainerStatuses[0].State.Terminated.ExitCode)
	r.refused(t, "of 4 shards, 1 wrote no result: 1")
}

// There is room for three pods, so that the fourth starts when one of them has ended.
func testLate(t *testing.T, r run) {
	cordon := func(is bool) {
		node, err := r.client.CoreV1().Nodes().Get(t.Context(), "node-3", metav1.GetOptions{})
		require.NoError(t, err)
		node.Spec.Unschedulable = is
		_, err = r.client.CoreV1().Nodes().Update(t.Context(), node, metav1.UpdateOptions{})
		require.NoError(t, err)
	}
	cordon(true)
	defer cordon(false)
	require.NoError(t, r.submit(t, r.manifest(t, toStart)))
	require.Equal(t, batchv1.JobFailed, r.end(t))
	late := -1
	for i, pod := range r.pods(t) {
		if pod.Status.Phase == v1.PodFailed {
			require.Negative(t, late, "only one is late")
			late = i
		}
	}
	require.GreaterOrEqual(t, late, 0, "one is late")
	r.refused(t, fmt.Sprintf("shard %d on ", late))
}
