package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/ninefold/ninefold/moderation/calibrate"
)

// calibrateCmd finds thresholds from labelled scores.
type calibrateCmd struct {
	Scores      string  `arg:"" help:"CSV file with the header id,label,score; label is explicit or safe, score what classify printed for the category, 0 to 1; - = standard input." placeholder:"scores.csv"`
	Recall      float64 `help:"Share of the explicit pictures that must reach the low threshold, which two pictures of a video near each other must reach." default:"0.95"`
	FalseAlarms float64 `help:"Share of the harmless pictures that may reach the high threshold, where one frame decides." default:"0.01"`
	Plot        string  `help:"PNG file to draw the ROC curve, recall and precision into; none = draw nothing." default:"calibration.png" placeholder:"FILE"`
	JSON        bool    `help:"Print the report as JSON, the ROC curve's points included."`
}

// Help says how to come by the file.
func (calibrateCmd) Help() string {
	return `Score your own lawful, labelled set with "ninefold classify --json FILE..." and write one line a picture: an id of your
choice, what the picture is, and the score of the category. Nothing but this file is read. Precision, the share of alarms that are
right, is printed for 0.1 % and 1 % of explicit media in your traffic, whatever the set holds. Write the thresholds it suggests into
the policy file, or the model's manifest.json; facts found with other thresholds are then found again.`
}

func (c *calibrateCmd) Run(a *app) error {
	targets := calibrate.Targets{Recall: c.Recall, FalseAlarms: c.FalseAlarms}
	if err := targets.Validate(); err != nil {
		return &exitError{exitUsage, err}
	}
	scores, err := c.read()
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("%s: %w", c.Scores, err)}
	}
	report, err := calibrate.Calibrate(scores, targets)
	if err != nil {
		return &exitError{exitUsage, fmt.Errorf("%s: %w", c.Scores, err)}
	}
	if err := c.plot(report); err != nil {
		return err
	}
	if c.JSON {
		return printJSON(a.stdout, report)
	}
	return printCalibration(a.stdout, report)
}

func (c *calibrateCmd) read() ([]calibrate.Score, error) {
	if c.Scores == "-" {
		return calibrate.Read(os.Stdin)
	}
	f, err := os.Open(c.Scores)
	if err != nil {
		return nil, errors.Unwrap(err) // the file is named already
	}
	defer f.Close()
	return calibrate.Read(f)
}

func (c *calibrateCmd) plot(r calibrate.Report) error {
	if c.Plot == "none" {
		return nil
	}
	f, err := os.Create(c.Plot)
	if err != nil {
		return fmt.Errorf("--plot: %w", err)
	}
	return errors.Join(r.WritePlot(f), f.Close())
}

func printCalibration(w io.Writer, r calibrate.Report) error {
	fmt.Fprintf(w, "%d explicit and %d harmless pictures, AUC %.4f\n\n", r.Explicit, r.Harmless, r.AUC)
	fmt.Fprintf(w, "%-6s %9s %8s %13s %20s %20s\n", "", "threshold", "recall", "false alarms", "precision at 0.1 %", "precision at 1 %")
	printPoint(w, "low", r.Low)
	if r.High != nil {
		printPoint(w, "high", *r.High)
		fmt.Fprintf(w, "\npolicy file: thresholds: {\"explicit\": {\"low\": %g, \"high\": %g}}\n", r.Low.Threshold, r.High.Threshold)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, "note:", note)
	}
	return nil
}

func printPoint(w io.Writer, name string, p calibrate.Point) {
	fmt.Fprintf(w, "%-6s %9.4f %7.2f%% %12.3f%% %19.2f%% %19.2f%%\n", name, p.Threshold, 100*p.Recall, 100*p.FalseAlarms, 100*p.Precision[0], 100*p.Precision[1])
}
