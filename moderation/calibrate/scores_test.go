package calibrate

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

func TestRead(t *testing.T) {
	got, err := Read(strings.NewReader("\ufeffID, Label ,score\r\na,explicit,0.9\r\n\"b, c\",SFW, 0\r\nd,1,1e-3\r\n"))
	want := []Score{{"a", true, 0.9}, {"b, c", false, 0}, {"d", true, 0.001}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v %v, want %v", got, err, want)
	}
}

func TestReadRefuses(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, c := range map[string]struct{ text, want string }{
		"nothing":              {"", "empty"},
		"no header":            {"a,explicit,0.5\n", "line 1: want the header id,label,score"},
		"columns exchanged":    {"id,score,label\n", "line 1"},
		"a field more":         {"id,label,score\na,safe,0.5,x\n", "line 2: want 3 fields"},
		"a field less":         {"id,label,score\na,safe,0.5\nb,safe\n", "line 3: want 3 fields"},
		"another label":        {"id,label,score\na,perhaps,0.5\n", "line 2: label: want explicit or safe"},
		"a long label":         {"id,label,score\na," + long + ",0.5\n", "…"},
		"no id":                {"id,label,score\n ,safe,0.5\n", "line 2: id: empty"},
		"an id twice":          {"id,label,score\na,safe,0.5\nb,safe,0.5\na,safe,0.5\n", "line 4: id \"a\" is on line 2 already"},
		"per cent":             {"id,label,score\na,safe,50%\n", "line 2: score"},
		"a decimal comma":      {"id,label,score\na,safe,\"0,5\"\n", "line 2: score"},
		"above 1":              {"id,label,score\na,safe,1.0001\n", "line 2: score"},
		"below 0":              {"id,label,score\na,safe,-0.1\n", "line 2: score"},
		"NaN":                  {"id,label,score\na,safe,NaN\n", "line 2: score"},
		"infinity":             {"id,label,score\na,safe,Inf\n", "line 2: score"},
		"an open quote":        {"id,label,score\na,safe,0.5\n\"b,safe,0.5\n", "line 3: no CSV"},
		"a quote in a field":   {"id,label,score\na\"b,safe,0.5\n", "line 2: no CSV"},
		"a picture":            {"\x89PNG\r\n\x1a\n\x00\x00", "line 1"},
		"a formula as a score": {"id,label,score\na,safe,=1+1\n", "line 2: score"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if len(err.Error()) > 200 || !utf8.ValidString(err.Error()) {
				t.Errorf("a message of %d bytes: %q", len(err.Error()), err)
			}
		})
	}
}

func TestReadFails(t *testing.T) {
	broken := errors.New("the disk is broken")
	r := io.MultiReader(strings.NewReader("id,label,score\na,safe,0.5\n"), iotest.ErrReader(broken))
	if _, err := Read(r); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("id,label,score\na,explicit,0.9\nb,safe,0.1\n")
	f.Fuzz(func(t *testing.T, text string) {
		scores, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		if r, err := Calibrate(scores, DefaultTargets()); err == nil && (r.AUC < 0 || r.AUC > 1 || r.Low.Recall < r.Targets.Recall) {
			t.Errorf("report %+v", r)
		}
	})
}
