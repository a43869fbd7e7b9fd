package main

import "fmt"

// Exit codes. 3 is never reported as 1, and never as 0.
const (
	exitOK           = 0
	exitFail         = 1 // a gate failed
	exitRequest      = 2 // bad request or configuration
	exitMachine      = 3 // error, lost, expired, invalid, missing machine
	exitInconclusive = 4
	exitCancelled    = 5
)

const exitCodesHelp = `Exit codes:
  0  pass or warn, or nothing to compare with (the first line says so)
  1  a gate failed: it got worse
  2  bad request or configuration
  3  the machine or the subject failed: error, lost, invalid
  4  inconclusive: too noisy to tell
  5  cancelled`

// exitError ends the command with a code; err may be nil where everything was said
// already.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// fail makes an error with an exit code.
func fail(code int, format string, args ...any) error {
	return &exitError{code: code, err: fmt.Errorf(format, args...)}
}
