package quant

import (
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// TestSizesOfQwen: the sizes that docs/models.md gives for Qwen2.5-0.5B follow from its shapes.
func TestSizesOfQwen(t *testing.T) {
	c, err := model.PresetConfig("qwen2.5-0.5b")
	if err != nil {
		t.Fatal(err)
	}
	for format, want := range map[string]int64{"": 988_065_536, "w8": 495_928_576, "w4": 321_389_824} {
		n := int64(0)
		for _, e := range c.Tensors() {
			to := TypeOf(format, e.Name)
			if format == "" || to == "" {
				n += 2 * int64(model.Tensor{Shape: e.Shape}.Len())
				continue
			}
			data, scales := to.PackedSizes(e.Shape[0], e.Shape[1])
			n += int64(data + scales)
		}
		if n != want {
			t.Errorf("%q: %d bytes, want %d", format, n, want)
		}
	}
}
