package mcp

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"sync"

	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// LogLevel is a syslog severity of RFC 5424 as MCP spells it.
type LogLevel string

// logLevels lists the levels, least severe first.
var logLevels = []LogLevel{"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}

// defaultLogLevel is what clients of the revisions before 2026-07-28 get.
const defaultLogLevel LogLevel = "info"

func (l LogLevel) known() bool { return slices.Contains(logLevels, l) }

// reaches reports whether l is at least as severe as threshold.
func (l LogLevel) reaches(threshold LogLevel) bool {
	return slices.Index(logLevels, l) >= slices.Index(logLevels, threshold)
}

// Exchange is one request while it is handled: what the handler of a tool, a
// resource or a prompt may say before its answer, and what the client brought
// besides the arguments. Handlers find it with [ExchangeFrom].
type Exchange struct {
	notify        func(message []byte) // nil: there is nowhere to say it
	progressToken json.RawMessage      // nil: the client does not want progress
	logLevel      LogLevel             // "": the client does not want logs
	capabilities  map[string]bool      // what the client declared
	responses     map[string]json.RawMessage
	state         []byte

	mu       sync.Mutex
	progress float64
	finished bool
}

// exchange reads from a request what its handler may say and know.
func (s *Server) exchange(c call) (*Exchange, *protocolError) {
	x := &Exchange{notify: c.notify, capabilities: map[string]bool{}}
	maps.Copy(x.capabilities, c.declared)
	meta, failure := c.message.meta()
	if failure != nil {
		return nil, failure
	}
	if token, ok := meta.Get("progressToken"); ok && validID(token) {
		x.progressToken = token
	}
	switch {
	case !s.logging:
	case !c.revision.modern():
		x.logLevel = defaultLogLevel
	default: // nothing is logged to a client that did not ask
		level, _ := meta.Text(metaLogLevel)
		x.logLevel = LogLevel(level)
	}
	if raw, ok := meta.Get(metaCapabilities); ok {
		declared, err := strictjson.ParseObject(raw)
		if err != nil {
			return nil, &protocolError{status: 400, code: codeInvalidParams, message: "Invalid params: " + metaCapabilities + ": " + err.Error()}
		}
		for _, capability := range declared {
			x.capabilities[capability.Key] = true
		}
	}
	return x, s.readRound(c, x)
}

type exchangeKey struct{}

// ExchangeFrom returns the exchange of the request that ctx belongs to. It is
// never nil; outside of a request nothing comes of what is said to it.
func ExchangeFrom(ctx context.Context) *Exchange {
	if x, ok := ctx.Value(exchangeKey{}).(*Exchange); ok {
		return x
	}
	return &Exchange{}
}

func withExchange(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// say writes a notification unless the answer has gone out.
func (x *Exchange) say(message []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.notify != nil && !x.finished {
		x.notify(message)
	}
}

// finish ends what can be said: notifications belong before the answer.
func (x *Exchange) finish() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.finished = true
}

// Progress tells a client that asked for it how far the request is. Progress
// only ever grows; total is 0 when it is not known, message may be empty.
func (x *Exchange) Progress(progress, total float64, message string) {
	if x.progressToken == nil {
		return
	}
	x.mu.Lock()
	grows := progress > x.progress
	x.progress = max(x.progress, progress)
	x.mu.Unlock()
	if !grows && progress != 0 {
		return
	}
	x.say(encode(notification{"2.0", "notifications/progress", struct {
		Token    json.RawMessage `json:"progressToken"`
		Progress float64         `json:"progress"`
		Total    float64         `json:"total,omitempty"`
		Message  string          `json:"message,omitempty"`
	}{x.progressToken, progress, total, message}}))
}

// Log sends a log message to a client that asked for that level. data is any
// JSON; it must not hold secrets.
func (x *Exchange) Log(level LogLevel, logger string, data any) {
	if !x.logLevel.known() || !level.known() || !level.reaches(x.logLevel) {
		return
	}
	x.say(encode(notification{"2.0", "notifications/message", struct {
		Level  LogLevel `json:"level"`
		Logger string   `json:"logger,omitempty"`
		Data   any      `json:"data"`
	}{level, logger, data}}))
}

// Capable reports whether the client declared a capability, such as
// "elicitation".
func (x *Exchange) Capable(name string) bool { return x.capabilities[name] }

// Responses returns the client's answers to the questions of an earlier round,
// by the names they were asked under; nil in the first round.
func (x *Exchange) Responses() map[string]json.RawMessage { return x.responses }

// State returns what an earlier round left with [InputRequired]; nil in the
// first round.
func (x *Exchange) State() []byte { return x.state }
