package api

import (
	"context"
	"net"
	"net/http"
	"time"
)

// Limits of the server.
const (
	maxHeaderBytes = 16 << 10
	headerWait     = 10 * time.Second
	requestWait    = 30 * time.Second // head and body
	answerWait     = 2 * time.Minute  // a whole answer; streams have writeWait for each piece
	idleWait       = 2 * time.Minute
)

// Server makes a server with the limits that the handler counts on. Its Shutdown ends
// the streams of events, so that it doesn't wait for pages that look on for ever.
func Server(handler http.Handler) *http.Server {
	stop, cancel := context.WithCancel(context.Background())
	s := &http.Server{
		Handler: handler, MaxHeaderBytes: maxHeaderBytes, ReadHeaderTimeout: headerWait, ReadTimeout: requestWait, WriteTimeout: answerWait, IdleTimeout: idleWait,
		BaseContext: func(net.Listener) context.Context {
			return context.WithValue(context.Background(), stopKey{}, stop.Done())
		},
	}
	s.RegisterOnShutdown(cancel)
	return s
}

type stopKey struct{}

// stopping is closed when the server of a request shuts down; nil, which never
// comes, without such a server.
func stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stopKey{}).(<-chan struct{})
	return c
}
