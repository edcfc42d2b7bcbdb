//go:build linux

package k8stest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/kubernetes/pkg/fieldpath"
	"k8s.io/kubernetes/third_party/forked/golang/expansion"
)

// kubelet stands in for the kubelets of some nodes. It does what a load test sees of
// them: it runs the container of a pod that the scheduler has bound to a node, with the
// environment of the pod alone and the folders that it mounts, reports its phase and exit
// code, and on deletion sends SIGTERM, and SIGKILL after the grace period. The process has no
// isolation: its image is a folder, its user the user of the test, and a path below a
// mount is replaced by the folder that is mounted there.
type kubelet struct {
	t      *testing.T
	client kubernetes.Interface
	image  string // the folder that is the image of every container
	logs   string // each pod's output is here in POD.log
	nodes  []string

	running sync.WaitGroup
	mu      sync.Mutex
	pods    map[types.UID]chan time.Duration // tells a pod to end within so long
}

// startKubelet registers nodes, each with room for one pod, and runs their pods until the
// test ends.
func startKubelet(t *testing.T, c *controlPlane, image string, nodes ...string) *kubelet {
	t.Helper()
	k := &kubelet{t: t, client: c.client, image: image, logs: c.logs, nodes: nodes, pods: make(map[types.UID]chan time.Duration)}
	for _, node := range nodes {
		k.register(node)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	factory := informers.NewSharedInformerFactory(k.client, 0)
	t.Cleanup(func() {
		cancel()
		factory.Shutdown()
		k.running.Wait()
	})
	_, err := factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(pod any) { k.sync(ctx, pod.(*v1.Pod)) },
		UpdateFunc: func(_, pod any) { k.sync(ctx, pod.(*v1.Pod)) },
		DeleteFunc: func(pod any) {
			if last, ok := pod.(cache.DeletedFinalStateUnknown); ok {
				pod = last.Obj
			}
			k.end(pod.(*v1.Pod), 0)
		},
	})
	require.NoError(t, err)
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return k
}

func (k *kubelet) register(name string) {
	k.t.Helper()
	ctx, nodes := k.t.Context(), k.client.CoreV1().Nodes()
	node, err := nodes.Create(ctx, &v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
		v1.LabelHostname: name, v1.LabelOSStable: "linux",
	}}}, metav1.CreateOptions{})
	require.NoError(k.t, err)
	node.Spec.Taints = nil // "not ready", set on creation; the node lifecycle controller does not run
	node, err = nodes.Update(ctx, node, metav1.UpdateOptions{})
	require.NoError(k.t, err)
	node.Status.Capacity = v1.ResourceList{
		v1.ResourcePods: resource.MustParse("1"), v1.ResourceCPU: resource.MustParse("64"), v1.ResourceMemory: resource.MustParse("256Gi"),
	}
	node.Status.Allocatable = node.Status.Capacity
	node.Status.Conditions = []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "StandIn", LastTransitionTime: metav1.Now()}}
	_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
	require.NoError(k.t, err)
}

func (k *kubelet) sync(ctx context.Context, pod *v1.Pod) {
	if !slices.Contains(k.nodes, pod.Spec.NodeName) {
		return
	}
	k.mu.Lock()
	stop, known := k.pods[pod.UID]
	if !known && !ended(pod) {
		stop = make(chan time.Duration, 1)
		k.pods[pod.UID] = stop
		k.running.Go(func() { k.run(ctx, pod, stop) }) // until the container or ctx ends
	}
	k.mu.Unlock()
	if pod.DeletionTimestamp != nil {
		k.end(pod, time.Duration(*pod.DeletionGracePeriodSeconds)*time.Second)
	}
}

// end asks a pod to end within the grace period.
func (k *kubelet) end(pod *v1.Pod, grace time.Duration) {
	k.mu.Lock()
	stop := k.pods[pod.UID]
	k.mu.Unlock()
	select {
	case stop <- grace:
	default: // it has been asked, or is not of these nodes
	}
}

func ended(pod *v1.Pod) bool {
	return pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
}

// run is the life of a pod.
func (k *kubelet) run(ctx context.Context, pod *v1.Pod, stop <-chan time.Duration) {
	began := metav1.Now()
	cmd, err := k.command(ctx, pod)
	if err == nil {
		err = k.start(cmd, pod.Name)
	}
	if err != nil {
		k.report(ctx, pod, v1.PodFailed, v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
			ExitCode: 128, Reason: "StartError", Message: err.Error(), StartedAt: began, FinishedAt: metav1.Now(),
		}})
		return
	}
	exited := make(chan struct{})
	go func() { // until the process ends, for which run waits
		_ = cmd.Wait()
		close(exited)
	}()
	k.report(ctx, pod, v1.PodRunning, v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: began}})
	deleted := false
	select {
	case <-exited:
	case <-ctx.Done():
	case grace := <-stop:
		deleted = true
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		select {
		case <-exited:
		case <-ctx.Done():
		case <-time.After(grace):
		case <-stop:
		}
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it, and whom it leaves behind
	<-exited
	if ctx.Err() != nil {
		return
	}
	phase, state := v1.PodSucceeded, &v1.ContainerStateTerminated{Reason: "Completed", StartedAt: began, FinishedAt: metav1.Now()}
	if !cmd.ProcessState.Success() {
		phase, state.Reason, state.ExitCode = v1.PodFailed, "Error", int32(cmd.ProcessState.ExitCode())
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			state.ExitCode = 128 + int32(status.Signal())
		}
	}
	k.report(ctx, pod, phase, v1.ContainerState{Terminated: state})
	if deleted { // the object stays until the kubelet says that the process is gone
		err := k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, *metav1.NewDeleteOptions(0))
		k.check(err)
	}
}

// command returns the process that is the only container of a pod.
func (k *kubelet) command(ctx context.Context, pod *v1.Pod) (*exec.Cmd, error) {
	if len(pod.Spec.Containers) != 1 || len(pod.Spec.InitContainers) > 0 {
		return nil, errors.New("a pod of this kubelet has one container")
	}
	container := pod.Spec.Containers[0]
	mounts := make(map[string]string)
	for _, m := range container.VolumeMounts {
		i := slices.IndexFunc(pod.Spec.Volumes, func(v v1.Volume) bool { return v.Name == m.Name })
		folder, err := k.folder(ctx, pod, pod.Spec.Volumes[i])
		if err != nil {
			return nil, fmt.Errorf("volume %s: %w", m.Name, err)
		}
		mounts[m.MountPath] = folder
	}
	mounted := func(text string) string {
		for path, folder := range mounts {
			if below, ok := strings.CutPrefix(text, path); ok && (below == "" || below[0] == '/') {
				return folder + below
			}
		}
		return text
	}
	argv := slices.Concat(container.Command, container.Args)
	if len(argv) == 0 {
		return nil, errors.New("the container has no command, and an image that is a folder has none")
	}
	env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": k.image, "TMPDIR": k.image, "HOSTNAME": pod.Spec.Hostname}
	expand := expansion.MappingFuncFor(env)
	for _, variable := range container.Env {
		value, err := k.value(pod, variable)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
		}
		env[variable.Name] = mounted(expansion.Expand(value, expand))
	}
	for i := range argv {
		argv[i] = mounted(expansion.Expand(argv[i], expand))
	}
	cmd := exec.Command(argv[0], argv[1:]...) //nolint:noctx // run stops it
	cmd.Dir = k.image
	if container.WorkingDir != "" {
		cmd.Dir = mounted(container.WorkingDir)
	}
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd, nil
}

func (k *kubelet) start(cmd *exec.Cmd, name string) error {
	log, err := os.Create(filepath.Join(k.logs, name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd.Start()
}

// folder returns the folder of this machine that a volume is.
func (k *kubelet) folder(ctx context.Context, pod *v1.Pod, volume v1.Volume) (string, error) {
	switch {
	case volume.HostPath != nil:
		return volume.HostPath.Path, nil
	case volume.EmptyDir != nil:
		return os.MkdirTemp(k.image, "empty-")
	case volume.PersistentVolumeClaim == nil:
		return "", errors.New("neither a claim nor a host path nor empty")
	}
	claim, err := k.client.CoreV1().PersistentVolumeClaims(pod.Namespace).Get(ctx, volume.PersistentVolumeClaim.ClaimName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	bound, err := k.client.CoreV1().PersistentVolumes().Get(ctx, claim.Spec.VolumeName, metav1.GetOptions{})
	if err != nil {
		return "", err
	}
	if bound.Spec.HostPath == nil {
		return "", fmt.Errorf("%s is no host path", bound.Name)
	}
	return bound.Spec.HostPath.Path, nil
}

func (k *kubelet) value(pod *v1.Pod, variable v1.EnvVar) (string, error) {
	switch from := variable.ValueFrom; {
	case from == nil:
		return variable.Value, nil
	case from.FieldRef == nil:
		return "", errors.New("not of a field")
	case from.FieldRef.FieldPath == "spec.nodeName":
		return pod.Spec.NodeName, nil
	default:
		return fieldpath.ExtractFieldPathAsString(pod, from.FieldRef.FieldPath)
	}
}

// report sets a pod's phase and the state of its container.
func (k *kubelet) report(ctx context.Context, pod *v1.Pod, phase v1.PodPhase, state v1.ContainerState) {
	container, ready := pod.Spec.Containers[0], v1.ConditionFalse
	if phase == v1.PodRunning {
		ready = v1.ConditionTrue
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"phase":             phase,
		"conditions":        []v1.PodCondition{{Type: v1.PodReady, Status: ready, LastTransitionTime: metav1.Now()}},
		"containerStatuses": []v1.ContainerStatus{{Name: container.Name, Image: container.Image, Ready: phase == v1.PodRunning, State: state}},
	}})
	if err == nil {
		_, err = k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	k.check(err)
}

// check fails the test for what goes wrong, but for a pod that was deleted by force and
// for the end of the test.
func (k *kubelet) check(err error) {
	if err != nil && !apierrors.IsNotFound(err) && !errors.Is(err, context.Canceled) {
		k.t.Errorf("kubelet: %v", err)
	}
}
