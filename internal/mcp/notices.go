package mcp

import "sync"

// maxSubscribedResources bounds what one subscription may ask for, and with it
// how many notices can wait for a slow reader.
const maxSubscribedResources = 100

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

// watcher is one subscription: what it asked for, and who tells the client.
type watcher struct {
	wants map[notice]bool
	tell  func(about notice) // does not wait
}

func newNotices() *notices { return &notices{watchers: map[*watcher]struct{}{}} }

// add begins to tell w of changes; remove ends that.
func (n *notices) add(w *watcher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.watchers[w] = struct{}{}
}

func (n *notices) remove(w *watcher) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.watchers, w)
}

// tell tells everybody who wants to hear of it.
func (n *notices) tell(about notice) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for w := range n.watchers {
		if w.wants[about] {
			w.tell(about)
		}
	}
}
