package token

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// Largest files that are read, several times what published models need.
const (
	maxTokenizerBytes = 128 << 20 // tokenizer.json: Gemma's has 33 MB
	maxConfigBytes    = 16 << 20  // the small JSON files
	maxTemplateBytes  = 256 << 10 // chat templates: the longest known have 30 KB
)

// readFile reads a regular file of at most maxBytes. A file that is absent gives
// nil and no error when optional is set.
func readFile(path string, maxBytes int64, optional bool) ([]byte, error) {
	f, err := os.Open(path)
	if optional && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > maxBytes {
		return nil, fmt.Errorf("%s has more than the %d bytes that such a file may have", path, maxBytes)
	}
	return data, nil
}
