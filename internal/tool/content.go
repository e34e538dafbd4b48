package tool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strings"

	"tecrolabs.dev/oauth-mcp-server/internal/shape"
	"tecrolabs.dev/oauth-mcp-server/internal/strictjson"
)

// success maps 2xx: no content to a sentence, JSON to itself or to what the tool
// selects of it, text to text and other content to a resource.
func (c *call) success(ctx context.Context, answer *http.Response) Result {
	body, failure := c.body(answer)
	if failure != nil {
		return *failure
	}
	mediaType, charset := mediaTypeOf(answer)
	switch c.form(mediaType) {
	case AsJSON:
		return c.json(ctx, body, nil)
	case AsText:
		return c.text(body, charset)
	case AsBinary:
		return c.binary(body, mediaType)
	case AsSent:
	}
	return c.notJSON()
}

// mediaTypeOf returns the media type of an answer and its charset in small
// letters; "" for what is not there or cannot be read.
func mediaTypeOf(answer *http.Response) (mediaType, charset string) {
	mediaType, parameters, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil {
		return "", ""
	}
	return mediaType, strings.ToLower(parameters["charset"])
}

// body returns the body of an answer, or the result that there is without one.
func (c *call) body(answer *http.Response) (body []byte, without *Result) {
	body, err := c.read(answer)
	var result Result
	switch {
	case err != nil:
		c.outcome = "unreadable"
		result = c.toolError(fmt.Sprintf("The API %q did not deliver an answer within the %d bytes allowed.", c.upstream.Name, c.upstream.MaxResponse))
	case len(bytes.TrimSpace(body)) > 0:
		return body, nil
	case c.tool.output != nil: // a client waits for structured content
		c.outcome = "output_schema"
		result = c.toolError(fmt.Sprintf("The API %q did it and answered without content (%s), which is not what the tool's output schema says.", c.upstream.Name, c.named()))
	default:
		c.outcome = "ok"
		result = Result{Text: fmt.Sprintf("The API %q did it and answered without content (%s).", c.upstream.Name, c.named())}
	}
	return nil, &result
}

// form decides what an answer is taken for; AsSent for one that makes no result.
// A web page is what a proxy or a sign-in says instead of an API, so it is text
// only for a tool that declares so.
func (c *call) form(mediaType string) Form {
	response := c.tool.response
	switch {
	case response.As != AsSent:
		return response.As
	case isJSON(mediaType):
		return AsJSON
	case response.onlyJSON() || c.tool.output != nil || mediaType == "" || mediaType == "text/html" || mediaType == "application/xhtml+xml":
		return AsSent
	case strings.HasPrefix(mediaType, "text/"), strings.HasSuffix(mediaType, "+xml"), slices.Contains(textTypes, mediaType):
		return AsText
	default:
		return AsBinary
	}
}

// textTypes are text although their names do not say so.
var textTypes = []string{"application/xml", "application/yaml", "application/x-yaml", "application/x-ndjson", "application/javascript", "application/sql"}

func (c *call) notJSON() Result {
	c.outcome = "not_json"
	return c.toolError(fmt.Sprintf("The API %q answered with something else than JSON (%s).", c.upstream.Name, c.named()))
}

// json makes a result of valid JSON. Nothing of it is written anew unless the
// tool selects or limits.
func (c *call) json(ctx context.Context, body []byte, left missing) Result {
	if err := strictjson.Check(body, maxResultDepth); err != nil {
		c.outcome = "not_json"
		return c.toolError(fmt.Sprintf("The API %q answered with JSON that is not valid or nests deeper than %d (%s).", c.upstream.Name, maxResultDepth, c.named()))
	}
	response := c.tool.response
	if response.filter != nil {
		selected, err := response.filter.Apply(ctx, body)
		if err != nil {
			c.outcome = "not_selected"
			return c.toolError(fmt.Sprintf("The answer of the API %q could not be read as the tool does it: %v.", c.upstream.Name, err))
		}
		body = selected
	}
	if response.MaxItems > 0 {
		cut, dropped := shape.Items(body, response.MaxItems)
		if dropped > 0 {
			left.add("%d further items were left out", dropped)
		}
		body = cut
	}
	if response.MaxBytes > 0 {
		fitting, cut := shape.Fit(body, response.MaxBytes)
		if fitting == nil || cut && !c.conforms(fitting) {
			c.outcome = "too_large"
			return c.toolError(fmt.Sprintf("The answer of the API %q is larger than the %d bytes allowed and cannot be shortened; ask for less at a time.", c.upstream.Name, response.MaxBytes))
		}
		if cut {
			left.add("it was cut to %d bytes", len(fitting))
		}
		body = fitting
	}
	if !c.conforms(body) {
		c.outcome = "output_schema"
		return c.toolError(fmt.Sprintf("The API %q answered with JSON that does not match the tool's output schema.", c.upstream.Name))
	}
	c.outcome = "ok"
	return Result{Text: string(body), Structured: body, Content: annotated(string(body), left)}
}

// annotated returns a text and, behind it, what is missing in it; nil when
// nothing is.
func annotated(text string, left missing) []json.RawMessage {
	if len(left) == 0 {
		return nil
	}
	return []json.RawMessage{textBlock(text), textBlock(left.note())}
}

func textBlock(text string) json.RawMessage {
	return block(map[string]any{"type": "text", "text": text})
}

// block writes a content block without escapes for HTML.
func block(content map[string]any) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(content) // maps of strings always encode, and a Buffer takes them
	return bytes.TrimSpace(b.Bytes())
}

// text makes a result of text.
func (c *call) text(body []byte, charset string) Result {
	latin1 := charset == "iso-8859-1"
	if charset != "" && !latin1 && charset != "utf-8" && charset != "us-ascii" {
		c.outcome = "not_readable"
		return c.toolError(fmt.Sprintf("The API %q answered with text in a character set that this server does not read; it reads UTF-8 and ISO-8859-1.", c.upstream.Name))
	}
	text, left := shape.Text(body, latin1), missing(nil)
	if limit := c.tool.response.MaxBytes; limit > 0 {
		var cut bool
		if text, cut = shape.FitText(text, limit); cut {
			left.add("it was cut to %d bytes", len(text))
		}
	}
	c.outcome = "ok"
	return Result{Text: text, Content: annotated(text, left)}
}

// imageTypes are the images that models see; others are resources.
var imageTypes = []string{"image/png", "image/jpeg", "image/gif", "image/webp"}

// binary makes a result of content that is no text: an image, or a resource that
// comes along and is named by its hash (RFC 6920 section 3). Part of it would be
// worth nothing, so what is too large is an error.
func (c *call) binary(body []byte, mediaType string) Result {
	if limit := c.tool.response.MaxBytes; limit > 0 && len(body) > limit {
		c.outcome = "too_large"
		return c.toolError(fmt.Sprintf("The API %q answered with %d bytes; at most %d are allowed.", c.upstream.Name, len(body), limit))
	}
	if mediaType == "" {
		mediaType = contentTypes[BodyBinary]
	}
	data := base64.StdEncoding.EncodeToString(body)
	content := map[string]any{"type": "image", "data": data, "mimeType": mediaType}
	if !slices.Contains(imageTypes, mediaType) {
		hash := sha256.Sum256(body)
		content = map[string]any{"type": "resource", "resource": map[string]string{
			"uri": "ni:///sha-256;" + base64.RawURLEncoding.EncodeToString(hash[:]), "mimeType": mediaType, "blob": data,
		}}
	}
	c.outcome = "ok"
	return Result{Text: fmt.Sprintf("%d bytes of %s", len(body), mediaType), Content: []json.RawMessage{block(content)}}
}
