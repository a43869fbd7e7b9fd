package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"syscall"
	"time"
)

// tries is how often a download may fail one after the other without a byte arriving.
const tries = 5

// digest starts the sum that proves a file: SHA-256, or git's SHA-1 of a blob.
func (f remote) digest() hash.Hash {
	if len(f.etag) == sha256.Size*2 {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", f.size)
	return h
}

// blob makes the cache hold the file's contents, proven. Whoever else pulls the same
// file at the same time waits and then finds it there.
func (p *pull) blob(ctx context.Context, f remote) error {
	unlock, err := p.lock(ctx, f)
	if err != nil {
		return err
	}
	defer unlock()
	if ok, err := p.proven(f); err != nil {
		return err
	} else if ok {
		p.tell(f, f.size, f.size)
		return nil
	}
	part := path.Join("blobs", f.etag+".incomplete")
	file, err := p.repo.OpenFile(part, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return diskFault(p.Cache, err)
	}
	err = p.fill(ctx, f, file)
	if err == nil {
		err = file.Sync()
		if err != nil {
			err = diskFault(p.Cache, err)
		}
	}
	if cerr := file.Close(); err == nil && cerr != nil {
		err = diskFault(p.Cache, cerr)
	}
	if err != nil {
		return err
	}
	if err := p.repo.Rename(part, path.Join("blobs", f.etag)); err != nil {
		return diskFault(p.Cache, err)
	}
	return nil
}

// proven says whether the blob is there already. One that is damaged counts as absent
// and is replaced once the right one is here.
func (p *pull) proven(f remote) (bool, error) {
	file, err := p.repo.Open(path.Join("blobs", f.etag))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, diskFault(p.Cache, err)
	}
	defer file.Close()
	h := f.digest()
	n, err := io.Copy(h, file)
	if err != nil {
		return false, diskFault(p.Cache, err)
	}
	return n == f.size && hex.EncodeToString(h.Sum(nil)) == f.etag, nil
}

// fill completes the file and proves it. A part from an earlier pull that turns out
// wrong is thrown away once, and the file fetched whole.
func (p *pull) fill(ctx context.Context, f remote, file *os.File) error {
	d := &download{pull: p, file: f, to: file}
	if err := d.resume(); err != nil {
		return diskFault(p.Cache, err)
	}
	for {
		began := d.have
		for failed := 0; d.have < f.size; {
			before := d.have
			err := d.attempt(ctx)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err == nil {
				continue
			}
			if d.have > before {
				failed = 0
			}
			failed++
			pause, again := pauseAfter(err, failed)
			if !again || failed == tries {
				return err
			}
			if err := p.client.wait(ctx, pause); err != nil {
				return err
			}
		}
		got := hex.EncodeToString(d.sum.Sum(nil))
		if got == f.etag {
			return nil
		}
		if err := d.restart(); err != nil {
			return diskFault(p.Cache, err)
		}
		if began == 0 {
			return broken("%s from %s is damaged: its digest is %s, the hub says %s; nothing of it was kept: run this again, and if it stays so, the hub or a proxy on the way changes the file", f.name, p.client.base, got, f.etag)
		}
	}
}

// download is a file on its way.
type download struct {
	*pull
	file remote
	to   *os.File
	have int64     // bytes in to
	sum  hash.Hash // of them
}

// resume takes up what an earlier pull left.
func (d *download) resume() error {
	d.sum = d.file.digest()
	n, err := io.Copy(d.sum, io.LimitReader(d.to, d.file.size+1))
	if err != nil {
		return err
	}
	if d.have = n; n > d.file.size {
		return d.restart()
	}
	if n > 0 {
		d.tell(d.file, n, n)
	}
	return nil
}

func (d *download) restart() error {
	d.have, d.sum, d.currentHere = 0, d.file.digest(), 0
	if err := d.to.Truncate(0); err != nil {
		return err
	}
	_, err := d.to.Seek(0, io.SeekStart)
	return err
}

// attempt fetches what is missing by one request. It returns nil once the file has its
// size, or where the hub wouldn't go on and the file begins anew.
func (d *download) attempt(ctx context.Context) error {
	c := d.client
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.fileURL(d.name, d.commit, d.file.name), nil)
	if err != nil {
		return refuse("%w", err)
	}
	r.Header.Set("Accept-Encoding", "identity")
	if d.have > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.have))
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return c.lost(err)
	}
	body := c.watch(resp.Body)
	defer body.Close()
	switch {
	case resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && d.have > 0:
		err := passing("%s won't go on with %s at %d bytes", c.base, d.file.name, d.have)
		if derr := d.restart(); derr != nil {
			return diskFault(d.Cache, derr)
		}
		return err
	case resp.StatusCode == http.StatusPartialContent:
		from, err := rangeStart(resp.Header.Get("Content-Range"), d.file.size)
		if err == nil && from != d.have {
			err = fmt.Errorf("it begins at byte %d, asked for %d", from, d.have)
		}
		if err != nil {
			return broken("%s sends another part of %s than asked for: %w", c.base, d.file.name, err)
		}
	case resp.StatusCode >= 400 && !sameOrigin(resp.Request.URL, c.base): // such as a signed address that has expired
		return passing("%s, where %s keeps %s, answered %s: run this again and it goes on where it stopped", resp.Request.URL.Host, c.base, d.file.name, statusName(resp.StatusCode))
	default:
		if err := statusFault(resp.StatusCode, resp.Header, c.asked(d.name, d.file.name), time.Now()); err != nil {
			return err
		}
		if isPage(resp.Header) {
			return broken("%s answered with a web page instead of %s: does a proxy want a login?", c.base, d.file.name)
		}
		if d.have > 0 {
			if err := d.restart(); err != nil {
				return diskFault(d.Cache, err)
			}
		}
	}
	return d.copy(body)
}

// copy takes the body to the file's end and no further.
func (d *download) copy(body io.Reader) error {
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if int64(n) > d.file.size-d.have {
			return broken("%s sends more of %s than the %d bytes that it has", d.client.base, d.file.name, d.file.size)
		}
		if n > 0 {
			w, werr := d.to.Write(buf[:n])
			d.sum.Write(buf[:w])
			d.have += int64(w)
			if werr != nil {
				return diskFault(d.Cache, werr)
			}
			d.tell(d.file, d.have, 0)
		}
		switch {
		case err == nil:
		case d.have == d.file.size:
			return nil
		case errors.Is(err, io.EOF):
			return passing("%s ends %s after %d of %d bytes; run this again and it goes on there", d.client.base, d.file.name, d.have, d.file.size)
		default:
			return d.client.lost(err)
		}
	}
}

// lock waits for the lock of a blob: the file and the way that huggingface_hub has.
func (p *pull) lock(ctx context.Context, f remote) (unlock func(), err error) {
	dir := filepath.Join(p.Cache, ".locks", p.name.folder())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, diskFault(p.Cache, err)
	}
	l, err := os.OpenFile(filepath.Join(dir, f.etag+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, diskFault(p.Cache, err)
	}
	for told := false; ; {
		err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = l.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			_ = l.Close()
			return nil, diskFault(p.Cache, fmt.Errorf("lock %s: %w", f.name, err))
		}
		if !told {
			told = true
			p.Progress(Progress{File: f.name, Waiting: true, Done: p.done, Total: p.total})
		}
		if err := sleep(ctx, 100*time.Millisecond); err != nil {
			_ = l.Close()
			return nil, err
		}
	}
}
