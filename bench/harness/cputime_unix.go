//go:build unix

package harness

import (
	"syscall"
	"time"
)

// processCPU is the CPU time that this process has used; ok is false where the
// system doesn't tell.
func processCPU() (used time.Duration, ok bool) {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0, false
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), true
}
