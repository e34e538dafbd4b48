package mcp

import (
	"slices"
	"sync"
)

// Bounds of one subscription.
const (
	maxSubscribedResources = 100
	maxPendingNotices      = maxSubscribedResources + 3
)

// notice is one kind of change. Several of the same before a subscription has
// written the first are one.
type notice struct {
	kind string // "tools", "prompts", "resources" or "resource"
	uri  string // of "resource" only
}

// notices is who wants to hear of what, on this replica.
type notices struct {
	mu       sync.Mutex
	watchers map[*watcher]struct{}
}

// watcher is one subscription: what it asked for and what it has not been told.
type watcher struct {
	wants   map[notice]bool
	wake    chan struct{} // holds one slot
	pending []notice      // guarded by notices.mu
}

func newNotices() *notices { return &notices{watchers: map[*watcher]struct{}{}} }

// watch begins to gather notices of the kinds in wants. The caller must call
// stop.
func (n *notices) watch(wants map[notice]bool) (w *watcher, stop func()) {
	w = &watcher{wants: wants, wake: make(chan struct{}, 1)}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watchers[w] = struct{}{}
	return w, func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.watchers, w)
	}
}

// tell leaves a notice with everybody who wants it.
func (n *notices) tell(about notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.watchers {
		if !w.wants[about] || slices.Contains(w.pending, about) || len(w.pending) >= maxPendingNotices {
			continue
		}
		w.pending = append(w.pending, about)
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// take returns what w has not been told yet.
func (n *notices) take(w *watcher) []notice {
	n.mu.Lock()
	defer n.mu.Unlock()
	taken := w.pending
	w.pending = nil
	return taken
}
