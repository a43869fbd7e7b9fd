package main

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// examine looks at a file that a person wants started, before anything is measured,
// and gives its SHA-256.
func examine(path string) (hash string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("no build at %s: %w", path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read the build %s: %w", path, err)
	}
	switch {
	case !st.Mode().IsRegular():
		return "", fmt.Errorf("the build %s is no file: give the program itself", path)
	case st.Mode()&0o111 == 0:
		return "", fmt.Errorf("the build %s can't be started: it is not executable (chmod +x)", path)
	}
	if err := forThisMachine(f); err != nil {
		return "", fmt.Errorf("the build %s can't be started here: %w", path, err)
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, st.Size())); err != nil {
		return "", fmt.Errorf("read the build %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// forThisMachine refuses a program of another architecture. What is no ELF file may
// still be a script: the kernel decides.
func forThisMachine(f io.ReaderAt) error {
	e, err := elf.NewFile(f)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		head := make([]byte, 2)
		if n, _ := f.ReadAt(head, 0); n == 2 && string(head) == "#!" {
			return nil
		}
		return errors.New("it is neither a program for this system (ELF) nor a script")
	}
	if err != nil {
		return err
	}
	defer e.Close()
	want, known := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "riscv64": elf.EM_RISCV, "ppc64le": elf.EM_PPC64, "s390x": elf.EM_S390}[runtime.GOARCH]
	if known && e.Machine != want {
		return fmt.Errorf("it is built for %s, and this machine is %s", strings.ToLower(strings.TrimPrefix(e.Machine.String(), "EM_")), runtime.GOARCH)
	}
	return nil
}

// digestOf reads a SHA-256, with or without its prefix, as lower-case hexadecimal.
func digestOf(s string) (string, bool) {
	s = strings.ToLower(strings.TrimPrefix(s, "sha256:"))
	b, err := hex.DecodeString(s)
	return s, err == nil && len(b) == sha256.Size
}
