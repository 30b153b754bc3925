package calibrate

import (
	"fmt"
	"image/color"
	"io"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The size of a plot, at 96 points an inch: 1200×520 pixels.
const (
	plotWidth  = 12.5 * vg.Inch
	plotHeight = 5.4 * vg.Inch
	plotDPI    = 96
)

// colours of the curves: recall, then one for each prevalence.
func colours() []color.Color {
	return []color.Color{color.NRGBA{R: 31, G: 90, B: 160, A: 255}, color.NRGBA{R: 190, G: 70, B: 20, A: 255}, color.NRGBA{R: 30, G: 130, B: 70, A: 255}}
}

// WritePlot draws the report as a PNG of 1200×520 pixels: the ROC curve with the suggested thresholds, and beside it what each threshold
// does to recall and to precision.
func (r Report) WritePlot(w io.Writer) error {
	roc, err := r.rocPlot()
	if err != nil {
		return err
	}
	sweep, err := r.sweepPlot()
	if err != nil {
		return err
	}
	img := vgimg.NewWith(vgimg.UseWH(plotWidth, plotHeight), vgimg.UseDPI(plotDPI))
	rows := [][]*plot.Plot{{roc, sweep}}
	tiles := draw.Tiles{Rows: 1, Cols: 2, PadX: vg.Points(24), PadTop: vg.Points(8), PadBottom: vg.Points(8), PadLeft: vg.Points(8), PadRight: vg.Points(16)}
	for i, c := range plot.Align(rows, tiles, draw.New(img))[0] {
		rows[0][i].Draw(c)
	}
	_, err = vgimg.PngCanvas{Canvas: img}.WriteTo(w)
	return err
}

func (r Report) rocPlot() (*plot.Plot, error) {
	title := fmt.Sprintf("ROC: %d explicit, %d harmless, AUC %.4f", r.Explicit, r.Harmless, r.AUC)
	p := unitPlot(title, "false alarms (share of harmless)", "recall (share of explicit)")
	curve := make(plotter.XYs, len(r.ROC))
	for i, at := range r.ROC {
		curve[i] = plotter.XY{X: at.FalseAlarms, Y: at.Recall}
	}
	if err := addLine(p, curve, colours()[0], ""); err != nil {
		return nil, err
	}
	if err := addMark(p, r.Low, "low", draw.RingGlyph{}); err != nil {
		return nil, err
	}
	if r.High != nil {
		return p, addMark(p, *r.High, "high", draw.CrossGlyph{})
	}
	return p, nil
}

// sweepPlot shows what happens as the threshold rises.
func (r Report) sweepPlot() (*plot.Plot, error) {
	p := unitPlot("What a threshold does", "threshold", "share")
	p.Legend.Top, p.Legend.Left, p.Legend.XOffs, p.Legend.YOffs = true, true, vg.Points(8), -vg.Points(24) // where no curve is: it rises late
	recall := make(plotter.XYs, 0, len(r.ROC))
	precision := make([]plotter.XYs, len(r.Prevalences))
	for _, at := range r.ROC[1:] {
		recall = append(recall, plotter.XY{X: at.Threshold, Y: at.Recall})
		for i := range precision {
			precision[i] = append(precision[i], plotter.XY{X: at.Threshold, Y: at.Precision[i]})
		}
	}
	if err := addLine(p, recall, colours()[0], "recall"); err != nil {
		return nil, err
	}
	for i, line := range precision {
		if err := addLine(p, line, colours()[i+1], fmt.Sprintf("precision at %g %% prevalence", 100*r.Prevalences[i])); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func unitPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	p.Legend.YOffs = vg.Points(12)
	p.Add(plotter.NewGrid())
	return p
}

func addLine(p *plot.Plot, at plotter.XYs, c color.Color, name string) error {
	line, err := plotter.NewLine(at)
	if err != nil {
		return err
	}
	line.Color, line.Width = c, vg.Points(1.5)
	p.Add(line)
	if name != "" {
		p.Legend.Add(name, line)
	}
	return nil
}

func addMark(p *plot.Plot, at Point, name string, shape draw.GlyphDrawer) error {
	mark, err := plotter.NewScatter(plotter.XYs{{X: at.FalseAlarms, Y: at.Recall}})
	if err != nil {
		return err
	}
	mark.Shape, mark.Radius = shape, vg.Points(5)
	p.Add(mark)
	p.Legend.Add(fmt.Sprintf("%s %.4f", name, at.Threshold), mark)
	return nil
}
