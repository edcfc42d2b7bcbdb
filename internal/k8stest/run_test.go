//go:build linux

package k8stest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The load of testdata/load.
const (
	shards   = 4
	arrivals = 120
	// toStart is how long after its submission the load begins. Pods run after a fifth of a
	// second; the rest is for machines that are slow or have other things to do.
	toStart = 10 * time.Second
)

// build puts the test binary of the load into the folder that is the image of each pod,
// and brunt into another, and returns the path of brunt.
func build(t *testing.T, image string) (brunt string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	load, err := filepath.Abs("testdata/load/load_test.go")
	require.NoError(t, err)
	// An overlay makes the load a package of brunt's module, where it can import it.
	overlay := filepath.Join(t.TempDir(), "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, "k8sload", "load_test.go"): load}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, text, 0o600))
	command(t, root, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", filepath.Join(image, "load.test"), "./k8sload")
	brunt = filepath.Join(t.TempDir(), "brunt")
	command(t, root, "go", "build", "-o", brunt, "./cmd/brunt")
	return brunt
}

// run is one run of the load: a server, and a job in a namespace of its own.
type run struct {
	*controlPlane
	*server
	brunt   string
	name    string
	results string
}

// prepare makes a namespace in which pods may do nothing but what "restricted" allows, and
// a claim in it for the results.
func prepare(t *testing.T, c *controlPlane, brunt, name string) run {
	t.Helper()
	r := run{controlPlane: c, server: newServer(t), brunt: brunt, name: name, results: filepath.Join(c.dir, name)}
	require.NoError(t, os.Mkdir(r.results, 0o700))
	t.Cleanup(func() { // leave the nodes to the next run, also when this one has failed
		err := c.client.BatchV1().Jobs(name).DeleteCollection(context.Background(), metav1.DeleteOptions{
			PropagationPolicy: new(metav1.DeletePropagationBackground),
		}, metav1.ListOptions{})
		require.NoError(t, err)
	})
	core := c.client.CoreV1()
	_, err := core.Namespaces().Create(t.Context(), &v1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: name, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	size := v1.ResourceList{v1.ResourceStorage: resource.MustParse("1Gi")}
	modes, class := []v1.PersistentVolumeAccessMode{v1.ReadWriteMany}, ""
	_, err = core.PersistentVolumes().Create(t.Context(), &v1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.PersistentVolumeSpec{
		Capacity: size, AccessModes: modes, ClaimRef: &v1.ObjectReference{Namespace: name, Name: claim},
		PersistentVolumeSource: v1.PersistentVolumeSource{HostPath: &v1.HostPathVolumeSource{Path: r.results}},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = core.PersistentVolumeClaims(name).Create(t.Context(), &v1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: claim}, Spec: v1.PersistentVolumeClaimSpec{
		AccessModes: modes, StorageClassName: &class, Resources: v1.VolumeResourceRequirements{Requests: size},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	return r
}

const claim = "results"

// manifest is what brunt job prints.
func (r run) manifest(t *testing.T, start time.Duration) string {
	t.Helper()
	return command(t, ".", r.brunt, "job", "kubernetes", "-shards", strconv.Itoa(shards), "-start", start.String(),
		"-run", r.name, "-claim", claim, "-results", "/results", "-image", "local/load",
		"--", "./load.test", "-test.run", "TestLoad", "-target", r.URL)
}

// submit has the server refuse a field that it does not know.
func (r run) submit(t *testing.T, manifest string) error {
	t.Helper()
	return r.client.BatchV1().RESTClient().Post().Namespace(r.name).Resource("jobs").Param("fieldValidation", "Strict").
		SetHeader("Content-Type", "application/yaml").Body([]byte(manifest)).Do(t.Context()).Error()
}

func (r run) job(t *testing.T) *batchv1.Job {
	t.Helper()
	jobs, err := r.client.BatchV1().Jobs(r.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.Len(t, jobs.Items, 1)
	return &jobs.Items[0]
}

// pods returns the pods of the shards, by index.
func (r run) pods(t *testing.T) map[int]v1.Pod {
	t.Helper()
	pods, err := r.client.CoreV1().Pods(r.name).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	all := make(map[int]v1.Pod)
	for _, pod := range pods.Items {
		i, err := strconv.Atoi(pod.Labels[batchv1.JobCompletionIndexAnnotation])
		require.NoError(t, err)
		require.NotContains(t, all, i, "a second pod for a shard")
		all[i] = pod
	}
	return all
}

// await waits until so many shards are in a phase.
func (r run) await(t *testing.T, n int, phase v1.PodPhase) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d pods are %s", n, phase), func() bool {
		in := 0
		for _, pod := range r.pods(t) {
			if pod.Status.Phase == phase {
				in++
			}
		}
		return in == n
	})
}

// end waits for the end of the job, which is that of each of its pods, and tells it.
func (r run) end(t *testing.T) (how batchv1.JobConditionType) {
	t.Helper()
	eventually(t, "the job ends", func() bool {
		for _, c := range r.job(t).Status.Conditions {
			if c.Status == v1.ConditionTrue && (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) {
				how = c.Type
				return true
			}
		}
		return false
	})
	return how
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for began := time.Now(); !done(); time.Sleep(50 * time.Millisecond) {
		require.Less(t, time.Since(began), patience, what)
	}
}

// merge returns the exit code of brunt merge and what it prints.
func (r run) merge(t *testing.T, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), r.brunt, slices.Concat([]string{"merge"}, flags, []string{r.results})...)
	cmd.Env = append(os.Environ(), "GITHUB_STEP_SUMMARY=") // faults that tests plant are not for the summary of this run
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

// refused checks that brunt merge names what is wrong, and makes nothing of the rest.
func (r run) refused(t *testing.T, names string) {
	t.Helper()
	code, out, errs := r.merge(t)
	t.Logf("brunt merge: exit code %d: %s", code, errs)
	require.Equal(t, 2, code)
	require.Contains(t, errs, names)
	require.Empty(t, out)
}

// server counts arrivals by their number, and can hold one back.
type server struct {
	*httptest.Server
	hold   int         // the arrival to hold back, if not negative
	answer chan string // what it is answered then

	mu   sync.Mutex
	seen map[int]int
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{hold: -1, answer: make(chan string), seen: make(map[int]int)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n, err := strconv.Atoi(req.URL.Query().Get("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.seen[n]++
		s.mu.Unlock()
		if n == s.hold {
			select {
			case text := <-s.answer:
				_, _ = w.Write([]byte(text))
			case <-req.Context().Done():
			case <-t.Context().Done():
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) arrivals() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.seen)
}
