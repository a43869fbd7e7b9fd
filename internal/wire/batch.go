package wire

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/klauspost/compress/zstd"
)

// MaxBodyBytes bounds a batch body once it is decompressed.
const MaxBodyBytes = 8 << 20

// EncodeBody makes a batch body of records that are JSON values without line breaks.
func EncodeBody(records []json.RawMessage) ([]byte, error) {
	var lines bytes.Buffer
	for _, r := range records {
		lines.Write(r)
		lines.WriteByte('\n')
	}
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("compress a batch: %w", err)
	}
	defer enc.Close()
	return enc.EncodeAll(lines.Bytes(), nil), nil
}

// DecodeBody gives the records of a batch body.
func DecodeBody(body []byte) ([]json.RawMessage, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxBodyBytes))
	if err != nil {
		return nil, fmt.Errorf("decompress a batch: %w", err)
	}
	defer dec.Close()
	lines, err := dec.DecodeAll(body, nil)
	if err != nil {
		return nil, fmt.Errorf("decompress a batch of %d bytes: %w", len(body), err)
	}
	var records []json.RawMessage
	for i, line := range bytes.Split(bytes.TrimSuffix(lines, []byte("\n")), []byte("\n")) {
		if len(line) == 0 && len(lines) == 0 {
			break
		}
		if !json.Valid(line) {
			return nil, fmt.Errorf("decode a batch: record %d is not JSON", i+1)
		}
		records = append(records, line)
	}
	return records, nil
}
