package main

import (
	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"
)

// completionCmd prints what bash, zsh or fish needs to complete this program's command lines, for the shell to source.
type completionCmd struct {
	Shell string `arg:"" help:"bash, zsh or fish; none = the login shell's." enum:"bash,zsh,fish," default:""`
}

// Run is the library's, which ends by kong's Exit.
func (c *completionCmd) Run(ctx *kong.Context) (err error) {
	defer func() {
		if v := recover(); v != nil {
			h, ours := v.(helped)
			if !ours {
				panic(v)
			}
			if h.code != exitOK {
				err = &exitError{code: h.code}
			}
		}
	}()
	return (&kongcompletion.Completion{Shell: c.Shell, Code: true}).Run(ctx)
}
