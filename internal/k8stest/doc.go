// Package k8stest runs load tests in shards under a real Kubernetes control plane: etcd,
// kube-apiserver, the job controller and kube-scheduler, built from their modules. Only
// the kubelet is a stand-in, which runs pods as processes of this machine.
//
// It is a module of its own, so that no part of Kubernetes reaches the go.sum of someone
// who uses brunt. README.md says how to run it and what it shows.
package k8stest
