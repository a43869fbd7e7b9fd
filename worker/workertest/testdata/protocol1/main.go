// Command protocol1 is a worker as it was when the protocol had version 1: it imports
// nothing of this repository, understands what an order held then, refuses a protocol
// that it doesn't know, and plays back what the worker of that time wrote for a suite
// of one workload: byte for byte, but for the names of run, attempt and round and its
// own digest.
package main

import (
	"bufio"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// transcript has one frame a line: hello, progress, samples, round.
//
//go:embed transcript.jsonl
var transcript string

// order is what an order held in version 1.
type order struct {
	Protocol int             `json:"protocol"`
	Run      string          `json:"run"`
	Attempt  string          `json:"attempt"`
	Round    int             `json:"round"`
	Suite    string          `json:"suite"`
	Subject  json.RawMessage `json:"subject"`
	ModelDir string          `json:"model_dir"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

func run() error {
	own, err := digest()
	if err != nil {
		return err
	}
	frames := strings.Split(strings.TrimSpace(strings.ReplaceAll(transcript, strings.Repeat("5a", 32), own)), "\n")
	if err := send(frames[0]); err != nil {
		return err
	}
	in := bufio.NewReader(os.Stdin)
	o, err := read(in)
	if err != nil {
		return err
	}
	go func() { // the end of its input ends it
		_, _ = io.Copy(io.Discard, in)
		os.Exit(3)
	}()
	if o.Protocol != 1 {
		return send(fmt.Sprintf(`{"error":{"class":"request","message":"an order of protocol %d for a worker of protocol 1"}}`, o.Protocol))
	}
	if !strings.Contains(o.Suite, "kind: Suite") {
		return send(`{"error":{"class":"request","message":"the order holds no suite"}}`)
	}
	names := strings.NewReplacer(
		`"ATTEMPT.4242"`, strconv.Quote(o.Attempt+"."+strconv.Itoa(o.Round)), `"ATTEMPT"`, strconv.Quote(o.Attempt), `"RUN"`, strconv.Quote(o.Run),
		`"index":4242`, `"index":`+strconv.Itoa(o.Round), `"round":4242`, `"round":`+strconv.Itoa(o.Round),
	)
	for _, f := range frames[1:] {
		if err := send(names.Replace(f)); err != nil {
			return err
		}
	}
	return nil
}

// digest is the SHA-256 of this program's file.
func digest() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

func read(in io.Reader) (*order, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, fmt.Errorf("read the order: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > 16<<20 {
		return nil, fmt.Errorf("read the order: a length of %d", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(in, b); err != nil {
		return nil, fmt.Errorf("read the order: %w", err)
	}
	var f struct {
		Order *order `json:"order"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("read the order: %w", err)
	}
	if f.Order == nil {
		return nil, errors.New("read the order: the first frame is none")
	}
	return f.Order, nil
}

func send(frame string) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(frame)))
	_, err := os.Stdout.Write(append(b, frame...))
	return err
}
