package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

const maxJSONDepth = 16 // real configs nest 3 deep

// object is a JSON object whose keys are told apart exactly: encoding/json
// itself ignores case and keeps the last of two equal keys.
type object map[string]json.RawMessage

// parseObject reads one JSON object and refuses duplicate keys at every level.
func parseObject(data []byte) (object, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := checkValue(dec, 0); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("byte %d: something follows the JSON value", dec.InputOffset())
	}
	var o object
	if err := json.Unmarshal(data, &o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("found null, want an object")
	}
	return o, nil
}

func checkValue(dec *json.Decoder, depth int) error {
	if depth > maxJSONDepth {
		return fmt.Errorf("values nest deeper than %d", maxJSONDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for dec.More() {
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			if name := key.(string); seen[name] { // a JSON object's keys are strings
				return fmt.Errorf("the key %q appears twice", name)
			} else {
				seen[name] = true
			}
		}
		if err := checkValue(dec, depth+1); err != nil {
			return err
		}
	}
	_, err = dec.Token() // the closing bracket; the decoder checks that it fits
	return err
}

// has reports whether key is there and not null.
func (o object) has(key string) bool {
	raw, ok := o[key]
	return ok && string(raw) != "null"
}

// integer reads an integer in lo..hi; ok is false where the key is absent or null.
func (o object) integer(key string, lo, hi int) (n int, ok bool, err error) {
	if !o.has(key) {
		return 0, false, nil
	}
	n, err = integer(o[key], lo, hi)
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", key, err)
	}
	return n, true, nil
}

func integer(raw json.RawMessage, lo, hi int) (int, error) {
	n, err := strconv.Atoi(string(raw))
	if err != nil || n < lo || n > hi {
		return 0, fmt.Errorf("found %.40s, want an integer from %d to %d", raw, lo, hi)
	}
	return n, nil
}

// number reads a finite number; ok is false where the key is absent or null.
func (o object) number(key string) (v float64, ok bool, err error) {
	if !o.has(key) {
		return 0, false, nil
	}
	if err := json.Unmarshal(o[key], &v); err != nil || math.IsInf(v, 0) || math.IsNaN(v) {
		return 0, false, fmt.Errorf("%s: found %.40s, want a finite number", key, o[key])
	}
	return v, true, nil
}

func (o object) text(key string) (s string, ok bool, err error) {
	if !o.has(key) {
		return "", false, nil
	}
	if err := json.Unmarshal(o[key], &s); err != nil {
		return "", false, fmt.Errorf("%s: found %.40s, want a string", key, o[key])
	}
	return s, true, nil
}

func (o object) boolean(key string) (b, ok bool, err error) {
	if !o.has(key) {
		return false, false, nil
	}
	if err := json.Unmarshal(o[key], &b); err != nil {
		return false, false, fmt.Errorf("%s: found %.40s, want true or false", key, o[key])
	}
	return b, true, nil
}

// texts reads a list of strings.
func (o object) texts(key string) (list []string, err error) {
	if !o.has(key) {
		return nil, nil
	}
	if err := json.Unmarshal(o[key], &list); err != nil {
		return nil, fmt.Errorf("%s: found %.40s, want a list of strings", key, o[key])
	}
	return list, nil
}

// ids reads one token id or a list of them, each in 0..vocab-1.
func (o object) ids(key string, vocab int) ([]int32, error) {
	if !o.has(key) {
		return nil, nil
	}
	list := []json.RawMessage{o[key]}
	if o[key][0] == '[' {
		list = nil
		if err := json.Unmarshal(o[key], &list); err != nil {
			return nil, fmt.Errorf("%s: %w", key, err)
		}
	}
	if len(list) > 1024 {
		return nil, fmt.Errorf("%s: %d ids, the limit is 1024", key, len(list))
	}
	ids := make([]int32, len(list))
	for i, raw := range list {
		n, err := integer(raw, 0, vocab-1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w (a token id)", key, err)
		}
		ids[i] = int32(n)
	}
	return ids, nil
}
