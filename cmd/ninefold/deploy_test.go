package main

import (
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"

	"github.com/ninefold/ninefold/cmd/ninefold/guard"
	"github.com/ninefold/ninefold/cmd/ninefold/health"
)

// document is a YAML document, walked by keys and, in lists, by index.
type document map[string]any

func (d document) at(t *testing.T, path ...any) any {
	t.Helper()
	var v any = map[string]any(d)
	for i, step := range path {
		switch key := step.(type) {
		case string:
			v = v.(map[string]any)[key] //nolint:forcetypeassert // a manifest of another shape fails here
		case int:
			v = v.([]any)[key] //nolint:forcetypeassert // as above
		}
		if v == nil {
			t.Fatalf("%s: nothing at %v", d["kind"], path[:i+1])
		}
	}
	return v
}

func documents(t *testing.T, name string) map[string]document {
	t.Helper()
	f, err := os.Open("../../docker/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	found := map[string]document{}
	for dec := yaml.NewDecoder(f); ; {
		var d map[string]any
		err := dec.Decode(&d) // a key twice is an error
		if errors.Is(err, io.EOF) {
			return found
		}
		if err != nil {
			t.Fatal(err)
		}
		kind, _ := d["kind"].(string)
		if found[kind] != nil {
			t.Fatalf("two of kind %q", kind)
		}
		found[kind] = d
	}
}

func parserOf(t *testing.T, c *cli) *kong.Kong {
	t.Helper()
	parser, err := newParser(c, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// leaf returns a command's node.
func leaf(t *testing.T, parser *kong.Kong, name string) *kong.Node {
	t.Helper()
	for _, n := range parser.Model.Leaves(true) {
		if n.Name == name {
			return n
		}
	}
	t.Fatalf("no command %q", name)
	return nil
}

// workerWith parses the worker's settings from an environment, as the container starts it.
func workerWith(t *testing.T, env map[string]string) workerCmd {
	t.Helper()
	var c cli
	parser := parserOf(t, &c)
	var known []string
	for _, f := range append(parser.Model.Flags, leaf(t, parser, "worker").Flags...) {
		known = append(known, f.Envs...)
	}
	for name, value := range env {
		if !slices.Contains(known, name) {
			t.Errorf("%s is no setting of the worker", name)
		}
		t.Setenv(name, value)
	}
	if _, err := parserOf(t, &c).Parse([]string{"worker"}); err != nil {
		t.Fatal(err)
	}
	return c.Worker
}

func stringsOf(t *testing.T, v any) map[string]string {
	t.Helper()
	found := map[string]string{}
	for k, value := range v.(map[string]any) { //nolint:forcetypeassert // a manifest of another shape fails here
		text, ok := value.(string)
		if !ok {
			t.Errorf("%s: %v is no string; quote it", k, value)
		}
		found[k] = text
	}
	return found
}

// TestKubernetes holds the manifests to each other, to the worker's settings and to what the pod security standard "restricted" asks.
func TestKubernetes(t *testing.T) {
	all := documents(t, "kubernetes.yaml")
	apis := map[string]string{
		"ConfigMap": "v1", "Secret": "v1", "Deployment": "apps/v1", "Service": "v1", "PodDisruptionBudget": "policy/v1",
		"ScaledObject": "keda.sh/v1alpha1", "NetworkPolicy": "networking.k8s.io/v1",
	}
	if len(all) != len(apis) {
		t.Fatalf("%d manifests, want %d", len(all), len(apis))
	}
	for kind, api := range apis {
		if all[kind] == nil || all[kind]["apiVersion"] != api {
			t.Fatalf("%s: %v, want apiVersion %s", kind, all[kind]["apiVersion"], api)
		}
	}
	env := stringsOf(t, all["ConfigMap"].at(t, "data"))
	for name, value := range stringsOf(t, all["Secret"].at(t, "stringData")) {
		env[name] = value
	}
	c := workerWith(t, env)
	if err := c.into(c.queueConfig()).Validate(); err != nil {
		t.Error(err)
	}
	if _, err := guard.NewToken(c.AdminToken); err != nil {
		t.Error(err)
	}
	t.Run("pod", func(t *testing.T) { holdsPod(t, all["Deployment"], c) })
	t.Run("selectors", func(t *testing.T) { holdsSelectors(t, all) })
}

func holdsPod(t *testing.T, d document, c workerCmd) {
	pod := []any{"spec", "template", "spec"}
	in := func(path ...any) any { return d.at(t, append(slices.Clone(pod), path...)...) }
	worker := func(path ...any) any { return in(append([]any{"containers", 0}, path...)...) }
	for _, tc := range []struct{ got, want any }{
		{in("securityContext", "runAsNonRoot"), true},
		{in("securityContext", "seccompProfile", "type"), "RuntimeDefault"},
		{in("automountServiceAccountToken"), false},
		{worker("securityContext", "allowPrivilegeEscalation"), false},
		{worker("securityContext", "readOnlyRootFilesystem"), true},
		{worker("securityContext", "capabilities", "drop", 0), "ALL"},
		{worker("livenessProbe", "httpGet", "path"), "/livez"},
		{worker("readinessProbe", "httpGet", "path"), "/readyz"},
		{worker("ports", 0, "containerPort"), 9090},
		{c.AdminAddr, ":9090"},
		{worker("volumeMounts", 0, "mountPath"), "/var/lib/ninefold/scratch"}, // the image's NINEFOLD_SCRATCH
		{in("volumes", 0, "name"), worker("volumeMounts", 0, "name")},
	} {
		if tc.got != tc.want {
			t.Errorf("%v, want %v", tc.got, tc.want)
		}
	}
	// asynq is given Drain and 30 s, and a commit may take 30 s more (queue: killGrace, commitGrace).
	grace, _ := in("terminationGracePeriodSeconds").(int)
	if least := c.Drain + time.Minute; time.Duration(grace)*time.Second <= least {
		t.Errorf("terminationGracePeriodSeconds %d, want more than %s", grace, least)
	}
	if timeout, _ := worker("readinessProbe", "timeoutSeconds").(int); time.Duration(timeout)*time.Second <= health.Within {
		t.Errorf("readiness timeout %d s, a check may take %s", timeout, health.Within)
	}
	if got, want := quantity(t, worker("resources", "limits", "memory")), memoryFor(c); got < want {
		t.Errorf("memory limit %d MiB, the engines' ceilings and the worker come to %d MiB", got>>20, want>>20)
	}
	if got, want := quantity(t, in("volumes", 0, "emptyDir", "sizeLimit")), int64(c.Cores)*minScratch; got < want {
		t.Errorf("scratch of %d MiB, want %d MiB", got>>20, want>>20)
	}
}

// memoryFor is the arithmetic in kubernetes.yaml: the ceilings of transcode/sandbox/limits.go for the engines that photo and video may have
// at work together, and what voice, warm engines and the worker itself take.
func memoryFor(c workerCmd) int64 {
	const gib = int64(1) << 30
	videos := min(c.ConcurrencyVideo, c.Cores)
	photos := min(c.ConcurrencyPhoto, c.Cores-videos)
	small := int64(c.ConcurrencyVoice+c.EngineWarm) << 28
	return gib + int64(c.Parallel)*(int64(videos)*4*gib+int64(photos)*2*gib) + small
}

func quantity(t *testing.T, v any) int64 {
	t.Helper()
	units := map[string]int64{"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
	m := regexp.MustCompile(`^(\d+)(Ki|Mi|Gi)$`).FindStringSubmatch(strings.TrimSpace(v.(string))) //nolint:forcetypeassert // as above
	if m == nil {
		t.Fatalf("%v is no quantity", v)
	}
	var n int64
	for _, digit := range m[1] {
		n = 10*n + int64(digit-'0')
	}
	return n * units[m[2]]
}

// holdsSelectors: everything that chooses pods chooses the Deployment's.
func holdsSelectors(t *testing.T, all map[string]document) {
	const label = "app.kubernetes.io/name"
	want := all["Deployment"].at(t, "spec", "template", "metadata", "labels", label)
	for _, got := range []any{
		all["Deployment"].at(t, "spec", "selector", "matchLabels", label), all["Service"].at(t, "spec", "selector", label),
		all["PodDisruptionBudget"].at(t, "spec", "selector", "matchLabels", label), all["NetworkPolicy"].at(t, "spec", "podSelector", "matchLabels", label),
	} {
		if got != want {
			t.Errorf("a selector says %v, the pods are %v", got, want)
		}
	}
	if all["ScaledObject"].at(t, "spec", "scaleTargetRef", "name") != all["Deployment"].at(t, "metadata", "name") {
		t.Error("KEDA scales something else")
	}
	if all["ScaledObject"].at(t, "spec", "triggers", 0, "type") != "prometheus" {
		t.Error("KEDA is triggered by something else")
	}
}

// TestCompose holds the compose file's worker to the settings there are.
func TestCompose(t *testing.T) {
	worker := documents(t, "compose.yaml")[""].at(t, "services", "worker").(map[string]any) //nolint:forcetypeassert // as above
	env := stringsOf(t, worker["environment"])
	for name, value := range env {
		if strings.HasPrefix(value, "${") {
			env[name] = "what the operator has exported"
		}
	}
	c := workerWith(t, env)
	if c.AdminAddr == "" || c.AdminToken == "" {
		t.Error("the worker has no admin port, or no token for it")
	}
	grace, err := time.ParseDuration(worker["stop_grace_period"].(string)) //nolint:forcetypeassert // as above
	if err != nil || grace < c.Drain+time.Minute {
		t.Errorf("stop_grace_period %s, want a minute more than %s", grace, c.Drain)
	}
	check := worker["healthcheck"].(map[string]any)["test"].([]any) //nolint:forcetypeassert // as above
	if len(check) != 3 || check[1] != "ninefold" {
		t.Fatalf("healthcheck %v", check)
	}
	leaf(t, parserOf(t, &cli{}), check[2].(string)) //nolint:forcetypeassert // as above
}
