package main

import (
	"bytes"
	"encoding/json"
	"os"

	"github.com/vmware/govmomi/vim25/types"
)

// What the manager remembers where it is started again.
type inventory struct {
	Next   int64
	Fields []types.CustomFieldDef
	Guests map[string]*kept
}

// A line of its file: a guest, or all else. Of one thing the last line counts.
type line struct {
	Next   int64                  `json:"next,omitempty"`
	Fields []types.CustomFieldDef `json:"fields,omitempty"`
	Name   string                 `json:"name,omitempty"`
	Guest  *kept                  `json:"guest,omitempty"`
}

// False where there is no file yet. A last line that was cut short was promised to nobody.
func (w *world) load() (bool, error) {
	text, err := os.ReadFile(w.file)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	lines := bytes.Split(text, []byte("\n"))
	for _, each := range lines[:len(lines)-1] {
		var said line
		if err := json.Unmarshal(each, &said); err != nil {
			return false, err
		}
		if said.Guest != nil {
			w.kept.Guests[said.Name] = said.Guest
		} else {
			w.kept.Next, w.kept.Fields = said.Next, said.Fields
		}
	}
	return true, w.rewrite()
}

// The whole file anew.
func (w *world) rewrite() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var text bytes.Buffer
	all := json.NewEncoder(&text)
	if err := all.Encode(line{Next: w.kept.Next, Fields: w.kept.Fields}); err != nil {
		return err
	}
	for name, each := range w.kept.Guests {
		if err := all.Encode(line{Name: name, Guest: each}); err != nil {
			return err
		}
	}
	next := w.file + ".new"
	if err := os.WriteFile(next, text.Bytes(), 0o600); err != nil {
		return err
	}
	return os.Rename(next, w.file)
}

// What has changed since the last time.
func (w *world) save() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.counted && len(w.changed) == 0 {
		return nil
	}
	var text bytes.Buffer
	all := json.NewEncoder(&text)
	if w.counted {
		if err := all.Encode(line{Next: w.kept.Next, Fields: w.kept.Fields}); err != nil {
			return err
		}
	}
	for name := range w.changed {
		if err := all.Encode(line{Name: name, Guest: w.kept.Guests[name]}); err != nil {
			return err
		}
	}
	w.counted, w.changed = false, map[string]bool{}
	file, err := os.OpenFile(w.file, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := file.Write(text.Bytes()); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// What each session gets a copy of.
func sessionCollector() *Collector {
	made := &Collector{}
	made.Self = content().PropertyCollector
	return made
}
