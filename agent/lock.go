package agent

import "context"

// LockHost waits until no agent of this host is measuring and then keeps them from it
// until unlock, for whoever wants to look at the machine undisturbed. path is
// Config.HostLock; waiting is called once if somebody else holds it.
func LockHost(ctx context.Context, path string, waiting func()) (unlock func(), err error) {
	return lockHost(ctx, path, waiting)
}
