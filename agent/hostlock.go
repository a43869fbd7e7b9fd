package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// lockHost waits until no other agent of this host is measuring: two measurements at
// once would be two wrong ones. The lock is the kernel's, on a file that all agents
// of the host share, and ends with this process. waiting is called once if it is
// held by another.
func lockHost(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	if path == "" {
		return func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDONLY, 0o666)
	if err != nil {
		return nil, fmt.Errorf("open the lock of this host: %w", err)
	}
	for told := false; ; {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			_ = f.Close()
			return nil, fmt.Errorf("lock this host for measuring: %w", err)
		}
		if !told {
			told = true
			waiting()
		}
		t := time.NewTimer(200 * time.Millisecond)
		select {
		case <-ctx.Done():
			t.Stop()
			_ = f.Close()
			return nil, fmt.Errorf("wait for another measurement on this host: %w", context.Cause(ctx))
		case <-t.C:
		}
	}
}
