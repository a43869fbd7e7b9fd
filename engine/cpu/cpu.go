//go:build native

package cpu

/*
#include "step.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"math"
	"unsafe"

	"github.com/paceline/paceline/engine/backend"
	"github.com/paceline/paceline/engine/backend/admit"
	"github.com/paceline/paceline/engine/model"
	"github.com/paceline/paceline/engine/model/quant"
	"github.com/paceline/paceline/engine/sample"
)

// engine is an open model.
type engine struct {
	info    backend.Info
	options Options
	config  model.Config
	memory  backend.Memory

	weights, kv, scratch region

	model  *C.pl_model // in scratch, as all that C reads during a step
	batch  *C.pl_batch
	layers *C.pl_layer
	lists  lists
	team   *C.pl_team

	active  *backend.Batch // launched and not collected
	door    *admit.Door
	sampler sample.Sampler
	logits  []float32 // handed out by Collect
	logProb []float32
	drawn   []int32
	top     []backend.Likely
	starts  []rowStart // scratch of fill
	solo    int        // work up to which one thread computes
	closed  bool
}

// lists are the arrays of a batch, in memory that C may keep.
type lists struct {
	ids, positions, slots, pages *C.int32_t
	unit                         *C.pl_unit
	head, scoreAt, scoreOf       *C.int32_t
	score                        *C.float
}

// Open packs the checkpoint's weights into memory of its own and starts the
// threads; the checkpoint may be closed afterwards. Its errors wrap
// backend.ErrUnavailable if a kernel set is asked for that this machine can't run.
// The caller must Close the backend.
func Open(c *model.Checkpoint, o Options) (backend.Backend, error) {
	e, err := openOn(c, o, Cores())
	if err != nil {
		return nil, fmt.Errorf("open the cpu backend: %w", err)
	}
	return e, nil
}

// openOn is Open on a machine of so many cores.
func openOn(c *model.Checkpoint, o Options, cores int) (_ *engine, err error) {
	isa, err := chooseISA(o.ISA)
	if err != nil {
		return nil, err
	}
	format, err := quant.OnLoad(c, o.Weights)
	if err != nil {
		return nil, err
	}
	o, err = o.complete(c.Config, format != "" || c.Quantization != nil, cores)
	if err != nil {
		return nil, err
	}
	e := &engine{options: o, config: c.Config, solo: soloWork}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	l := loader{c: c, format: format, region: &e.weights}
	if err := e.allocate(isa.c.gemm_dot != nil); err != nil {
		return nil, err
	}
	l.plan(e.model, unsafe.Slice(e.layers, c.Config.Layers))
	if err := l.load(e.model); err != nil {
		return nil, err
	}
	e.team = newTeam(o.Threads)
	if e.team == nil {
		return nil, fmt.Errorf("start %d threads: the system has no more to give", o.Threads-1)
	}
	e.model.team = e.team
	e.configure(isa, l.widens())
	e.memory = backend.Memory{Weights: e.weights.size, KV: e.kv.size, Activation: e.scratch.size}
	e.info = backend.Info{
		Name: "cpu", Device: deviceName(), ISA: isa.name, Compute: o.Compute,
		Weights: e.weightsName(), KV: o.KV,
		Threads: o.Threads, MaxInFlight: 1, MaxRows: maxRows, MaxTokens: maxTokens,
		MaxContext: o.MaxContext, MaxDraft: maxDraft, VocabSize: c.Config.VocabSize,
	}
	e.door = admit.New(e.info, o.Pages)
	return e, nil
}

// newTeam starts the threads, each of which stays on a core of its own where that is known.
func newTeam(threads int) *C.pl_team {
	var cpus *C.int32_t
	if at := places(threads); at != nil {
		cpus = (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(at)))
	}
	return C.pl_team_new(C.int32_t(threads), cpus)
}

// allocate maps the KV pages and everything that a step writes. dot says that the machine
// multiplies bf16.
func (e *engine) allocate(dot bool) error {
	c, d, o := e.config, dimsOf(e.config), e.options
	var m C.pl_model
	var rope *float32
	r := &e.scratch
	reserve(r, &e.model, 1)
	reserve(r, &e.batch, 1)
	reserve(r, &e.layers, c.Layers)
	reserve(r, &rope, o.MaxContext*c.HeadDim)
	reserve(r, &m.x, maxTokens*d.hidden)
	reserve(r, &m.xn, maxTokens*d.hidden)
	reserve(r, &m.qkv, maxTokens*d.qkv)
	reserve(r, &m.att, maxTokens*c.Heads*d.dim)
	reserve(r, &m.act, maxTokens*d.inter) // takes no memory where it isn't written
	reserve(r, &m.logits, maxRows*d.vocab)
	reserve(r, &m.scores, C.PL_SCORE_ROWS*d.vocab)
	if o.Compute == "bf16" {
		reserve(r, &m.xn_h, maxTokens*d.hidden)
		reserve(r, &m.att_h, maxTokens*c.Heads*d.dim)
		reserve(r, &m.act_h, maxTokens*d.inter)
	}
	m.widest = C.int32_t(d.widest(c))
	m.groups = C.int32_t(groupsOf(d.widest(c)))
	quants := func(q *C.pl_quants, rows int) {
		if o.Compute == "int8" {
			reserve(r, &q.q, rows*int(m.widest))
			reserve(r, &q.scale, rows*int(m.groups))
			reserve(r, &q.sum, rows*int(m.groups))
		}
	}
	quants(&m.quants, maxTokens)
	quants(&m.act_quants, maxTokens)
	reserve(r, &m.scratch, o.Threads)
	m.gate_up_size = C.size_t(max(2*C.PL_GROUP*maxTokens, 2*d.inter))
	threads := make([]C.pl_scratch, o.Threads)
	for i := range threads {
		s := &threads[i]
		reserve(r, &s.norm, C.PL_SOLO_ROWS*d.hidden)
		reserve(r, &s.norm_h, C.PL_SOLO_ROWS*d.hidden)
		quants(&s.quants, C.PL_SOLO_ROWS)
		reserve(r, &s.gate_up, int(m.gate_up_size))
		reserve(r, &s.q, C.PL_ATT_ROWS*d.dim)
		reserve(r, &s.s, C.PL_ATT_ROWS*C.PL_PAGE)
		reserve(r, &s.o, C.PL_ATT_ROWS*d.dim)
		if dot && o.roundsAttention() {
			reserve(r, &s.q_h, C.PL_ATT_ROWS*d.dim)
			reserve(r, &s.s_h, C.PL_ATT_ROWS*C.PL_PAGE)
		}
		reserve(r, &s.max, C.PL_ATT_ROWS)
		reserve(r, &s.sum, C.PL_ATT_ROWS)
	}
	reserve(r, &e.lists.ids, maxTokens)
	reserve(r, &e.lists.positions, maxTokens)
	reserve(r, &e.lists.slots, maxTokens)
	reserve(r, &e.lists.pages, maxRows*admit.PagesFor(o.MaxContext))
	reserve(r, &e.lists.unit, maxTokens*c.Heads)
	reserve(r, &e.lists.head, maxTokens)
	reserve(r, &e.lists.scoreAt, maxTokens)
	reserve(r, &e.lists.scoreOf, maxTokens)
	reserve(r, &e.lists.score, maxTokens)
	if err := r.open("activations"); err != nil {
		return err
	}
	copy(unsafe.Slice(m.scratch, o.Threads), threads)
	fillRope(unsafe.Slice(rope, o.MaxContext*c.HeadDim), c.HeadDim, c.RopeTheta)
	m.rope = (*C.float)(unsafe.Pointer(rope))
	m.kv_type = map[string]C.int32_t{"f32": C.PL_F32, "bf16": C.PL_BF16, "int8": C.PL_S8}[o.KV]
	m.page_bytes = C.size_t(PageBytes(c, o.KV))
	m.head_bytes = m.page_bytes / C.size_t(c.Layers*c.KVHeads)
	reserve(&e.kv, &m.pages, o.Pages*int(m.page_bytes))
	if err := e.kv.open("KV pages"); err != nil {
		return err
	}
	m.layer = e.layers
	*e.model = m
	return nil
}

// configure writes the sizes. widened says that some weights are held in f32, which the dot
// instruction doesn't take.
func (e *engine) configure(isa kernelSet, widened bool) {
	c, d, m := e.config, dimsOf(e.config), e.model
	m.kernels = isa.c
	m.layers, m.heads, m.kv_heads = C.int32_t(c.Layers), C.int32_t(c.Heads), C.int32_t(c.KVHeads)
	m.hidden, m.hidden_real = C.int32_t(d.hidden), C.int32_t(c.HiddenSize)
	m.inter = C.int32_t(d.inter)
	m.dim, m.dim_real = C.int32_t(d.dim), C.int32_t(c.HeadDim)
	m.vocab, m.vocab_real = C.int32_t(d.vocab), C.int32_t(c.VocabSize)
	m.eps = C.float(c.RMSNormEps)
	m.q_scale = C.float(1 / math.Sqrt(float64(c.HeadDim)))
	if e.options.roundsAttention() {
		m.att_round = 1
	}
	if e.options.Compute == "bf16" {
		m.round = 1
		if isa.c.gemm_dot != nil && !widened {
			m.dot = 1
		}
	}
}

// weightsName is the type of the layers' matrices.
func (e *engine) weightsName() string {
	return map[C.int32_t]string{C.PL_BF16: "bf16", C.PL_F32: "f32", C.PL_W8: "w8", C.PL_W4: "w4"}[e.layers.gate_up._type]
}

// fillRope writes (cos, sin) of position·theta^(-2i/dim) for every position and
// pair i, from float64: a float32 angle is off by 1e-3 at position 32,768.
func fillRope(dst []float32, dim int, theta float64) {
	for i := range dim / 2 {
		frequency := math.Pow(theta, -2*float64(i)/float64(dim))
		for p := range len(dst) / dim {
			sin, cos := math.Sincos(float64(p) * frequency)
			dst[p*dim+2*i], dst[p*dim+2*i+1] = float32(cos), float32(sin)
		}
	}
}

func (e *engine) Info() backend.Info     { return e.info }
func (e *engine) Memory() backend.Memory { return e.memory }
func (e *engine) Pages() backend.Pages   { return pages{e} }

// Close ends the threads and frees all memory. It may be called twice.
func (e *engine) Close() error {
	if e.active != nil {
		return errors.New("close the cpu backend: a batch is launched and not collected")
	}
	C.pl_team_free(e.team)
	e.team = nil
	e.weights.close()
	e.kv.close()
	e.scratch.close()
	e.memory = backend.Memory{}
	e.closed = true
	return nil
}
