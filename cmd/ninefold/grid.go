package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	pretty "github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/sys/unix"
)

// grid is a table that is no wider than the terminal it is printed on: its widest columns are wrapped.
type grid struct {
	to     table.Writer
	most   int // columns of the terminal, 0 = no terminal: as wide as it gets
	widths []int
}

func newTable(w io.Writer, header ...any) *grid {
	g := &grid{to: table.NewWriter(), most: columns(w), widths: make([]int, len(header))}
	g.to.SetOutputMirror(w)
	g.to.SetStyle(table.StyleLight)
	g.to.AppendHeader(header)
	g.note(header)
	return g
}

// row adds a row with a cell for each column.
func (g *grid) row(cells ...any) {
	g.to.AppendRow(cells)
	g.note(cells)
}

func (g *grid) note(cells []any) {
	for i, c := range cells {
		g.widths[i] = max(g.widths[i], pretty.LongestLineLen(fmt.Sprint(c)))
	}
}

// separate draws a line below the rows so far.
func (g *grid) separate() { g.to.AppendSeparator() }

func (g *grid) print() {
	var configs []table.ColumnConfig
	for i, most := range g.fitting() {
		configs = append(configs, table.ColumnConfig{Number: i + 1, WidthMax: most, WidthMaxEnforcer: wrapCell})
	}
	g.to.SetColumnConfigs(configs)
	g.to.Render()
}

// leastColumn is what a column keeps, however narrow the terminal.
const leastColumn = 6

// fitting returns the columns' widths, the widest cut first until the table fits.
func (g *grid) fitting() []int {
	widths, room := append([]int(nil), g.widths...), g.most-3*len(g.widths)-1 // a frame, and a blank on both sides of each cell
	for g.most > 0 {
		sum, widest := 0, 0
		for i, w := range widths {
			sum += w
			if w > widths[widest] {
				widest = i
			}
		}
		if sum <= room || widths[widest] <= leastColumn {
			break
		}
		widths[widest]--
	}
	return widths
}

// wrapCell breaks at blanks, and inside of words that are too long.
func wrapCell(cell string, most int) string {
	var lines []string
	for line := range strings.SplitSeq(cell, "\n") {
		lines = append(lines, strings.TrimRight(pretty.WrapSoft(line, most), " "))
	}
	return strings.Join(lines, "\n")
}

// columns is how wide the terminal is, 0 where w is none.
func columns(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return 0
	}
	return int(size.Col)
}
