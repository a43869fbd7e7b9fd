package goldentest

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// keepEnv names a folder in which the models stay, for shapes.py to read.
const keepEnv = "PACELINE_KEEP"

// Make writes the shape's model and opens it; the test's end closes it.
func Make(t testing.TB, s Shape) *model.Checkpoint {
	t.Helper()
	parent := os.Getenv(keepEnv)
	if parent == "" {
		parent = t.TempDir()
	}
	dir := filepath.Join(parent, s.Name)
	if _, err := os.Stat(dir); err != nil {
		if err := write(t, s, dir); err != nil {
			t.Fatalf("make the model %s: %v", s.Name, err)
		}
	}
	c, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// write makes a synthetic model and writes its weights again, sharpened, in the shape's
// type, dialect and number of files.
func write(t testing.TB, s Shape, dir string) error {
	t.Helper()
	raw, plain := filepath.Join(t.TempDir(), "raw"), s.Config
	plain.DType = "bfloat16"
	if err := model.SynthConfig(t.Context(), plain, raw, model.SynthOptions{Seed: 5}); err != nil {
		return err
	}
	c, err := model.Open(raw)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeConfig(s, raw, dir); err != nil {
		return err
	}
	return writeWeights(s, c, dir)
}

// writeConfig is the synthetic config.json in the shape's dialect.
func writeConfig(s Shape, raw, dir string) error {
	data, err := os.ReadFile(filepath.Join(raw, "config.json"))
	if err != nil {
		return err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	fields["torch_dtype"] = s.Config.DType
	if s.Newer {
		fields["dtype"] = s.Config.DType
		fields["rope_parameters"] = map[string]any{"rope_theta": s.Config.RopeTheta, "rope_type": "default"}
		kinds := make([]string, s.Config.Layers)
		for i := range kinds {
			kinds[i] = "full_attention"
		}
		fields["layer_types"], fields["sliding_window"] = kinds, nil
		delete(fields, "torch_dtype")
		delete(fields, "rope_theta")
	}
	if data, err = json.MarshalIndent(fields, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "config.json"), data, 0o644)
}

// writeWeights spreads the tensors over the shape's files, in their order.
func writeWeights(s Shape, c *model.Checkpoint, dir string) error {
	list := s.Config.Tensors()
	where := map[string]string{}
	for f := range s.Shards {
		name := "model.safetensors"
		if s.Shards > 1 {
			name = fmt.Sprintf("model-%05d-of-%05d.safetensors", f+1, s.Shards)
		}
		var data []byte
		var header strings.Builder
		header.WriteString(`{"__metadata__":{"format":"pt"}`)
		for _, x := range list[f*len(list)/s.Shards : (f+1)*len(list)/s.Shards] {
			t, err := c.Tensor(x.Name)
			if err != nil {
				return err
			}
			values := make([]float32, t.Len())
			if err := t.Float32(values); err != nil {
				return err
			}
			sharpen(x, values)
			shape, err := json.Marshal(x.Shape)
			if err != nil {
				return err
			}
			begin, dtype := len(data), ""
			data, dtype = appendValues(data, s.Config.DType, values)
			fmt.Fprintf(&header, `,%q:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, x.Name, dtype, shape, begin, len(data))
			where[x.Name] = name
		}
		header.WriteByte('}')
		for header.Len()%8 != 0 {
			header.WriteByte(' ')
		}
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(header.Len())), header.String()...)
		if err := os.WriteFile(filepath.Join(dir, name), append(file, data...), 0o644); err != nil {
			return err
		}
	}
	if s.Shards == 1 {
		return nil
	}
	index, err := json.Marshal(map[string]any{"metadata": map[string]any{}, "weight_map": where})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), index, 0o644)
}

// sharpen makes the weights of a model that was only initialised like those of one that was
// trained, so that an error shows: with plain ones a narrow model's attention is nearly
// uniform, positions hardly matter, and all norms are 1. Matrices are multiplied by the
// power of two that brings the deviation of their products near 1.5 for inputs of size 1,
// and biases by 32, which is exact in every type; norms get the values 0.5 to 1.5.
func sharpen(x model.Expected, values []float32) {
	switch {
	case x.Part == "norm":
		for i := range values {
			values[i] = 0.5 + float32(i*37%64)/64
		}
	default:
		factor := float32(32)
		if len(x.Shape) == 2 {
			factor = float32(math.Exp2(math.Round(math.Log2(1.5 / 0.02 / math.Sqrt(float64(x.Shape[1]))))))
		}
		for i := range values {
			values[i] *= factor
		}
	}
}

// appendValues writes bfloat16 values in an element type, and gives the type's name in
// safetensors. What float16 has no normal number for becomes 0.
func appendValues(data []byte, dtype string, values []float32) ([]byte, string) {
	for _, v := range values {
		bits := math.Float32bits(v)
		switch dtype {
		case "float32":
			data = binary.LittleEndian.AppendUint32(data, bits)
		case "float16":
			half := uint16(bits >> 16 & 0x8000)
			if exponent := int(bits>>23&0xff) - 127; exponent >= -14 {
				half |= uint16(exponent+15)<<10 | uint16(bits>>13&0x3ff)
			}
			data = binary.LittleEndian.AppendUint16(data, half)
		default:
			data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
		}
	}
	return data, map[string]string{"float32": "F32", "float16": "F16", "bfloat16": "BF16"}[dtype]
}
