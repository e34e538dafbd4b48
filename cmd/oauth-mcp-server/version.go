package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the linker for builds that have no repository around them,
// such as the image's; empty leaves it to what the go command recorded.
var version string

type versionCommand struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Help returns the examples under --help.
func (versionCommand) Help() string {
	return `Examples:

    oauth-mcp-server version
    oauth-mcp-server version --json`
}

// build is what the binary knows of how it was made.
type build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"`     // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"` // built from a changed tree
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "unknown", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	switch {
	case version != "":
		b.Version = version
	case info.Main.Version != "":
		b.Version = info.Main.Version
	}
	for _, setting := range info.Settings {
		switch setting.Key {
		case "vcs.revision":
			b.Commit = setting.Value
		case "vcs.time":
			b.Time = setting.Value
		case "vcs.modified":
			b.Modified = setting.Value == "true"
		}
	}
	return b
}

// Run prints how this binary was built.
func (c *versionCommand) Run(p process) error {
	b := readBuild()
	if c.JSON {
		encoder := json.NewEncoder(p.stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(b)
	}
	text := programName + " " + b.Version
	if b.Commit != "" {
		text += " " + b.Commit
	}
	if b.Modified {
		text += " (modified)"
	}
	_, err := fmt.Fprintf(p.stdout, "%s %s %s\n", text, b.Go, b.Platform)
	return err
}
