package tool

import (
	"context"
	"encoding/json"
	"net/http"
)

// Request returns the request that a call of the tool name would make, with a URL
// relative to the upstream's base, and the upstream's name; a nil request for a
// tool that answers by itself. Nobody is asked whether the call is allowed. It
// returns an *[UnknownToolError] or an *[InvalidArgumentsError] for a call that
// makes no sense.
func (c *Catalogue) Request(ctx context.Context, name string, arguments json.RawMessage) (upstream string, r *http.Request, err error) {
	tool := c.tool(name)
	if tool == nil {
		return "", nil, &UnknownToolError{Name: name}
	}
	switch tool.role {
	case searches:
		_, err := checkArguments(tool.input, arguments, maxArguments)
		return "", nil, err
	case calls:
		if tool, arguments, err = c.directory.chosen(ctx, tool, arguments); err != nil {
			return "", nil, err
		}
	case sends:
	}
	checked, err := checkArguments(tool.input, arguments, tool.maxArguments())
	if err != nil {
		return "", nil, err
	}
	r, err = tool.binding.request(ctx, checked)
	return tool.upstream, r, err
}
