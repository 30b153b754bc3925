package main

import (
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ninefold/ninefold/moderation/calibrate"
)

// labelled writes a set whose kinds overlap between 0.4 and 0.6.
func labelled(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("id,label,score\n")
	for i := range 500 {
		fmt.Fprintf(&b, "e%d,explicit,%.4f\nh%d,safe,%.4f\n", i, 0.4+0.6*float64(i)/499, i, 0.6*float64(i)/499)
	}
	path := filepath.Join(dir, "scores.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCalibrate(t *testing.T) {
	dir := t.TempDir()
	file, plot := labelled(t, dir), filepath.Join(dir, "roc.png")
	text := call(t.Context(), "models", "calibrate", file, "--plot", plot).want(t, exitOK).stdout
	for _, want := range []string{"500 explicit and 500 harmless", "precision at 0.1 %", `{"low": 0.4`, `"high": 0.59`} {
		if !strings.Contains(text, want) {
			t.Errorf("printed without %q:\n%s", want, text)
		}
	}
	f, err := os.Open(plot)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	var r calibrate.Report
	out := call(t.Context(), "models", "calibrate", file, "--plot", "none", "--json", "--recall", "0.5").want(t, exitOK).stdout
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.AUC < 0.9 || r.Low.Threshold < 0.69 || len(r.ROC) < 500 {
		t.Errorf("report with AUC %v, low %+v, %d points", r.AUC, r.Low, len(r.ROC))
	}
}

func TestCalibrateRefuses(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.csv")
	if err := os.WriteFile(bad, []byte("id,label,score\na,safe,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{bad}, "bad.csv: line 2: score: want a number from 0 to 1"},
		{[]string{filepath.Join(dir, "absent.csv")}, "absent.csv: no such file"},
		{[]string{dir}, "is a directory"},
		{[]string{labelled(t, dir), "--recall", "1.5"}, "recall: want a share"},
	} {
		r := call(t.Context(), append([]string{"models", "calibrate", "--plot", "none"}, c.args...)...).want(t, exitUsage)
		if !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: said %q, want %q", c.args, r.stderr, c.want)
		}
	}
}
