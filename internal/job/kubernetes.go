package job

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode/utf8"

	"example.com/brunt/internal/scheduler"
)

var (
	dnsLabel     = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	quantity     = regexp.MustCompile(`^[1-9][0-9]*(Ki|Mi|Gi|Ti|k|M|G|T)?$`)
)

func (j *Job) validatePod(fault func(bad bool, format string, args ...any)) {
	// Pods are called by the name and their index.
	longest := 63 - len("-") - len(strconv.Itoa(j.Shards-1))
	fault(!dnsLabel.MatchString(j.Run) || len(j.Run) > longest,
		"-run is %q, want at most %d lower-case letters, digits and -, since Kubernetes calls the Job by it", j.Run, longest)
	fault(!strings.HasPrefix(j.Results, "/"), "-results is %q, want an absolute path: the volume is mounted there", j.Results)
	fault(j.Pod.Image == "", "-image is empty, want the image that holds the test binary")
	fault((j.Pod.Claim == "") == (j.Pod.Volume == ""),
		"-claim is %q and -volume is %q, want one of them: what a pod writes to no volume goes with it", j.Pod.Claim, j.Pod.Volume)
	fault(j.Pod.Claim != "" && !dnsSubdomain.MatchString(j.Pod.Claim), "-claim is %q, want the name of a PersistentVolumeClaim", j.Pod.Claim)
	_, err := j.Pod.volume()
	fault(j.Pod.Volume != "" && err != nil,
		`-volume is %q, want a JSON object with one kind of volume, as in {"nfs": {"server": "10.0.0.9", "path": "/results"}}: %v`, j.Pod.Volume, err)
	fault(!quantity.MatchString(j.Pod.Memory), "-memory is %q, want a quantity such as 512Mi", j.Pod.Memory)
	fault(j.CPUs == 0, "-cpus is 0, want 1 or more")
	fault(j.Before != "" || j.After != "",
		"-before and -after: Kubernetes keeps no order among Jobs; submit each as a job of its own, with -shards 1 and its own -run, and wait for it")
	for _, text := range append(append(j.env(), j.Args...), j.Pod.Image) {
		fault(!utf8.ValidString(text), "%q is not UTF-8, which YAML has to be", text)
	}
}

// manifestText has no limit for the CPU: a shard that is throttled is itself the limit.
// Nor are there second attempts: what comes later than the others is no part of the load.
const manifestText = `# Submit this with kubectl create -f. When the Job has ended, where its volume is: brunt merge DIR
apiVersion: batch/v1
kind: Job
metadata:
  name: {{yaml .Run}}
spec:
  completionMode: Indexed
  completions: {{.Shards}}
  parallelism: {{.Shards}}
  backoffLimit: 0
  activeDeadlineSeconds: {{seconds .Timeout}}
  template:
    spec:
      restartPolicy: Never
      automountServiceAccountToken: false
      enableServiceLinks: false
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        runAsGroup: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      topologySpreadConstraints:
      - maxSkew: 1
        topologyKey: kubernetes.io/hostname
        whenUnsatisfiable: ScheduleAnyway
        labelSelector:
          matchLabels: {batch.kubernetes.io/job-name: {{yaml .Run}}}
      containers:
      - name: shard
        image: {{yaml .Pod.Image}}
        command:{{range .Args}}
        - {{yaml (unexpanded .)}}{{end}}
        env:{{range .Variables}}
        - {name: {{yaml .Name}}, value: {{yaml (unexpanded .Value)}}}{{end}}
        resources:
          requests: {cpu: {{.CPUs}}, memory: {{yaml .Pod.Memory}}}
          limits: {memory: {{yaml .Pod.Memory}}}
        securityContext:
          allowPrivilegeEscalation: false
          capabilities: {drop: [ALL]}
        volumeMounts:
        - {name: results, mountPath: {{yaml .Results}}}
      volumes:
      - name: results
        {{.Volume}}
`

var manifestTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"yaml": yaml, "unexpanded": unexpanded, "seconds": seconds,
}).Parse(manifestText))

// manifest is an Indexed Job. Its shards begin at a time that is reckoned from now.
func (j *Job) manifest(now time.Time) (string, error) {
	at := j.StartAt
	if at.IsZero() {
		at = now.Add(j.StartIn + time.Second - 1).Truncate(time.Second)
	}
	volume, err := j.Pod.volume()
	if err != nil {
		return "", err
	}
	type variable struct{ Name, Value string }
	data := struct {
		*Job
		Variables []variable
		Volume    string
	}{Job: j, Volume: volume}
	for _, e := range append(j.env(), scheduler.Count+"="+strconv.Itoa(j.Shards), scheduler.Start+"="+at.UTC().Format(time.RFC3339Nano)) {
		name, value, _ := strings.Cut(e, "=")
		data.Variables = append(data.Variables, variable{name, value})
	}
	var b strings.Builder
	err = manifestTemplate.Execute(&b, data)
	return b.String(), err
}

// volume is the kind of the volume for results and what belongs to it, in one line.
func (p *Pod) volume() (string, error) {
	if p.Claim != "" {
		return fmt.Sprintf("persistentVolumeClaim: {claimName: %s}", yaml(p.Claim)), nil
	}
	var kinds map[string]map[string]any
	if err := json.Unmarshal([]byte(p.Volume), &kinds); err != nil {
		return "", err
	}
	if len(kinds) != 1 {
		return "", fmt.Errorf("%d kinds of volumes", len(kinds))
	}
	kind := slices.Collect(maps.Keys(kinds))[0]
	options, err := json.Marshal(kinds[kind]) // all of JSON that this writes is YAML
	return fmt.Sprintf("%s: %s", yaml(kind), options), err
}
