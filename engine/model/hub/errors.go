package hub

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"time"
)

// The kinds of errors of a pull; every error but that of a cancelled context wraps one.
var (
	// ErrRequest: what was asked for doesn't exist, isn't allowed or makes no sense.
	// Asking again gives the same.
	ErrRequest = errors.New("bad request")
	// ErrNetwork: the hub, or the way to it, failed.
	ErrNetwork = errors.New("network failed")
	// ErrDisk: the cache can't be read or written.
	ErrDisk = errors.New("disk failed")
)

// fault is an error of a kind. Its message is that of the error alone.
type fault struct {
	kind, err error
	again     bool          // the same may work in a moment
	after     time.Duration // which the hub asked to wait before; 0: it didn't say
}

func (f *fault) Error() string   { return f.err.Error() }
func (f *fault) Unwrap() []error { return []error{f.kind, f.err} }

func refuse(format string, args ...any) error {
	return &fault{kind: ErrRequest, err: fmt.Errorf(format, args...)}
}

func broken(format string, args ...any) error {
	return &fault{kind: ErrNetwork, err: fmt.Errorf(format, args...)}
}

// passing is a failure of the network that may be over in a moment.
func passing(format string, args ...any) error {
	return &fault{kind: ErrNetwork, err: fmt.Errorf(format, args...), again: true}
}

// diskFault says what a failure of the disk asks for.
func diskFault(dir string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		err = fmt.Errorf("the disk of %s is full: %w; what has arrived is kept: free some space and run this again, or set HF_HUB_CACHE to another disk", dir, err)
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EPERM):
		err = fmt.Errorf("the cache %s can't be written: %w; set HF_HUB_CACHE to a folder of yours", dir, err)
	default:
		err = fmt.Errorf("the cache %s: %w", dir, err)
	}
	return &fault{kind: ErrDisk, err: err}
}

// asked is what an answer is about, for messages.
type asked struct {
	name     Name
	endpoint string
	what     string // "the list of files", a file's name
	token    bool   // a token was sent
}

// statusFault turns an HTTP status other than success into an error that says what to
// do. It is nil for 2xx.
func statusFault(status int, h http.Header, a asked, now time.Time) error {
	repo := a.name.ID()
	page := a.endpoint + "/" + repo
	switch code := h.Get("X-Error-Code"); {
	case status >= 200 && status < 300:
		return nil
	case code == "GatedRepo":
		return refuse("%s is open only to those who accepted its conditions: accept them at %s, and put a token of that account into HF_TOKEN", repo, page)
	case status == http.StatusUnauthorized && !a.token: // so are names that don't exist
		return refuse("%s has no model %s that is open to everybody: check the name; if it is private or gated, put a token that may read it into HF_TOKEN", a.endpoint, repo)
	case status == http.StatusUnauthorized:
		return refuse("%s doesn't take the token in HF_TOKEN for %s (401): check that the name is right and the token neither mistyped nor expired, or unset it for a model that is open to everybody", a.endpoint, repo)
	case status == http.StatusForbidden && !a.token:
		return refuse("%s forbids %s without a token (403): put one that may read it into HF_TOKEN", a.endpoint, repo)
	case status == http.StatusForbidden:
		return refuse("the token in HF_TOKEN may not read %s (403): give it that right, or accept the model's conditions at %s", repo, page)
	case status == http.StatusNotFound && code == "RevisionNotFound":
		return refuse("%s has no revision %q: leave out @%s for the newest, or look at %s/commits", repo, a.name.Revision, a.name.Revision, page)
	case status == http.StatusNotFound && code == "EntryNotFound":
		return refuse("%s has no file %s at %s", repo, a.what, a.name.Revision)
	case status == http.StatusNotFound:
		return refuse("%s has no model %s with a revision %q (404): check the spelling, capitals too", a.endpoint, repo, a.name.Revision)
	case status == http.StatusTooManyRequests:
		after := retryAfter(h.Get("Retry-After"), now)
		wait := "in a while"
		if after > 0 {
			wait = "after " + after.String()
		}
		hint := ""
		if !a.token {
			hint = "; with a token in HF_TOKEN the limits are wider"
		}
		return &fault{kind: ErrNetwork, again: true, after: after, err: fmt.Errorf("%s limits how often it is asked (429): run this again %s%s", a.endpoint, wait, hint)}
	case status == http.StatusRequestTimeout || status >= 500:
		return &fault{
			kind: ErrNetwork, again: true, after: retryAfter(h.Get("Retry-After"), now),
			err: fmt.Errorf("%s answered %s for %s of %s: the fault is there; run this again later", a.endpoint, statusName(status), a.what, repo),
		}
	case status >= 300 && status < 400:
		return broken("%s answered %s for %s of %s and leads nowhere: is HF_ENDPOINT a hub?", a.endpoint, statusName(status), a.what, repo)
	default:
		return refuse("%s answered %s for %s of %s: is HF_ENDPOINT a hub?", a.endpoint, statusName(status), a.what, repo)
	}
}

func statusName(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(s string, now time.Time) time.Duration {
	if d, err := time.ParseDuration(s + "s"); err == nil && d > 0 && d < 24*time.Hour {
		return d.Round(time.Second)
	}
	if at, err := http.ParseTime(s); err == nil && at.After(now) && at.Before(now.Add(24*time.Hour)) {
		return at.Sub(now).Round(time.Second)
	}
	return 0
}
