package conformance

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"image"
	"image/png"

	"tecrolabs.dev/oauth-mcp-server/internal/mcp"
	"tecrolabs.dev/oauth-mcp-server/internal/tool"
)

// contentTools answer with every kind of content block.
func contentTools() []fixtureTool {
	answer := func(name, description string, blocks ...json.RawMessage) fixtureTool {
		return fixtureTool{define(name, description, anyObject), func(context.Context, map[string]any) (tool.Result, error) {
			return tool.Result{Content: blocks}, nil
		}}
	}
	return []fixtureTool{
		{define("test_simple_text", "Answers with a text", anyObject), says("This is a simple text response for testing.")},
		answer("test_image_content", "Answers with an image", imageBlock()),
		answer("test_audio_content", "Answers with a sound", audioBlock()),
		answer("test_embedded_resource", "Answers with a resource",
			resourceBlock("test://embedded-resource", "This is an embedded resource content.")),
		answer("test_multiple_content_types", "Answers with a text, an image and a resource",
			textBlock("Multiple content types test:"), imageBlock(),
			resourceBlock("test://mixed-content-resource", `{"test":"data","value":123}`)),
		{define("test_error_handling", "Fails on purpose", anyObject), func(context.Context, map[string]any) (tool.Result, error) {
			return tool.Result{Text: "This tool intentionally returns an error for testing", IsError: true}, nil
		}},
	}
}

// says is a tool that answers with the same text always.
func says(answer string) func(context.Context, map[string]any) (tool.Result, error) {
	return func(context.Context, map[string]any) (tool.Result, error) { return tool.Result{Text: answer}, nil }
}

// exchangeTools speak before they answer.
func exchangeTools() []fixtureTool {
	return []fixtureTool{
		{define("test_tool_with_logging", "Logs three messages", anyObject), func(ctx context.Context, _ map[string]any) (tool.Result, error) {
			for _, message := range []string{"Tool execution started", "Tool processing data", "Tool execution completed"} {
				mcp.ExchangeFrom(ctx).Log("info", "conformance", message)
			}
			return tool.Result{Text: "Three messages were logged."}, nil
		}},
		{define("test_tool_with_progress", "Reports progress three times", anyObject), func(ctx context.Context, _ map[string]any) (tool.Result, error) {
			for _, progress := range []float64{0, 50, 100} {
				mcp.ExchangeFrom(ctx).Progress(progress, 100, "step by step")
			}
			return tool.Result{Text: "Progress was reported three times."}, nil
		}},
		{define("test_streaming_elicitation", "Streams notifications and nothing else before its answer", anyObject), func(ctx context.Context, _ map[string]any) (tool.Result, error) {
			mcp.ExchangeFrom(ctx).Progress(1, 1, "under way")
			return tool.Result{Text: "The stream had notifications only."}, nil
		}},
		{define("test_logging_tool", "Logs a message if the client asked for logs", anyObject), func(ctx context.Context, _ map[string]any) (tool.Result, error) {
			mcp.ExchangeFrom(ctx).Log("info", "conformance", "for those who asked")
			return tool.Result{Text: "A message was logged, if anybody wanted it."}, nil
		}},
	}
}

// schemaTools have input schemas that must reach the client as they are.
func schemaTools() []fixtureTool {
	return []fixtureTool{
		{define("json_schema_2020_12_tool", "Uses much of JSON Schema 2020-12", `{
			"$schema": "https://json-schema.org/draft/2020-12/schema",
			"type": "object",
			"$defs": {"address": {
				"$anchor": "addressDef", "type": "object",
				"properties": {"street": {"type": "string"}, "city": {"type": "string"}}
			}},
			"properties": {
				"name": {"type": "string"},
				"address": {"$ref": "#/$defs/address"},
				"contactMethod": {"type": "string", "enum": ["phone", "email"]},
				"phone": {"type": "string"},
				"email": {"type": "string"}
			},
			"allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
			"if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
			"then": {"required": ["phone"]},
			"else": {"required": ["email"]},
			"additionalProperties": false
		}`), says("The arguments were taken.")},
		{define("test_x_mcp_header", "Has a parameter that is mirrored into a header", `{
			"type": "object",
			"properties": {
				"region": {"type": "string", "x-mcp-header": "Region"},
				"level": {"type": "integer"}
			}
		}`), func(_ context.Context, arguments map[string]any) (tool.Result, error) {
			return tool.Result{Text: "region=" + text(arguments, "region")}, nil
		}},
	}
}

func textBlock(value string) json.RawMessage {
	return encode(map[string]any{"type": "text", "text": value})
}

func imageBlock() json.RawMessage {
	return encode(map[string]any{"type": "image", "data": pixel(), "mimeType": "image/png"})
}

func audioBlock() json.RawMessage {
	return encode(map[string]any{"type": "audio", "data": silence(), "mimeType": "audio/wav"})
}

func resourceBlock(uri, content string) json.RawMessage {
	return encode(map[string]any{
		"type":     "resource",
		"resource": map[string]any{"uri": uri, "mimeType": "text/plain", "text": content},
	})
}

// pixel is a picture of one pixel.
func pixel() []byte {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 1, 1))); err != nil {
		panic(err) // writing to memory does not fail
	}
	return picture.Bytes()
}

// silence is a WAV file of one sample.
func silence() []byte {
	const rate, sampleBytes = 8000, 2
	var file []byte
	file = append(file, "RIFF"...)
	file = binary.LittleEndian.AppendUint32(file, 36+sampleBytes)
	file = append(file, "WAVEfmt "...)
	file = binary.LittleEndian.AppendUint32(file, 16)
	file = binary.LittleEndian.AppendUint16(file, 1) // PCM
	file = binary.LittleEndian.AppendUint16(file, 1) // mono
	file = binary.LittleEndian.AppendUint32(file, rate)
	file = binary.LittleEndian.AppendUint32(file, rate*sampleBytes)
	file = binary.LittleEndian.AppendUint16(file, sampleBytes)
	file = binary.LittleEndian.AppendUint16(file, 8*sampleBytes)
	file = append(file, "data"...)
	file = binary.LittleEndian.AppendUint32(file, sampleBytes)
	return binary.LittleEndian.AppendUint16(file, 0)
}
