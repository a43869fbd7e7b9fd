package model

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
)

// File names of a model folder.
const (
	configFile     = "config.json"
	generationFile = "generation_config.json"
	weightsFile    = "model.safetensors"
	indexFile      = "model.safetensors.index.json"
)

// Checkpoint is an open model folder. Its methods may be called from several
// goroutines, except Close.
type Checkpoint struct {
	Dir        string // as given to Open
	Config     Config
	Generation Generation
	Dialect    string // of config.json: DialectHub or DialectV5
	Synthetic  bool   // the weights are random numbers made by Synth

	// Quantization says how the weights were quantised; nil: they weren't.
	Quantization *Quantization

	small   []smallFile // config files in the order they are digested
	shards  []*shard    // by name
	tensors map[string]place
	names   []string
}

type smallFile struct {
	name string
	data []byte
}

// place is where a tensor lies.
type place struct {
	shard *shard
	entry entry
	// Of a quantised matrix, set by checkTensors:
	dtype  DType  // W8 or W4
	shape  []int  // [rows, cols]; that of entry counts bytes
	scales *place // of another tensor
}

// tensor is a view of what lies there.
func (p place) tensor() Tensor {
	t := p.shard.tensor(p.entry)
	if p.scales != nil {
		t.DType, t.Shape, t.Scales = p.dtype, p.shape, p.scales.tensor().Data
	}
	return t
}

// bytes is what the tensor takes in the files, its scales included.
func (p place) bytes() int64 {
	n := p.entry.end - p.entry.begin
	if p.scales != nil {
		n += p.scales.bytes()
	}
	return n
}

// check refuses files that changed their size.
func (p place) check() error {
	if p.scales != nil && p.scales.shard != p.shard {
		if err := p.scales.check(); err != nil {
			return err
		}
	}
	return p.shard.check()
}

// Open opens the model folder dir and checks that its files are sound and agree
// with each other; weights are mapped, not read. Errors wrap ErrNotFound,
// ErrInvalid or ErrUnsupported and name the file, the tensor, what was wanted
// and what was found. Links may lead to other files of the folder, and those of
// a snapshot in a hub's cache to the blobs of its repository, but no further. The caller must Close the checkpoint.
func Open(dir string) (_ *Checkpoint, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open model %s: %w", dir, err)
		}
	}()
	d, err := openFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the folder %s doesn't exist", ErrNotFound, absolute(dir))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	defer d.root.Close()
	c := &Checkpoint{Dir: dir, tensors: map[string]place{}}
	if err := c.load(d); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

func (c *Checkpoint) load(d folder) error {
	data, err := c.readSmall(d, configFile, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s has no %s: give the folder that holds it", ErrNotFound, absolute(c.Dir), configFile)
	}
	if err != nil {
		return err
	}
	p, err := parseConfig(data)
	if err != nil {
		return fmt.Errorf("%s: %w", configFile, err)
	}
	c.Config, c.Dialect, c.Synthetic, c.Quantization = p.Config, p.dialect, p.synthetic, p.quant
	if d.exists(generationFile) {
		if data, err = c.readSmall(d, generationFile, 1<<20); err != nil {
			return err
		}
		if c.Generation, err = parseGeneration(data, &c.Config); err != nil {
			return fmt.Errorf("%s: %w", generationFile, err)
		}
	}
	if err := c.openWeights(d); err != nil {
		return err
	}
	if !p.tieStated {
		c.Config.TieEmbeddings = !c.Has(headName)
	}
	return c.checkTensors()
}

func (c *Checkpoint) readSmall(d folder, name string, limit int64) ([]byte, error) {
	data, err := d.read(name, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	c.small = append(c.small, smallFile{name, data})
	return data, nil
}

// Has reports whether there is a tensor of that name.
func (c *Checkpoint) Has(name string) bool {
	_, ok := c.tensors[name]
	return ok
}

// Names lists all tensors, by file and position in it.
func (c *Checkpoint) Names() []string { return slices.Clone(c.names) }

// Tensor returns a view of the named tensor; of a quantised matrix with its scales. It fails if there is none, and if
// its file has changed size since Open.
func (c *Checkpoint) Tensor(name string) (Tensor, error) {
	p, ok := c.tensors[name]
	if !ok {
		return Tensor{}, fmt.Errorf("model %s: %w", c.Dir, invalidf("no tensor %q", name))
	}
	if err := p.check(); err != nil {
		return Tensor{}, fmt.Errorf("model %s: tensor %q: %w", c.Dir, name, err)
	}
	return p.tensor(), nil
}

// Digest is the SHA-256, in hex, over config.json, generation_config.json where
// there is one, the index where shards are used, and the safetensors files in
// the order of their names; each file's contents follow its name, a zero byte and
// its length as eight bytes, little endian. The tokenizer isn't part of it. It
// reads all weights (about a second a GB) and isn't cached.
func (c *Checkpoint) Digest() (string, error) {
	sum := sha256.New()
	begin := func(name string, size int64) {
		sum.Write([]byte(name + "\x00"))
		sum.Write(binary.LittleEndian.AppendUint64(nil, uint64(size)))
	}
	for _, f := range c.small {
		begin(f.name, int64(len(f.data)))
		sum.Write(f.data)
	}
	for _, s := range c.shards {
		begin(s.name, s.size)
		n, err := io.Copy(sum, io.NewSectionReader(s.file, 0, s.size))
		if err == nil && n != s.size {
			err = s.check()
		}
		if err != nil {
			return "", fmt.Errorf("digest model %s: %s: %w", c.Dir, s.name, err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Close releases the mappings: no Tensor may be used after it. Closing twice is
// allowed.
func (c *Checkpoint) Close() error {
	var errs []error
	for _, s := range c.shards {
		errs = append(errs, s.close())
	}
	c.shards, c.tensors, c.names = nil, nil, nil
	return errors.Join(errs...)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
