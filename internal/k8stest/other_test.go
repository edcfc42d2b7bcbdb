//go:build !linux

package k8stest

import "testing"

// No target passes that has run nothing.
func TestKubernetes(t *testing.T) { t.Fatal("the stand-in for the kubelet is for Linux") }
