package host

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/paceline/paceline/bench/probe/health"
)

// Disk says how much can be written below a folder, or below the nearest one above
// it that is there. Nothing is written.
func Disk(folder string) health.Disk {
	path, err := filepath.Abs(folder)
	if err != nil {
		return health.Disk{Path: folder, Problem: err.Error()}
	}
	for {
		st, err := os.Stat(path)
		if err == nil && !st.IsDir() {
			return health.Disk{Path: path, Problem: "it is not a folder"}
		}
		if err == nil {
			break
		}
		up := filepath.Dir(path)
		if !errors.Is(err, os.ErrNotExist) || up == path {
			return health.Disk{Path: path, Problem: reason(err)}
		}
		path = up
	}
	d := health.Disk{Path: path}
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		d.Problem = err.Error()
		return d
	}
	d.FreeBytes = int64(st.Bavail) * int64(st.Bsize)
	if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
		d.Problem = err.Error()
	}
	return d
}

// reason is the cause without the path, which is said already.
func reason(err error) string {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno.Error()
	}
	return err.Error()
}
