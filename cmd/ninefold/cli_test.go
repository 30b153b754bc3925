package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// An environment variable means one thing: what two commands read from the same one is the same setting, and a command's own switch reads none.
func TestEnvironmentNames(t *testing.T) {
	help := map[string]string{}
	for _, command := range parserOf(t, &cli{}).Model.Leaves(false) {
		for _, f := range command.Flags {
			if f.Name == "json" && len(f.Envs) > 0 {
				t.Errorf("%s --json reads %v", command.Path(), f.Envs)
			}
			for _, env := range f.Envs {
				if f.Group == nil {
					continue
				}
				if was, ok := help[env]; ok && was != f.Target.Type().String() {
					t.Errorf("%s is a %s for %s and a %s elsewhere", env, f.Target.Type(), command.Path(), was)
				}
				help[env] = f.Target.Type().String()
			}
		}
	}
	if help["NINEFOLD_REDIS_URL"] == "" || help["NINEFOLD_ADMIN_TOKEN"] == "" {
		t.Errorf("settings have lost their variables: %v", help)
	}
	file := filepath.Join(t.TempDir(), "ninefold.yaml")
	if err := os.WriteFile(file, []byte("attempts: 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NINEFOLD_CONFIG", file)
	if r := call(t.Context(), "config").want(t, exitOK); !strings.Contains(r.stdout, "attempts: 7") {
		t.Errorf("NINEFOLD_CONFIG is not read: %s", r.stdout)
	}
	t.Setenv("NINEFOLD_JSON", "true")
	if r := call(t.Context(), "models", "list").want(t, exitOK); strings.HasPrefix(r.stdout, "{") {
		t.Errorf("NINEFOLD_JSON changes what is printed: %s", r.stdout)
	}
}

// Whatever prints a result prints it for programs, too.
func TestEverywhereJSON(t *testing.T) {
	talks := []string{"worker", "completion", "reference"} // what they print is no result: a log, a script, a document
	for _, command := range parserOf(t, &cli{}).Model.Leaves(true) {
		has := slices.ContainsFunc(command.Flags, func(f *kong.Flag) bool { return f.Name == "json" })
		if has == slices.Contains(talks, command.Name) {
			t.Errorf("%s: --json is there: %t", command.Path(), has)
		}
	}
	var config struct {
		Settings map[string]any
		Hidden   []string
		Policy   map[string]any
	}
	t.Setenv("NINEFOLD_S3_SECRET_KEY", "hunter2")
	r := call(t.Context(), "config", "--json").want(t, exitOK)
	if err := json.Unmarshal([]byte(r.stdout), &config); err != nil || config.Settings["drain"] != "30s" || len(config.Policy) == 0 ||
		!slices.Equal(config.Hidden, []string{"s3-secret-key"}) || strings.Contains(r.stdout, "hunter2") {
		t.Errorf("config --json: %v\n%s", err, r.stdout)
	}
	models, err := filepath.Abs("../../bin/models")
	if err != nil {
		t.Fatal(err)
	}
	call(t.Context(), "models", "verify", "--dir", models).want(t, exitOK)                     // else fetch would do its work
	fetched := call(t.Context(), "models", "fetch", "--dir", models, "--json").want(t, exitOK) // they are there: nothing is fetched
	var entry struct{ ID string }
	if err := json.NewDecoder(strings.NewReader(fetched.stdout)).Decode(&entry); err != nil || entry.ID == "" {
		t.Errorf("models fetch --json: %v\n%s", err, fetched.stdout)
	}
}

// parts needs one of two flags, and its usage line says neither as if both were wanted.
func TestPartsUsage(t *testing.T) {
	r := call(t.Context(), "parts", "--help").want(t, exitOK)
	if line, _, _ := strings.Cut(r.stdout, "\n"); line != "Usage: ninefold parts <manifest|job-id> [flags]" {
		t.Errorf("usage: %s", line)
	}
	for _, args := range [][]string{{"parts", "x"}, {"parts", "x", "--sender", "--recipient", "u"}} {
		if r := call(t.Context(), args...).want(t, exitUsage); !strings.Contains(r.stderr, "--recipient") {
			t.Errorf("%v: %s", args, r.stderr)
		}
	}
}

// The reference holds every command, flag and setting that the help shows.
func TestReference(t *testing.T) {
	text := call(t.Context(), "reference").want(t, exitOK).stdout
	n := 0
	for _, command := range parserOf(t, &cli{}).Model.Leaves(true) {
		if !strings.Contains(text, "\n## "+command.Summary()+"\n\n"+command.Help+"\n") {
			t.Errorf("no command %s", command.Summary())
		}
		for _, f := range command.Flags {
			if n++; !strings.Contains(text, "| `--"+f.Name+"` |") {
				t.Errorf("%s: no flag --%s", command.Path(), f.Name)
			}
		}
	}
	if n < 50 {
		t.Errorf("the model has %d flags: the test looked at nothing", n)
	}
}

// A shell that asks, by the variables that bash sets, gets the commands and flags there are; each shell gets its lines of set-up.
func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if r := call(t.Context(), "completion", shell).want(t, exitOK); !strings.Contains(r.stdout, "complete") {
			t.Errorf("%s: %s", shell, r.stdout)
		}
	}
	for line, want := range map[string]string{
		"ninefold qua": "quarantine", "ninefold worker --admin-": "--admin-token", "ninefold submit --w": "--wait", "ninefold worker --sandbox ": "required",
	} {
		t.Setenv("COMP_LINE", line)
		if r := call(t.Context()).want(t, exitOK); !strings.Contains(r.stdout, want) {
			t.Errorf("%q completes to %q, want %q among them", line, r.stdout, want)
		}
	}
}

// A model that is not there is wrong usage, and the answer names those that are.
func TestUnknownModel(t *testing.T) {
	setUp(t)
	r := call(t.Context(), "classify", "x.jpg", "--model", "nope").want(t, exitUsage)
	if !strings.Contains(r.stderr, "--model nope") || !strings.Contains(r.stderr, "nsfwjs-mobilenet-v2, ") {
		t.Errorf("stderr: %s", r.stderr)
	}
}

// Without a worker there is nobody to be ready, and the answer says what to look at.
func TestReadyWithoutAWorker(t *testing.T) {
	r := call(t.Context(), "ready", "--admin-addr", "127.0.0.1:1").want(t, exitTrouble)
	if !strings.Contains(r.stderr, "--admin-addr") {
		t.Errorf("stderr: %s", r.stderr)
	}
	call(t.Context(), "ready", "--admin-addr", "nonsense").want(t, exitUsage)
}
