package calibrate

import (
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// now is the monotonic clock in ns.
func now() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t) // can't fail for this clock
	return t.Nano()
}

// sleepUntil waits for an instant of that clock, as exactly as the kernel can.
func sleepUntil(at int64) {
	t := unix.NsecToTimespec(at)
	for unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &t, nil) == unix.EINTR {
	}
}

// exact gives the calling goroutine a thread whose timers the kernel doesn't round, until the answer is called.
func exact() (end func()) {
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // refused: rounding shows in the log
	return runtime.UnlockOSThread
}

// Used is the CPU time of this process and the most memory that it had, in bytes.
func Used() (cpu time.Duration, peak int64) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), r.Maxrss << 10
}
