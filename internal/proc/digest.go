package proc

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
)

// Digest is the SHA-256 of a program's file, in hexadecimal: what it is known by,
// whatever it is called.
func Digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read the program: %w", err)
	}
	defer f.Close()
	return digest(f)
}

// OwnDigest is that of this process's program. It is read through /proc where there is
// one, because the file may have been replaced since it was started.
func OwnDigest() (string, error) {
	f, err := os.Open("/proc/self/exe")
	if err == nil {
		defer f.Close()
		return digest(f)
	}
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program's file: %w", err)
	}
	return Digest(path)
}

func digest(f *os.File) (string, error) {
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read the program %s: %w", f.Name(), err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
