package mcp

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"

	"tecrolabs.dev/oauth-mcp-server/internal/eventstream"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// methodListen opens a stream of change notices (2026-07-28,
// basic/patterns/subscriptions).
const methodListen = "subscriptions/listen"

// listen answers subscriptions/listen: an acknowledgement, a notice for every
// change of the kinds that were asked for and exist here, and the result when
// the server ends the stream (at the token's expiry, at the maximum age, on
// shutdown). A client ends it by closing it.
func (s *Server) listen(w http.ResponseWriter, r *http.Request, c call) error {
	telemetry.Annotate(r.Context(), slog.String("mcp_method", methodListen), slog.String("mcp_revision", string(c.revision)))
	filter, ok := c.message.params.Get("notifications")
	if !ok {
		return s.writeFailure(w, c, invalidParams(`Invalid params: subscriptions/listen needs "notifications"`))
	}
	wanted, err := strictjson.ParseObject(filter)
	if err != nil {
		return s.writeFailure(w, c, invalidParams(`Invalid params: "notifications": `+err.Error()))
	}
	if failure := acceptable(r.Header, "text/event-stream"); failure != nil {
		return s.writeFailure(w, c, failure)
	}
	wants, failure := s.subscription(wanted)
	if failure != nil {
		return s.writeFailure(w, c, failure)
	}
	tenant, err := s.streams.enter(c.caller.Principal)
	if err != nil {
		return err
	}
	stream := tenant.open(w, r, s.maxAge)
	id, end := c.message.id, s.subscriptionEnd(c)
	watcher := &watcher{wants: wants, tell: func(about notice) {
		stream.Announce(about.kind+" "+about.uri, eventstream.Message(about.message(id)))
	}}
	stream.Send(eventstream.Message(acknowledgement(id, wants)))
	if len(wants) > 0 {
		s.notices.add(watcher)
	} else {
		tenant.end(endAnswered)
	}
	tenant.stay(func(why string) {
		s.notices.remove(watcher)
		if why != endGone {
			stream.Send(eventstream.Message(end))
			stream.Close()
		}
		<-stream.Done()
	})
	return nil
}

// subscriptionEnd is the last message of a stream that the server ends.
func (s *Server) subscriptionEnd(c call) []byte {
	result := struct {
		common
	}{s.common(c.revision)}
	result.Meta[metaSubscription] = c.message.id
	return encodeResult(c.message.id, result)
}

// filterKinds is what a filter may ask for besides single resources.
var filterKinds = []struct {
	member string
	about  notice
	has    func(*Server) bool
}{
	{"toolsListChanged", notice{kind: "tools"}, func(*Server) bool { return true }},
	{"promptsListChanged", notice{kind: "prompts"}, hasPrompts},
	{"resourcesListChanged", notice{kind: "resources"}, hasResources},
}

// subscription reads a filter: the kinds of notices that are wanted and that
// this server has.
func (s *Server) subscription(filter strictjson.Object) (map[notice]bool, *protocolError) {
	wants := map[notice]bool{}
	for _, kind := range filterKinds {
		if raw, _ := filter.Get(kind.member); string(raw) == "true" && kind.has(s) {
			wants[kind.about] = true
		}
	}
	raw, ok := filter.Get("resourceSubscriptions")
	if !ok || s.resources == nil {
		return wants, nil
	}
	var uris []string
	if json.Unmarshal(raw, &uris) != nil || len(uris) > maxSubscribedResources {
		return nil, invalidParams(`Invalid params: "resourceSubscriptions" must be a list of at most 100 URIs`)
	}
	for _, uri := range uris {
		wants[notice{kind: "resource", uri: uri}] = true
	}
	return wants, nil
}

type notification struct {
	Version string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

// acknowledgement is the first message of a stream: the kinds that will come.
// Kinds this server does not have are left out.
func acknowledgement(id json.RawMessage, wants map[notice]bool) []byte {
	agreed := map[string]any{}
	for _, kind := range filterKinds {
		if wants[kind.about] {
			agreed[kind.member] = true
		}
	}
	var uris []string
	for about := range wants {
		if about.kind == "resource" {
			uris = append(uris, about.uri)
		}
	}
	if len(uris) > 0 {
		slices.Sort(uris)
		agreed["resourceSubscriptions"] = uris
	}
	return encode(notification{"2.0", "notifications/subscriptions/acknowledged", map[string]any{
		"_meta":         map[string]any{metaSubscription: id},
		"notifications": agreed,
	}})
}

// changeMethods is how each kind of change is called on the wire.
var changeMethods = map[string]string{
	"tools":     "notifications/tools/list_changed",
	"prompts":   "notifications/prompts/list_changed",
	"resources": "notifications/resources/list_changed",
	"resource":  "notifications/resources/updated",
}

// message is the notification of a change, for the subscription id.
func (n notice) message(id json.RawMessage) []byte {
	params := map[string]any{"_meta": map[string]any{metaSubscription: id}}
	if n.uri != "" {
		params["uri"] = n.uri
	}
	return encode(notification{"2.0", changeMethods[n.kind], params})
}
