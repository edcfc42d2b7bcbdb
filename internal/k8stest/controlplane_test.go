//go:build linux

package k8stest

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// patience bounds every wait for something that takes moments: who exceeds it hangs.
const patience = 2 * time.Minute

// buildControlPlane returns the path of the binary of ./cluster, which it builds unless
// an earlier run has left it in the user's cache folder, under the version of Kubernetes
// and a sum of all that it is made of.
func buildControlPlane(t *testing.T) string {
	t.Helper()
	version := command(t, ".", "go", "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
	sum := sha256.New()
	for _, file := range []string{"go.mod", "go.sum", "cluster/main.go"} {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		sum.Write(text)
	}
	fmt.Fprint(sum, runtime.Version(), runtime.GOARCH)
	cache, err := os.UserCacheDir()
	require.NoError(t, err)
	binary := filepath.Join(cache, "brunt", "kubernetes", fmt.Sprintf("%s-%.6x", version, sum.Sum(nil)))
	if _, err := os.Stat(binary); err == nil {
		t.Logf("the control plane is %s", binary)
		return binary
	}
	t.Logf("building the control plane, %s: minutes, but only this once", binary)
	began := time.Now()
	// As a release of Kubernetes does it, the version is set when it is linked.
	major, minor, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	const variable = " -X k8s.io/component-base/version."
	require.NoError(t, os.MkdirAll(filepath.Dir(binary), 0o755))
	unfinished, err := os.MkdirTemp(filepath.Dir(binary), "unfinished-") //nolint:usetesting // to be renamed, on one file system
	require.NoError(t, err)
	defer os.RemoveAll(unfinished)
	part := filepath.Join(unfinished, "cluster")
	command(t, ".", "nice", "go", "build", "-p", "2", "-o", part, "-ldflags",
		"-s -w"+variable+"gitVersion="+version+variable+"gitMajor="+major+variable+"gitMinor="+minor, "./cluster")
	require.NoError(t, os.Rename(part, binary))
	t.Logf("built in %v", time.Since(began).Round(time.Second))
	return binary
}

// command returns the output of a command that must succeed.
func command(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		t.Fatalf("%v: %v\n%s%s", cmd, err, out, failed.Stderr)
	}
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// controlPlane is a control plane that is up, on loopback and until the test ends.
type controlPlane struct {
	binary string
	dir    string // is removed when all that runs has ended
	logs   string
	config *rest.Config
	client kubernetes.Interface
}

// startControlPlane returns when each component says that it is ready. What does not
// start fails the test by its name, with the end of its log.
func startControlPlane(t *testing.T, binary string) *controlPlane {
	t.Helper()
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, text string) string {
		require.NoError(t, os.WriteFile(in(name), []byte(text), 0o600))
		return in(name)
	}
	c := &controlPlane{binary: binary, dir: dir, logs: t.ArtifactDir()}

	// Sockets in a folder that is ours: to write to etcd is to run commands as us.
	etcd := "unix://" + in("etcd.sock")
	peer := "unix://" + in("peer.sock")
	c.start(t, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", in("etcd.sock"))
		if err == nil {
			conn.Close()
		}
		return err
	}, "etcd", "--name=test", "--data-dir="+in("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls="+etcd, "--advertise-client-urls="+etcd,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=test="+peer)

	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	accounts := write("accounts.pem", string(pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key),
	})))
	token := rand.Text()
	host := freePort(t)
	c.config = &rest.Config{
		Host: "https://" + host, BearerToken: token, QPS: 200, Burst: 400,
		TLSClientConfig: rest.TLSClientConfig{CAFile: in("apiserver.crt")}, // the server makes it
	}
	c.start(t, func(ctx context.Context) (err error) {
		if c.client, err = kubernetes.NewForConfig(c.config); err != nil {
			return err
		}
		return c.client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
	}, "kube-apiserver", append(listen(host), "--etcd-servers="+etcd, "--cert-dir="+dir,
		"--advertise-address=127.0.0.1", "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.0.0.0/24",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file="+accounts, "--service-account-signing-key-file="+accounts,
		"--token-auth-file="+write("tokens.csv", token+",admin,admin,system:masters\n"),
		"--anonymous-auth=false", "--authorization-mode=AlwaysAllow",
		"--disable-admission-plugins=ServiceAccount", // no pod of these talks to the server
		"--enable-priority-and-fairness=false")...)

	kubeconfig := in("kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"test": {Server: c.config.Host, CertificateAuthority: c.config.CAFile}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"admin": {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{"test": {Cluster: "test", AuthInfo: "admin"}},
		CurrentContext: "test",
	}, kubeconfig))
	for _, component := range [][]string{
		{"kube-controller-manager", "--use-service-account-credentials=false", "--controllers=job-controller,namespace-controller," +
			"garbage-collector-controller,pod-garbage-collector-controller,persistentvolume-binder-controller"},
		{"kube-scheduler"},
	} {
		host := freePort(t)
		args := slices.Concat(component[1:], listen(host), []string{"--kubeconfig=" + kubeconfig, "--leader-elect=false"})
		c.start(t, healthy(host), component[0], args...)
	}
	return c
}

// freePort returns an address of loopback at which nobody listens.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}

func listen(host string) []string {
	address, port, _ := net.SplitHostPort(host)
	return []string{"--bind-address=" + address, "--secure-port=" + port}
}

// healthy asks a component that makes its certificate itself and keeps it in memory.
func healthy(host string) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true, //nolint:gosec // see above
	}}
	return func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/healthz", nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return errors.New(resp.Status)
		}
		return nil
	}
}

// start runs a component until the test ends, and returns when it is ready.
func (c *controlPlane) start(t *testing.T, ready func(context.Context) error, name string, args ...string) {
	t.Helper()
	began := time.Now()
	path := filepath.Join(c.logs, name+".log")
	log, err := os.Create(path)
	require.NoError(t, err)
	defer log.Close()
	cmd := exec.Command(c.binary, append([]string{name}, args...)...) //nolint:noctx // it is asked to end, below
	cmd.Stdout, cmd.Stderr = log, log
	// A terminal's Ctrl-C is not for it; if the test is killed, it goes too.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start(), name)
	ended := make(chan struct{})
	go func() { // until the component ends, for which the clean-up waits
		_ = cmd.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(patience / 4):
			t.Errorf("%s did not end when it was asked to", name)
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	for err = errors.New("not asked"); err != nil; {
		select {
		case <-ended:
			t.Fatalf("%s could not start: %v\n%s", name, cmd.ProcessState, tail(path))
		case <-time.After(50 * time.Millisecond):
		}
		if time.Since(began) > patience {
			t.Fatalf("%s is not ready after %v: %v\n%s", name, patience, err, tail(path))
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err = ready(ctx)
		cancel()
	}
	t.Logf("%s is up after %v", name, time.Since(began).Round(10*time.Millisecond))
}

// tail returns the last lines of a log.
func tail(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
