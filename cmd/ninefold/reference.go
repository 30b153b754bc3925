package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"
)

// referenceCmd prints every command, flag and setting as Markdown, from the declarations that the program runs by.
type referenceCmd struct{}

func (referenceCmd) Run(a *app, parsed *kong.Context) error {
	fmt.Fprintf(a.stdout, "# ninefold\n\n%s\n", parsed.Model.Help)
	seen := map[string]bool{}
	var settings []*kong.Flag
	own := func(flags []*kong.Flag) (rest []*kong.Flag) {
		for _, f := range flags {
			switch {
			case f.Hidden || f.Name == "help" && seen["help"]:
			case f.Group == nil:
				seen[f.Name], rest = true, append(rest, f)
			case !seen[f.Group.Key+f.Name]:
				seen[f.Group.Key+f.Name], settings = true, append(settings, f)
			}
		}
		return rest
	}
	referenceFlags(a.stdout, own(parsed.Model.Flags))
	for _, command := range parsed.Model.Leaves(true) {
		fmt.Fprintf(a.stdout, "\n## %s\n\n%s\n", command.Summary(), command.Help)
		for _, arg := range command.Positional {
			fmt.Fprintf(a.stdout, "\n`%s`: %s\n", arg.Summary(), arg.Help)
		}
		referenceFlags(a.stdout, own(command.Flags))
		if groups := groupsOf(command.Flags); len(groups) > 0 {
			fmt.Fprintf(a.stdout, "\nSettings: %s\n", strings.Join(groups, ", "))
		}
	}
	fmt.Fprintf(a.stdout, "\n## Settings\n\nEach is a flag, an environment variable and a key of --config.\n")
	referenceFlags(a.stdout, settings)
	return nil
}

func groupsOf(flags []*kong.Flag) (titles []string) {
	seen := map[string]bool{}
	for _, f := range flags {
		if f.Group != nil && !seen[f.Group.Key] {
			seen[f.Group.Key] = true
			titles = append(titles, strings.TrimSuffix(f.Group.Title, ":"))
		}
	}
	return titles
}

func referenceFlags(w io.Writer, flags []*kong.Flag) {
	if len(flags) == 0 {
		return
	}
	fmt.Fprint(w, "\n| flag | environment | default | |\n|---|---|---|---|\n")
	for _, f := range flags {
		env := ""
		if len(f.Envs) > 0 {
			env = "`" + strings.Join(f.Envs, "` `") + "`"
		}
		fallback := ""
		if f.HasDefault && f.Default != "" {
			fallback = "`" + f.Default + "`"
		}
		fmt.Fprintf(w, "| `--%s` | %s | %s | %s |\n", f.Name, env, fallback, strings.ReplaceAll(f.Help, "|", `\|`))
	}
}
