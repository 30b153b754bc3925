package reprocess

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/ninefold/ninefold/pipeline"
)

// JournalSchema is the schema name of a journal's first line.
const JournalSchema = "ninefold.reprocess/1"

// Header is the first line of a journal: what the run is about.
type Header struct {
	Schema    string             `json:"schema"`
	Run       string             `json:"run"` // its id
	StartedAt time.Time          `json:"started_at"`
	Store     string             `json:"store"`
	Selection Selection          `json:"selection"`
	Order     pipeline.RedoOrder `json:"order"` // without job and run
	DryRun    bool               `json:"dry_run,omitempty"`
	Engine    string             `json:"engine,omitempty"` // what does the work, where it is this process: version, profile, policy and model
}

// Digest names what the run is about; runs of the same digest continue each other.
func (h Header) Digest() string {
	h.Schema, h.Run, h.StartedAt = "", "", time.Time{}
	return digestOf(h)
}

// Entry is one finished message.
type Entry struct {
	Position string           `json:"position"`
	Floor    string           `json:"floor"` // everything up to this position is done
	JobID    string           `json:"job_id"`
	At       time.Time        `json:"at"`
	Outcome  pipeline.Outcome `json:"outcome"`
	Code     pipeline.Code    `json:"code,omitempty"`
	Why      string           `json:"why,omitempty"`
	Number   int              `json:"number,omitempty"` // of the manifest in force
	Change   pipeline.Change  `json:"change"`

	LeftRejected int `json:"left_rejected,omitempty"` // parts
}

// end is the last line of a journal whose run came to its end.
type end struct {
	Finished *time.Time `json:"finished,omitempty"`
}

// Journal is a file of one line a finished message, each on the disk before the next message counts. Exactly one process writes it.
type Journal struct {
	Header Header

	mu       sync.Mutex
	file     *os.File
	finished bool
	floor    string
	ahead    map[string]bool // positions after floor that are done
	done     int
}

// errJournal marks a journal that cannot be continued.
var errJournal = errors.New("journal")

// OpenJournal continues the journal at path, or begins one with h where there is none. One that is about something else, or in use, is an
// error; one whose run has ended is put aside, under its run's id.
func OpenJournal(path string, h Header, resume bool) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w %s is in use by another reprocess", errJournal, path), f.Close())
	}
	j := &Journal{file: f, ahead: map[string]bool{}}
	if err := j.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("%w %s: %w; name another with --journal, or remove it", errJournal, path, err), f.Close())
	}
	switch {
	case j.Header.Run == "":
		return j, j.begin(h)
	case j.finished || !resume:
		return aside(path, j, h)
	case j.Header.Digest() != h.Digest():
		return nil, errors.Join(fmt.Errorf("%w %s is of another selection, other settings or another version; name another with --journal, or "+
			"begin anew with --no-resume", errJournal, path), f.Close())
	}
	return j, nil
}

// aside keeps an old journal under its run's id and begins a new one in its place.
func aside(path string, old *Journal, h Header) (*Journal, error) {
	if err := errors.Join(os.Rename(path, path+"."+old.Header.Run), old.Close()); err != nil {
		return nil, err
	}
	return OpenJournal(path, h, true)
}

func (j *Journal) begin(h Header) error {
	j.Header = h
	return j.write(h)
}

// load reads what is there and cuts off a last line that a crash has left unfinished.
func (j *Journal) load() error {
	var whole int64
	lines := bufio.NewReader(j.file)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if err := j.take(line); err != nil {
			return err
		}
		whole += int64(len(line))
	}
	if err := j.file.Truncate(whole); err != nil {
		return err
	}
	_, err := j.file.Seek(whole, io.SeekStart)
	return err
}

func (j *Journal) take(line []byte) error {
	if j.Header.Run == "" {
		if err := json.Unmarshal(line, &j.Header); err != nil || j.Header.Schema != JournalSchema || j.Header.Run == "" {
			return fmt.Errorf("it does not begin as a journal does")
		}
		return nil
	}
	var e struct {
		Entry
		end
	}
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("a line is damaged: %w", err)
	}
	if e.Finished != nil {
		j.finished = true
		return nil
	}
	j.note(e.Entry)
	return nil
}

// note keeps in mind what a resumed run needs: a floor, and the few messages that are done beyond it.
func (j *Journal) note(e Entry) {
	j.done++
	j.ahead[e.Position] = true
	if e.Floor <= j.floor {
		return
	}
	j.floor = e.Floor
	for position := range j.ahead {
		if position <= j.floor {
			delete(j.ahead, position)
		}
	}
}

// Done is how many messages are in the journal.
func (j *Journal) Done() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.done
}

func (j *Journal) has(position string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return position <= j.floor || j.ahead[position]
}

// add writes a finished message to the disk.
func (j *Journal) add(e Entry) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.note(e)
	return j.write(e)
}

// finish says that the run came to its end.
func (j *Journal) finish(at time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.finished = true
	return j.write(end{&at})
}

func (j *Journal) write(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if _, err := j.file.Write(append(data, '\n')); err != nil {
		return err
	}
	return j.file.Sync()
}

// each reads the finished messages back, from the beginning, one in memory.
func (j *Journal) each(fn func(Entry) error) error {
	f, err := os.Open(j.file.Name())
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewReader(f)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		var e Entry
		if json.Unmarshal(line, &e) != nil || e.Position == "" {
			continue // the header and the end
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

// Path is where the journal lies.
func (j *Journal) Path() string { return j.file.Name() }

// Close releases the file.
func (j *Journal) Close() error { return j.file.Close() }

// Remove takes a journal away that nobody needs: of a run that had nothing to do, or of a dry run.
func (j *Journal) Remove() error { return os.Remove(j.file.Name()) }
