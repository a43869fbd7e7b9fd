package page

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/paceline/paceline/dashboard/assets"
)

// Door closes the pages to who has no token.
type Door struct {
	// Enter checks a token; change: for something that changes, such as cancelling. Its
	// error is shown to the person.
	Enter func(ctx context.Context, token string, change bool) error
	// Secure: browsers keep the token for encrypted connections only.
	Secure bool
}

// Paths and names of signing in.
const (
	signInPath   = "/signin"
	signOutPath  = "/signout"
	tokenCookie  = "paceline_token"
	maxTokenForm = 4 << 10 // bytes of the form
	cookieAge    = 30 * 24 * 60 * 60
)

// signIn is the page that asks for a token.
type signIn struct {
	Next string // where to go then
	Why  string // why the last token was refused
}

// closed lets in who has a token: the browser sends it as a cookie that scripts can't
// read. Assets are open, since the sign-in page needs them and they say nothing.
func (s *site) closed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, assets.Prefix):
			next.ServeHTTP(w, r)
		case r.URL.Path == signInPath && r.Method == http.MethodPost:
			s.takeToken(w, r)
		case r.URL.Path == signInPath:
			s.askToken(w, r, http.StatusOK, signIn{Next: local(r.URL.Query().Get("next"))})
		case r.URL.Path == signOutPath && r.Method == http.MethodPost:
			s.setToken(w, "", -1)
			http.Redirect(w, r, signInPath, http.StatusSeeOther)
		default:
			s.admit(w, r, next)
		}
	})
}

// admit serves a page to who may see it.
func (s *site) admit(w http.ResponseWriter, r *http.Request, next http.Handler) {
	change := r.Method != http.MethodGet && r.Method != http.MethodHead
	c, err := r.Cookie(tokenCookie)
	if err != nil {
		s.turnAway(w, r, change, "")
		return
	}
	if err := s.Door.Enter(r.Context(), c.Value, change); err != nil {
		s.turnAway(w, r, change, err.Error())
		return
	}
	next.ServeHTTP(w, r)
}

// turnAway asks a person who wants to see a page for a token, and says no to what
// isn't a person: scripts, streams, forms.
func (s *site) turnAway(w http.ResponseWriter, r *http.Request, change bool, why string) {
	if change || !strings.Contains(r.Header.Get("Accept"), "text/html") {
		if why == "" {
			why = "sign in first, at " + signInPath
		}
		http.Error(w, why, http.StatusUnauthorized)
		return
	}
	s.askToken(w, r, http.StatusUnauthorized, signIn{Next: local(r.URL.RequestURI()), Why: why})
}

func (s *site) askToken(w http.ResponseWriter, r *http.Request, status int, in signIn) {
	s.render(w, r, show{name: "signin", status: status, Page: Page{Title: "Sign in", Main: in}})
}

// takeToken keeps a good token in the browser.
func (s *site) takeToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxTokenForm)
	if err := r.ParseForm(); err != nil {
		s.askToken(w, r, http.StatusBadRequest, signIn{Why: "the form could not be read: paste the token alone"})
		return
	}
	token, next := strings.TrimSpace(r.PostForm.Get("token")), local(r.PostForm.Get("next"))
	if err := s.Door.Enter(r.Context(), token, false); err != nil {
		s.askToken(w, r, http.StatusUnauthorized, signIn{Next: next, Why: err.Error()})
		return
	}
	s.setToken(w, token, cookieAge)
	http.Redirect(w, r, next, http.StatusSeeOther)
}

func (s *site) setToken(w http.ResponseWriter, token string, age int) {
	http.SetCookie(w, &http.Cookie{
		Name: tokenCookie, Value: token, Path: "/", MaxAge: age, HttpOnly: true, Secure: s.Door.Secure, SameSite: http.SameSiteLaxMode,
	})
}

// local keeps an address on this site: a link elsewhere would make the sign-in page a
// springboard.
func local(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") ||
		strings.ContainsAny(address, "\\\r\n") || u.Path == signInPath {
		return "/"
	}
	return u.RequestURI()
}
