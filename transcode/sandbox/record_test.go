package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"testing"
)

// long says that campaigns run in their long form: make hostile.
func long() bool { return os.Getenv("NINEFOLD_LONG") != "" }

// record prints one row of a campaign, as JSON, in the long form.
func record(t *testing.T, campaign, row string, figures map[string]any) {
	t.Helper()
	if !long() {
		return
	}
	line := map[string]any{"campaign": campaign, "row": row}
	maps.Copy(line, figures)
	data, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(data))
}
