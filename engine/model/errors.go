package model

import (
	"errors"
	"fmt"
)

// ErrNotFound is wrapped by the error of Open when there is no model folder, or
// no config.json in it. The message names the path that was tried.
var ErrNotFound = errors.New("no model found")

// ErrInvalid is wrapped by errors about a checkpoint whose files are damaged,
// hostile or contradict each other.
var ErrInvalid = errors.New("invalid checkpoint")

// ErrUnsupported is wrapped by errors about a checkpoint that may be sound but
// that this engine can't run. The message lists what is supported.
var ErrUnsupported = errors.New("unsupported model")

// ErrExists is wrapped by the error of writing a model where something is already.
var ErrExists = errors.New("the folder isn't empty")

func invalidf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

func unsupportedf(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrUnsupported, fmt.Errorf(format, args...))
}
