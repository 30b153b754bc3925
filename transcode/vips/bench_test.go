package vips

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/ninefold/ninefold/pipeline"
	"github.com/ninefold/ninefold/transcode"
)

// BenchmarkRender reports the whole path of a photo, probe to verified files, with the CPU it took.
func BenchmarkRender(b *testing.B) {
	for _, name := range []string{"phone-portrait-gps.jpg", "iphone.heic"} {
		b.Run(name, func(b *testing.B) {
			data, err := os.ReadFile(filepath.Join(fixtures, "photo", name))
			if err != nil {
				b.Skipf("the fixture is absent: %v", err)
			}
			typ, _ := pipeline.Sniff(data)
			dir := b.TempDir()
			f := pipeline.File{Path: "source" + typ.Ext, Type: typ, Size: int64(len(data))}
			if err := os.WriteFile(filepath.Join(dir, f.Path), data, 0o600); err != nil {
				b.Fatal(err)
			}
			before := cpu()
			for i := 0; b.Loop(); i++ {
				benchOne(b, dir, "out"+strconv.Itoa(i), f)
			}
			b.ReportMetric((cpu()-before)/float64(b.N)*1000, "cpu-ms/op")
		})
	}
}

func benchOne(b *testing.B, dir, out string, f pipeline.File) {
	m, err := Probe(filepath.Join(dir, f.Path), f.Type)
	if err != nil {
		b.Fatal(err)
	}
	plan, err := transcode.NewPlan(pipeline.Item{Kind: pipeline.KindPhoto}, m, transcode.DefaultProfile())
	if err != nil {
		b.Fatal(err)
	}
	r, err := Render(context.Background(), dir, out, f, plan.Photo, tools{})
	if err != nil {
		b.Fatal(err)
	}
	for _, x := range r.Part.Renditions {
		if err := Verify(dir, x); err != nil {
			b.Fatal(err)
		}
	}
}

// cpu is the process's own time so far, user and system, in seconds.
func cpu() float64 {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}
