package imports

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// manyOperations is how many operations the documents of the benchmarks have.
const manyOperations = 5000

// largeDocument has that many operations, each with parameters, a body and a
// recursive schema.
func largeDocument() string {
	var b strings.Builder
	b.WriteString(`openapi: 3.1.0
info: {title: Everything, version: "1"}
servers: [{url: https://pets.example.com/v1}]
components:
  schemas:
    Part: {type: object, properties: {name: {type: string}, parts: {type: array, items: {$ref: "#/components/schemas/Part"}}}}
paths:
`)
	for i := range manyOperations {
		fmt.Fprintf(&b, `  /things%d/{id}:
    put:
      operationId: changeThing%d
      tags: [group%d]
      summary: Change the thing number %d
      parameters:
        - {name: id, in: path, required: true, schema: {type: string, maxLength: 40}, description: Which thing}
        - {name: fields, in: query, schema: {type: array, items: {type: string}}, description: What to answer}
      requestBody: {content: {application/json: {schema: {type: object, properties: {part: {$ref: "#/components/schemas/Part"}, note: {type: string}}}}}}
      responses: {"200": {description: The thing}}
`, i, i, i/40, i)
	}
	return b.String()
}

// BenchmarkResolve imports forty tools of five thousand operations, or makes all
// of them searchable. The metric of memory is what stays.
func BenchmarkResolve(b *testing.B) {
	directory := b.TempDir()
	write(b, directory, "large.yaml", largeDocument())
	for name, entry := range map[string]string{"tools": "include: {tags: [group7]}", "search": "offer: search"} {
		b.Run(name, func(b *testing.B) {
			var stays int64
			for b.Loop() {
				before := heap()
				result, err := resolve(b, directory, nil, "from: large.yaml, "+entry)
				if err != nil {
					b.Fatal(err)
				}
				stays = heap() - before
				runtime.KeepAlive(result)
			}
			b.ReportMetric(float64(stays)/(1<<20), "MiB-stay")
		})
	}
}

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// BenchmarkSearch finds operations by words that few have, and that all have.
func BenchmarkSearch(b *testing.B) {
	d := searched(b, largeDocument(), "")
	for name, query := range map[string]string{"few": "changeThing4711", "all": "change thing"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if found := d.Search(query, 5, all); len(found) == 0 {
					b.Fatal("nothing")
				}
			}
		})
	}
}
