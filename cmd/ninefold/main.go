// Command ninefold is the media worker behind direct messages: worker, client and operator's tool in one program. It never
// parses media; the engine programs do.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"github.com/ninefold/ninefold/transcode/sandbox"
)

// version is set by the linker.
var version = "0.1.0-dev"

// The exit codes, as --help lists them.
const (
	exitOK       = 0 // every part ready
	exitTrouble  = 1 // our own trouble
	exitUsage    = 2 // wrong command line or setting
	exitPartial  = 3 // some part rejected
	exitRejected = 4 // the whole message rejected
)

// cli is the one declaration of commands, flags, environment variables and configuration keys.
type cli struct {
	Config  kong.ConfigFlag  `short:"c" env:"NINEFOLD_CONFIG" help:"YAML file of settings; keys are flag names, dashes may be nesting." placeholder:"FILE"`
	Version kong.VersionFlag `env:"-" help:"Print the version and exit."`
	Log     LogSettings      `embed:"" prefix:"log-" group:"log"`

	Process    processCmd    `cmd:"" help:"Run one message here: no Redis, no S3, the same pipeline."`
	Worker     workerCmd     `cmd:"" help:"Take jobs from the queue until told to stop."`
	Dev        devCmd        `cmd:"" help:"Run everything here, with a web console: no Redis, no S3."`
	Submit     submitCmd     `cmd:"" help:"Queue a job."`
	Status     statusCmd     `cmd:"" help:"Say how a job stands."`
	Parts      partsCmd      `cmd:"" help:"Print what one recipient, or the sender, may see of a message."`
	Quarantine quarantineCmd `cmd:"" help:"Look after what was put aside: poisonous jobs and content, events the webhook never took."`
	Reprocess  reprocessCmd  `cmd:"" help:"Do stored messages again, in bulk: new renditions, verdicts and decisions."`
	Recover    recoverCmd    `cmd:"" help:"Mend what Redis has lost: announce what is finished, queue again what is not."`
	Classify   classifyCmd   `cmd:"" help:"Score pictures and videos with the nudity classifier."`
	Policy     policyCmd     `cmd:"" help:"Show the policy, and explain what it decides."`
	Models     modelsCmd     `cmd:"" help:"Fetch, list and verify classifier models."`
	Doctor     doctorCmd     `cmd:"" help:"Check what a deployment needs, one line each."`
	Ready      readyCmd      `cmd:"" help:"Ask the worker on this machine whether it is ready, one line a check."`
	Demo       demoCmd       `cmd:"" help:"Send one message through queue, worker, engine, classifier and store, and show what comes out."`
	Settings   configCmd     `cmd:"" name:"config" help:"Print the settings in force, secrets hidden, as a configuration file."`
	Completion completionCmd `cmd:"" help:"Print what a shell needs to complete command lines, to be sourced: source <(ninefold completion bash)."`
	Reference  referenceCmd  `cmd:"" help:"Print every command, flag and setting as Markdown."`
}

// app is what a command may use of the outside.
type app struct {
	ctx    context.Context
	stdout io.Writer
	stderr io.Writer
	log    LogSettings

	logLevel slog.Level       // where the setting is auto
	engines  sandbox.Observer // of the engines; nil = nobody is told
	secrets  []string         // the environment variables that hold one
	unset    func(name string) error
}

// forgetSecrets takes what has been read out of the environment: nothing that is started later inherits it, and no dump of it tells.
func (a *app) forgetSecrets() error {
	var all error
	for _, name := range a.secrets {
		all = errors.Join(all, a.unset(name))
	}
	return all
}

// exitError ends the program with a code of its own. A nil err says nothing more.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := runWith(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Unsetenv)
	stop()
	os.Exit(code)
}

// run is main with everything passed in, for tests: they share one environment, and it stays as it is.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	return runWith(ctx, args, stdout, stderr, func(string) error { return nil })
}

func runWith(ctx context.Context, args []string, stdout, stderr io.Writer, unset func(name string) error) int {
	var c cli
	parser, err := newParser(&c, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "ninefold:", err)
		return exitTrouble
	}
	command, code, done := parse(parser, args, stderr)
	if done {
		return code
	}
	a := &app{ctx: ctx, stdout: stdout, stderr: stderr, log: c.Log, logLevel: slog.LevelWarn, secrets: secretEnvs(parser.Model), unset: unset}
	warnStrangers(parser.Model, os.Environ(), a.log.logger(a))
	err = command.Run(a)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = errors.New("interrupted") // by whoever reads this: what it stopped is no news
	}
	return report(err, stderr)
}

// report says an error once and turns it into an exit code.
func report(err error, stderr io.Writer) int {
	if err == nil {
		return exitOK
	}
	var exit *exitError
	if !errors.As(err, &exit) {
		exit = &exitError{exitTrouble, err}
	}
	if exit.err != nil {
		fmt.Fprintln(stderr, "ninefold:", exit.err)
	}
	return exit.code
}

const description = `The media worker behind direct messages.

Exit: 0 every part ready, 1 our own trouble, 2 wrong usage or setting, 3 some part rejected, 4 the whole message rejected.
Every setting, a flag below a heading, is also an environment variable (NINEFOLD_ and its name, as --redis-url is NINEFOLD_REDIS_URL) and a
key of --config.`

// helped is how kong's --help and --version end the parse.
type helped struct{ code int }

func newParser(c *cli, stdout, stderr io.Writer) (*kong.Kong, error) {
	return kong.New(c,
		kong.Name("ninefold"), kong.Description(description), defaults(), kong.DefaultEnvars("NINEFOLD"), kong.PostBuild(noEnvars),
		kong.Configuration(loadYAML), kong.Writers(stdout, stderr), kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.Exit(func(code int) { panic(helped{code}) }),
		kong.ExplicitGroups(groups()),
	)
}

// noEnvars takes the environment variable away from what is no setting: NINEFOLD_JSON in an environment must not change what every command
// prints. What holds a secret, or names its variable itself, keeps it.
func noEnvars(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		f, ok := node.(*kong.Flag)
		if ok && f.Group == nil && !f.Tag.Has("secret") && !f.Tag.Has("env") {
			f.Envs, f.Value.Tag.Envs = nil, nil
		}
		return next(nil)
	})
}

func parse(parser *kong.Kong, args []string, stderr io.Writer) (command *kong.Context, code int, done bool) {
	defer func() {
		if h, ok := recover().(helped); ok {
			code, done = h.code, true
		}
	}()
	kongcompletion.Register(parser) // answers a shell that asks, and ends
	command, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "ninefold: %v\nTry 'ninefold --help'.\n", err)
		return nil, exitUsage, true
	}
	return command, 0, false
}
