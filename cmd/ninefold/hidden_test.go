package main

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// hiddenVar has a child of the test forget its secrets and say what is left.
const hiddenVar = "NINEFOLD_TEST_HIDDEN"

// TestSecretsLeaveTheEnvironment: what is started after the worker inherits none.
func TestSecretsLeaveTheEnvironment(t *testing.T) {
	secrets := []string{
		"NINEFOLD_S3_SECRET_KEY", "NINEFOLD_REDIS_URL", "NINEFOLD_ADMIN_TOKEN", "NINEFOLD_WEBHOOK_SECRET", "NINEFOLD_AUDIENCE_SECRET",
		"NINEFOLD_AUDIT_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	}
	if os.Getenv(hiddenVar) == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestSecretsLeaveTheEnvironment$")
		cmd.Env = append(os.Environ(), hiddenVar+"=1")
		for _, name := range secrets {
			cmd.Env = append(cmd.Env, name+"=Q7ZxSecret")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	parser, err := newParser(&cli{}, os.Stdout, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{secrets: secretEnvs(parser.Model), unset: os.Unsetenv}
	if !slices.Contains(a.secrets, "NINEFOLD_S3_SECRET_KEY") || slices.Contains(a.secrets, "NINEFOLD_STORE") {
		t.Errorf("the secrets are %v", a.secrets)
	}
	if err := a.forgetSecrets(); err != nil {
		t.Fatal(err)
	}
	for _, pair := range os.Environ() {
		if strings.Contains(pair, "Q7ZxSecret") {
			t.Errorf("%s is left", pair)
		}
	}
}
