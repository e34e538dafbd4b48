package apptest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

// auditSchema is the published schema of audit records.
var auditSchema = sync.OnceValues(func() (*jsonschema.Resolved, error) {
	_, here, _, _ := runtime.Caller(0)
	text, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "..", "docs", "audit.schema.json"))
	if err != nil {
		return nil, err
	}
	var schema jsonschema.Schema
	if err := json.Unmarshal(text, &schema); err != nil {
		return nil, err
	}
	return schema.Resolve(nil)
})

// ValidateRecord holds one audit record against docs/audit.schema.json.
func ValidateRecord(line string) error {
	schema, err := auditSchema()
	if err != nil {
		return err
	}
	var record any
	if err := json.Unmarshal([]byte(line), &record); err != nil {
		return err
	}
	return schema.Validate(record)
}

// Records returns the audit records among the log lines, oldest first.
func Records(logs string) []string {
	var records []string
	for line := range strings.Lines(logs) {
		if strings.Contains(line, `"audit":true`) {
			records = append(records, strings.TrimSpace(line))
		}
	}
	return records
}

func invalidRecords(logs string) []string {
	var problems []string
	for _, record := range Records(logs) {
		if err := ValidateRecord(record); err != nil && len(problems) < maxLeaks {
			problems = append(problems, fmt.Sprintf("%v in %s", err, record))
		}
	}
	return problems
}
