package main

import (
	"encoding/json"
	"fmt"
	"io"
)

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func printJSON(w io.Writer, v any) error {
	if err := json.NewEncoder(w).Encode(v); err != nil {
		return fail(exitMachine, "print the result: %w", err)
	}
	return nil
}
