package mcp

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
	"tecrolabs.dev/oauth-mcp-server/internal/telemetry"
)

// methodListen opens a stream of change notices (2026-07-28,
// basic/patterns/subscriptions).
const methodListen = "subscriptions/listen"

// methodToolsChanged tells that tools/list would answer differently now.
const methodToolsChanged = "notifications/tools/list_changed"

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
	leave, err := s.streams.enter(c.caller.Principal)
	if err != nil {
		return err
	}
	defer leave()
	notices, stop := s.streams.watch()
	defer stop()

	raw, _ := wanted.Get("toolsListChanged")
	tools := string(raw) == "true"
	stream := openEventStream(w)
	if stream.message(s.acknowledgement(c.message.id, tools)) != nil {
		return nil // the client has gone
	}
	if tools && !s.relayNotices(r, stream, c, notices) {
		return nil
	}
	result := struct {
		common
	}{s.common(c.revision)}
	result.Meta[metaSubscription] = c.message.id
	_ = stream.message(encodeResult(c.message.id, result))
	return nil
}

// relayNotices writes notices until the stream has to end. It reports whether
// the client is still there.
func (s *Server) relayNotices(r *http.Request, stream *eventStream, c call, notices <-chan struct{}) bool {
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	age := time.NewTimer(streamAge(s.maxAge))
	defer age.Stop()
	expiry := time.NewTimer(time.Until(c.caller.Principal.Expiry))
	defer expiry.Stop()
	for {
		var err error
		select {
		case <-notices:
			err = stream.message(s.toolsChangedNotice(c.message.id))
		case <-ticker.C:
			err = stream.comment()
		case <-age.C:
			return true
		case <-expiry.C:
			return true
		case <-s.streams.draining:
			return true
		case <-r.Context().Done():
			return false
		}
		if err != nil {
			return false
		}
	}
}

type notification struct {
	Version string `json:"jsonrpc"`
	Method  string `json:"method"`
	Params  any    `json:"params,omitempty"`
}

// acknowledgement is the first message of a stream: the kinds that will come.
// Kinds this server does not have are left out.
func (s *Server) acknowledgement(id json.RawMessage, tools bool) []byte {
	agreed := map[string]bool{}
	if tools {
		agreed["toolsListChanged"] = true
	}
	return encode(notification{"2.0", "notifications/subscriptions/acknowledged", map[string]any{
		"_meta":         map[string]any{metaSubscription: id},
		"notifications": agreed,
	}})
}

// toolsChangedNotice tells of a new list of tools; on HTTP+SSE, where id is
// nil, without a subscription.
func (s *Server) toolsChangedNotice(id json.RawMessage) []byte {
	notice := notification{Version: "2.0", Method: methodToolsChanged}
	if id != nil {
		notice.Params = map[string]any{"_meta": map[string]any{metaSubscription: id}}
	}
	return encode(notice)
}
