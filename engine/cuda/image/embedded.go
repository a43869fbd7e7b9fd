package image

import (
	"bytes"
	"compress/gzip"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Cubins that this program carries; none, unless they were put there before it was built.
//
//go:embed cubins
var cubins embed.FS

const packed = ".cubin.gz"

// Embed puts code into a folder that the next build carries.
func Embed(folder, key, maker string, code []byte) error {
	data, err := Pack(encode(code))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, key+"-"+maker+packed), data, 0o644); err != nil {
		return fmt.Errorf("keep compiled kernels for the next build: %w", err)
	}
	return nil
}

// embedded gives the code of a key among those that a program carries, nil for none, and who made it.
func embedded(files fs.FS, key string) (code []byte, maker string, err error) {
	names, err := fs.Glob(files, "cubins/"+key+"-*"+packed)
	if err != nil || len(names) == 0 {
		return nil, "", err
	}
	path := slices.Max(names) // the newest compiler's
	data, err := fs.ReadFile(files, path)
	if err != nil {
		return nil, "", err
	}
	if data, err = unpack(data); err != nil {
		return nil, "", fmt.Errorf("unpack %s, which this program carries: %w", path, err)
	}
	code, ok := decode(data)
	if !ok {
		return nil, "", fmt.Errorf("%s, which this program carries, is %w", path, errDamaged)
	}
	return code, strings.TrimSuffix(strings.TrimPrefix(path, "cubins/"+key+"-"), packed), nil
}

// Pack packs what a program carries; unpack gives it back.
func Pack(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func unpack(data []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
