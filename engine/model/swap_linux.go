package model

import "golang.org/x/sys/unix"

// swapFolders lets two folders take each other's name, in one step.
func swapFolders(a, b string) error {
	err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE)
	if err == unix.EINVAL || err == unix.ENOSYS { // a file system that can't
		return swapByThree(a, b)
	}
	return err
}
