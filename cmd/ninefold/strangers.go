package main

import (
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

const envPrefix = "NINEFOLD_"

// serviceLink is a variable that Kubernetes sets in every pod for a Service called ninefold.
var serviceLink = regexp.MustCompile(`_SERVICE_HOST$|_SERVICE_PORT|_PORT$|_PORT_\d+_`)

// warnStrangers tells of variables that look like settings and are none: a setting that was mistyped is not in force, and nothing else says so.
func warnStrangers(model *kong.Application, environ []string, log *slog.Logger) {
	known := envNames(model)
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix) || known[name] || serviceLink.MatchString(name) {
			continue
		}
		attrs := []any{slog.String("name", name)}
		if near := nearestName(name, slices.Sorted(maps.Keys(known))); near != "" {
			attrs = append(attrs, slog.String("nearest", near))
		}
		log.Warn("an environment variable is no setting and changes nothing", attrs...)
	}
}

// envNames are the variables that some command reads.
func envNames(model *kong.Application) map[string]bool {
	known := map[string]bool{}
	eachFlag(model, func(f *kong.Flag) {
		for _, env := range f.Envs {
			known[env] = true
		}
	})
	return known
}

// awsSecrets are variables of the S3 client's own. It keeps what it has read; those it reads again, to renew a role, are not among them.
var awsSecrets = []string{
	"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "MINIO_ROOT_PASSWORD", "MINIO_SECRET_KEY",
}

// secretEnvs are the variables that hold a secret, of whichever command.
func secretEnvs(model *kong.Application) []string {
	names := map[string]bool{}
	eachFlag(model, func(f *kong.Flag) {
		for _, env := range f.Envs {
			names[env] = names[env] || f.Tag.Has("secret")
		}
	})
	maps.DeleteFunc(names, func(_ string, secret bool) bool { return !secret })
	return append(slices.Sorted(maps.Keys(names)), awsSecrets...)
}

func eachFlag(model *kong.Application, do func(*kong.Flag)) {
	for _, f := range model.Flags {
		do(f)
	}
	for _, command := range model.Leaves(false) {
		for _, f := range command.Flags {
			do(f)
		}
	}
}

// mostEdits is how many letters a mistyped name may differ in.
const mostEdits = 3

// nearestName is the name that takes the fewest edits, "" where none is near.
func nearestName(name string, names []string) string {
	best, least := "", mostEdits+1
	for _, n := range names {
		if d := edits(name, n); d < least {
			best, least = n, d
		}
	}
	return best
}

// edits counts the letters to insert, delete or change between two names (Levenshtein).
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
