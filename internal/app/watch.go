package app

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"time"

	"github.com/fsnotify/fsnotify"

	"tecrolabs.dev/oauth-mcp-server/internal/imports"
)

// How soon a changed TOOLS_FILE, or a changed document that it imports, is read: when nothing has happened beside it for
// watchQuiet, so that whoever writes it can finish; after watchLongest where
// something happens all the time; and where nothing is told (network file
// systems, a directory that is a link to another one now), after watchPoll.
const (
	watchQuiet   = 100 * time.Millisecond
	watchLongest = 2 * time.Second
	watchPoll    = 30 * time.Second
)

// watchTools reads the catalogue again whenever its file has changed, or one of
// the documents that it imports from files, until ctx ends.
func (a *App) watchTools(ctx context.Context) {
	watched := watchedFiles{}
	var events chan fsnotify.Event // stays nil where nothing is told
	var errs chan error
	if watcher, err := fsnotify.NewWatcher(); err == nil {
		defer watcher.Close()
		watched.watcher, events, errs = watcher, watcher.Events, watcher.Errors
	} else { // the kernel has only so many
		a.logger.LogAttrs(ctx, slog.LevelWarn, "TOOLS_FILE cannot be watched; a change of it is seen late",
			slog.Duration("every", watchPoll), slog.String("error", err.Error()))
	}
	quiet, poll := time.NewTimer(0), time.NewTicker(watchPoll) // the file may have changed since the start
	defer quiet.Stop()
	defer poll.Stop()
	var first time.Time // of the events that have not been looked at
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-errs: // events were lost
			a.logger.LogAttrs(ctx, slog.LevelWarn, "watching TOOLS_FILE", slog.String("error", err.Error()))
			quiet.Reset(watchQuiet)
			continue
		case <-events:
			if first.IsZero() {
				first = time.Now()
			}
			quiet.Reset(min(watchQuiet, time.Until(first.Add(watchLongest))))
			continue
		case <-quiet.C:
			first = time.Time{}
		case <-poll.C:
		}
		watched.follow(a.tools.files())
		if a.tools.outdated() {
			a.ReloadTools(ctx)
			watched.follow(a.tools.files()) // it may import other documents now
		}
	}
}

// watchedFiles are names whose meaning is watched: the directory of each name and,
// through links, that of the file. Directories rather than files, because
// files are replaced: by a rename, or as Kubernetes does it by a link to one
// directory that becomes a link to another.
type watchedFiles struct {
	watcher     *fsnotify.Watcher // nil: nothing is told
	directories []string
}

// follow watches what the names mean now. A directory that is not there is tried
// again by the next call.
func (w *watchedFiles) follow(files []imports.File) {
	if w.watcher == nil {
		return
	}
	var directories []string
	for _, file := range files {
		directories = append(directories, filepath.Dir(file.Path))
		if target, err := filepath.EvalSymlinks(file.Path); err == nil {
			directories = append(directories, filepath.Dir(target))
		}
	}
	slices.Sort(directories)
	directories = slices.Compact(directories)
	for _, before := range w.directories {
		if !slices.Contains(directories, before) {
			_ = w.watcher.Remove(before) // it may be gone by itself
		}
	}
	w.directories = slices.DeleteFunc(directories, func(directory string) bool { return w.watcher.Add(directory) != nil })
}
