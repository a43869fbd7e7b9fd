package quant

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/paceline/paceline/engine/model"
)

// tensorF32 is a matrix of float32.
func tensorF32(name string, rows, cols int, v []float32) model.Tensor {
	var data []byte
	for _, x := range v {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	return model.Tensor{Name: name, DType: model.F32, Shape: []int{rows, cols}, Data: data}
}

func normal(seed uint64, n int, deviation float64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 7))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(deviation * rng.NormFloat64())
	}
	return v
}

func mustMatrix(t testing.TB, m model.Tensor, to model.DType, a Algorithm) (q model.Tensor, back []float32) {
	t.Helper()
	q, err := Matrix(m, to, a)
	if err != nil {
		t.Fatal(err)
	}
	back = make([]float32, m.Len())
	if err := q.Float32(back); err != nil {
		t.Fatal(err)
	}
	return q, back
}

// scaleOf is the scale of an element, and the numbers that it may be multiplied with.
func scaleOf(q model.Tensor, row, col int) (scale float64, lo, hi float64) {
	if q.DType == model.W8 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(q.Scales[4*row:]))), -127, 127
	}
	groups := (q.Shape[1] + model.GroupColumns - 1) / model.GroupColumns
	one := model.Tensor{DType: model.F16, Shape: []int{1}, Data: q.Scales[2*(row*groups+col/model.GroupColumns):][:2]}
	v := make([]float32, 1)
	if err := one.Float32(v); err != nil {
		panic(err)
	}
	return float64(v[0]), -8, 7
}

var algorithms = []Algorithm{RTN, Search}

// TestMatrixErrorBound: an element within the range of its scale is off by at most half of it,
// one beyond it becomes the end of the range.
func TestMatrixErrorBound(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {3, 127}, {5, 128}, {4, 129}, {7, 300}, {16, 896}} {
		rows, cols := shape[0], shape[1]
		v := normal(uint64(cols), rows*cols, 0.02)
		v[len(v)/2] = 0.31 // an outlier
		m := tensorF32("x", rows, cols, v)
		for _, to := range []model.DType{model.W8, model.W4} {
			for _, a := range algorithms {
				q, back := mustMatrix(t, m, to, a)
				if err := q.CheckFinite(); err != nil {
					t.Error(err)
				}
				for i, w := range v {
					s, lo, hi := scaleOf(q, i/cols, i%cols)
					ends := []float64{lo * s, hi * s}
					least, most := slices.Min(ends), slices.Max(ends)
					want := min(max(float64(w), least), most)
					if off := math.Abs(want - float64(back[i])); off > math.Abs(s)/2*(1+1e-5) {
						t.Fatalf("%s %s %v: element %d is %v, became %v, scale %v", to, a, shape, i, w, back[i], s)
					}
					if a == RTN && math.Abs(float64(w)-want) > math.Abs(s)*1.01 {
						t.Fatalf("%s %s %v: element %d of %v lies %v scales beyond the range", to, a, shape, i, w, (float64(w)-want)/s)
					}
				}
			}
		}
	}
}

func squared(a, b []float32) (sum float64) {
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return sum
}

// TestSearchIsBetter: never worse than rounding to nearest in any row, and better in all.
func TestSearchIsBetter(t *testing.T) {
	const rows, cols = 32, 320
	v := normal(3, rows*cols, 0.02)
	m := tensorF32("x", rows, cols, v)
	for to, gain := range map[model.DType]float64{model.W8: 0.99, model.W4: 0.93} {
		_, plain := mustMatrix(t, m, to, RTN)
		_, searched := mustMatrix(t, m, to, Search)
		for r := range rows {
			row := v[r*cols : (r+1)*cols]
			if a, b := squared(row, searched[r*cols:(r+1)*cols]), squared(row, plain[r*cols:(r+1)*cols]); a > b {
				t.Errorf("%s row %d: squared error %v by search, %v by rounding", to, r, a, b)
			}
		}
		if a, b := squared(v, searched), squared(v, plain); a > gain*b {
			t.Errorf("%s: squared error %v by search, %v by rounding, want at most %v of it", to, a, b, gain)
		} else {
			t.Logf("%s: search leaves %.3f of the squared error of rounding", to, a/b)
		}
	}
}

// TestMatrixOfItsOwnValues: numbers that the type can hold stay as they are.
func TestMatrixOfItsOwnValues(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const cols = 200
	for to, ends := range map[model.DType][2]int{model.W8: {-127, 127}, model.W4: {-8, 7}} {
		v := make([]float32, 2*cols)
		for i := range v {
			v[i] = float32(ends[0]+rng.IntN(ends[1]-ends[0]+1)) / 256
		}
		v[0], v[150], v[cols], v[cols+150] = float32(ends[0])/256, float32(ends[0])/256, float32(ends[0])/256, float32(ends[0])/256
		for _, a := range algorithms {
			if _, back := mustMatrix(t, tensorF32("x", 2, cols, v), to, a); !slices.Equal(back, v) {
				t.Errorf("%s %s: numbers that it can hold changed", to, a)
			}
		}
	}
}

func TestMatrixOfZeros(t *testing.T) {
	const cols = 260
	v := make([]float32, 3*cols)
	v[cols] = 1                                    // row 1: one element, two groups of zeros
	v[2*cols] = math.SmallestNonzeroFloat32        // row 2: too small for any scale
	v[2*cols+1] = -math.SmallestNonzeroFloat32 * 2 // and of both signs
	for _, to := range []model.DType{model.W8, model.W4} {
		for _, a := range algorithms {
			q, back := mustMatrix(t, tensorF32("x", 3, cols, v), to, a)
			want := make([]float32, len(v))
			want[cols] = 1
			if got := math.Abs(float64(back[cols] - 1)); got > 1e-3 {
				t.Errorf("%s %s: the one became %v", to, a, back[cols])
			}
			back[cols] = 1
			if !slices.Equal(back, want) {
				t.Errorf("%s %s: zeros became something else", to, a)
			}
			if s, _, _ := scaleOf(q, 0, 0); s != 0 {
				t.Errorf("%s %s: the scale of zeros is %v, want 0", to, a, s)
			}
		}
	}
}

func TestMatrixRefuses(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, c := range []struct {
		name string
		m    model.Tensor
		to   model.DType
		a    Algorithm
		want error
	}{
		{"not a number", tensorF32("x", 2, 2, []float32{1, 2, nan, 3}), model.W8, RTN, model.ErrInvalid},
		{"infinite", tensorF32("x", 2, 2, []float32{1, 2, inf, 3}), model.W4, Search, model.ErrInvalid},
		{"too large for binary16 scales", tensorF32("x", 1, 2, []float32{1e6, 2}), model.W4, Search, model.ErrInvalid},
		{"quantised already", model.Tensor{DType: model.W8, Shape: []int{1, 1}, Data: []byte{1}, Scales: make([]byte, 4)}, model.W4, RTN, model.ErrUnsupported},
		{"to another type", tensorF32("x", 1, 1, []float32{1}), model.BF16, RTN, nil},
		{"unknown algorithm", tensorF32("x", 1, 1, []float32{1}), model.W8, "gptq", nil},
		{"no matrix", model.Tensor{DType: model.F32, Shape: []int{1}, Data: make([]byte, 4)}, model.W8, RTN, nil},
	} {
		_, err := Matrix(c.m, c.to, c.a)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if _, back := mustMatrix(t, tensorF32("x", 1, 2, []float32{math.MaxFloat32, -3}), model.W8, RTN); !slices.Equal(back[1:], []float32{0}) || back[0] < 3.39e38 {
		t.Errorf("the largest float32 became %v", back)
	}
}

// TestMatrixIsDeterministic: the number of workers changes nothing, nor does the type in which
// equal numbers are stored.
func TestMatrixIsDeterministic(t *testing.T) {
	const rows, cols = 33, 200
	v := normal(9, rows*cols, 0.02)
	stored := map[model.DType][]byte{}
	for i, x := range v {
		if abs(x) < 1e-3 { // every bfloat16 that is left is a binary16 too
			x = 0
		}
		b := math.Float32bits(x) >> 16
		v[i] = math.Float32frombits(b << 16)
		half, back := model.Half(v[i])
		if back != v[i] {
			t.Fatalf("%v is no binary16", v[i])
		}
		stored[model.BF16] = binary.LittleEndian.AppendUint16(stored[model.BF16], uint16(b))
		stored[model.F16] = binary.LittleEndian.AppendUint16(stored[model.F16], half)
	}
	for _, to := range []model.DType{model.W8, model.W4} {
		for _, a := range algorithms {
			want, _ := mustMatrix(t, tensorF32("x", rows, cols, v), to, a)
			for d, data := range stored {
				before := runtime.GOMAXPROCS(1)
				got, _ := mustMatrix(t, model.Tensor{Name: "x", DType: d, Shape: []int{rows, cols}, Data: data}, to, a)
				runtime.GOMAXPROCS(before)
				if !bytes.Equal(got.Data, want.Data) || !bytes.Equal(got.Scales, want.Scales) {
					t.Errorf("%s %s: the bits of %s differ", to, a, d)
				}
			}
		}
	}
}

func TestTypeOf(t *testing.T) {
	for name, want := range map[string][2]model.DType{
		"model.embed_tokens.weight":                      {model.W8, model.W8},
		"lm_head.weight":                                 {model.W8, model.W8},
		"model.layers.3.self_attn.q_proj.weight":         {model.W8, model.W4},
		"model.layers.3.self_attn.q_proj.bias":           {"", ""},
		"model.layers.23.mlp.down_proj.weight":           {model.W8, model.W4},
		"model.layers.0.input_layernorm.weight":          {"", ""},
		"model.layers.0.post_attention_layernorm.weight": {"", ""},
		"model.norm.weight":                              {"", ""},
	} {
		for i, format := range Formats() {
			if got := TypeOf(format, name); got != want[i] {
				t.Errorf("%s in %s: %q, want %q", name, format, got, want[i])
			}
		}
	}
}
