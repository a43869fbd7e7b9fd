package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/paceline/paceline/engine/model"
)

// Options of a pull. Only Cache must be given.
type Options struct {
	Cache    string // CacheDir
	Endpoint string // DefaultEndpoint where it is empty
	Token    string // sent to the endpoint and nowhere else
	// Any takes models that the engine can't run, too: for other servers.
	Any bool
	// Progress is told of every step, from one goroutine; it must not block.
	Progress func(Progress)

	// Free gives the bytes that may still be written to a folder's disk.
	Free func(dir string) (int64, error)
	// Stall is how long nothing may arrive before the connection is given up; a minute
	// where it is 0.
	Stall time.Duration
	// Wait waits before it is tried again.
	Wait func(context.Context, time.Duration) error
}

// Progress is where a pull stands. Sizes are bytes.
type Progress struct {
	File        string
	FileDone    int64
	FileSize    int64
	Done, Total int64 // of all files that are known so far
	Here        int64 // of Done: what was in the cache already
	Waiting     bool  // another pull has this file's lock
	Weights     bool  // Total counts the weights
}

// Result is a model that is in the cache.
type Result struct {
	Snapshot
	Fetched int64 // bytes that came over the network
	// Offline is why the hub wasn't asked for the newest commit, where it couldn't be;
	// nil where it was. The snapshot is that of an earlier pull.
	Offline error
}

// pull is one pull under way.
type pull struct {
	Options
	client *client
	name   Name
	commit string
	repo   *os.Root // the name's folder in the cache

	done, here, total int64
	weights           bool
	currentHere       int64 // of the file under way: bytes that were here already
}

// Pull brings the model into the cache. A commit that is there whole is taken as it is;
// a branch is asked for, and where the hub can't be reached the snapshot of an earlier
// pull will do. Errors wrap ErrRequest, ErrNetwork or ErrDisk, or are ctx's. After any
// error what was in the cache is there still, and the next pull goes on from it.
func Pull(ctx context.Context, n Name, o Options) (Result, error) {
	o = o.withDefaults()
	c, err := newClient(o)
	if err != nil {
		return Result{}, err
	}
	defer c.http.CloseIdleConnections()
	old, oldErr := Find(o.Cache, n)
	if oldErr == nil && commitPattern.MatchString(n.Revision) {
		return Result{Snapshot: old}, nil
	}
	l, err := c.list(ctx, n)
	if err != nil {
		if oldErr == nil && errors.Is(err, ErrNetwork) {
			return Result{Snapshot: old, Offline: err}, nil
		}
		return Result{}, err
	}
	if commitPattern.MatchString(n.Revision) && l.commit != n.Revision {
		return Result{}, broken("%s answered with commit %s, asked for %s", c.base, l.commit, n.Revision)
	}
	if err := l.check(); err != nil {
		return Result{}, refuse("%s can't be pulled: %w", n, err)
	}
	p := &pull{Options: o, client: c, name: n, commit: l.commit}
	dir := filepath.Join(o.Cache, n.folder())
	for _, d := range []string{"blobs", "refs"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return Result{}, diskFault(o.Cache, err)
		}
	}
	if p.repo, err = os.OpenRoot(dir); err != nil {
		return Result{}, diskFault(o.Cache, err)
	}
	defer p.repo.Close()
	if err := p.all(ctx, l); err != nil {
		return Result{}, err
	}
	if err := p.point(); err != nil {
		return Result{}, diskFault(o.Cache, err)
	}
	n.Revision = l.commit
	s, err := Find(o.Cache, n)
	if err != nil {
		return Result{}, diskFault(o.Cache, err)
	}
	s.Name = p.name
	return Result{Snapshot: s, Fetched: p.done - p.here}, nil
}

func (o Options) withDefaults() Options {
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Free == nil {
		o.Free = model.FreeBytes
	}
	if o.Stall == 0 {
		o.Stall = time.Minute
	}
	if o.Wait == nil {
		o.Wait = sleep
	}
	return o
}

// all brings every file, the small ones first: they say whether the engine can run the
// model and which files its weights are.
func (p *pull) all(ctx context.Context, l listing) error {
	small, err := p.bring(ctx, l.small())
	if err != nil {
		return err
	}
	read := func(name string) ([]byte, error) {
		at := slices.IndexFunc(small, func(f remote) bool { return f.name == name })
		data, err := p.repo.ReadFile(path.Join("blobs", small[at].etag))
		if err != nil {
			return nil, diskFault(p.Cache, err)
		}
		return data, nil
	}
	if !p.Any {
		config, err := read(configFile)
		if err != nil {
			return err
		}
		if err := model.CheckConfig(config); err != nil {
			return refuse("the engine can't run %s: %w; its weights were not downloaded", p.name, err)
		}
	}
	shards := []string{weightsFile}
	if !l.has(weightsFile) {
		index, err := read(indexFile)
		if err != nil {
			return err
		}
		if shards, err = model.Shards(index); err != nil {
			return refuse("%s of %s: %w", indexFile, p.name, err)
		}
		for _, s := range shards {
			if !l.has(s) {
				return refuse("%s of %s names %s, which the repository doesn't have", indexFile, p.name, s)
			}
		}
	}
	p.weights = true
	weights, err := p.bring(ctx, shards)
	if err != nil {
		return err
	}
	return p.link(append(weights, small...))
}

// bring asks for the sizes of files, makes sure that they fit, and downloads them.
func (p *pull) bring(ctx context.Context, names []string) ([]remote, error) {
	files := make([]remote, len(names))
	missing := int64(0)
	for i, name := range names {
		f, err := p.client.describe(ctx, p.name, p.commit, name)
		if err != nil {
			return nil, err
		}
		files[i] = f
		p.total += f.size
		missing += f.size - p.kept(f)
	}
	free, err := p.Free(p.Cache)
	if err != nil {
		return nil, diskFault(p.Cache, err)
	}
	if missing > free {
		return nil, &fault{kind: ErrDisk, err: fmt.Errorf("the disk of %s is too full: %s needs %d MB more and %d MB are free; free some space, or set HF_HUB_CACHE to another disk", p.Cache, p.name, missing>>20+1, free>>20)}
	}
	for _, f := range files {
		p.currentHere = 0
		if err := p.blob(ctx, f); err != nil {
			return nil, err
		}
		p.done += f.size
		p.here += p.currentHere
	}
	return files, nil
}

// kept is how many bytes of a file the cache has, proven or not.
func (p *pull) kept(f remote) int64 {
	for _, suffix := range []string{"", ".incomplete"} {
		if info, err := p.repo.Lstat(path.Join("blobs", f.etag+suffix)); err == nil && info.Size() <= f.size {
			return info.Size()
		}
	}
	return 0
}

// tell says how much of a file is there; here is what no pull had to fetch now, or 0
// where that hasn't changed.
func (p *pull) tell(f remote, have, here int64) {
	p.currentHere = min(max(here, p.currentHere), have)
	p.Progress(Progress{
		File: f.name, FileDone: have, FileSize: f.size,
		Done: p.done + have, Total: p.total, Here: p.here + p.currentHere, Weights: p.weights,
	})
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
