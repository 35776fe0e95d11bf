package btfleet

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// place is the folder that files are put into, once they are whole.
type place struct {
	dir   string
	whole []whole
}

type whole struct{ temporary, path string }

func newPlace(dir string) (*place, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("btfleet: %w", err)
	}
	return &place{dir: dir}, nil
}

// add gives the path of what has this digest: of the file that is there, or that will be there at commit. fill
// writes it, and fails if it is not what it should be.
func (p *place) add(name, digest string, fill func(io.Writer) error) (string, error) {
	path := filepath.Join(p.dir, name)
	if there, err := digestOf(path); err == nil && there == digest {
		return path, nil
	}
	file, err := os.CreateTemp(p.dir, "."+name+"-*")
	if err != nil {
		return "", fmt.Errorf("btfleet: %w", err)
	}
	defer file.Close()
	p.whole = append(p.whole, whole{file.Name(), path})
	if err := fill(file); err != nil {
		return "", err
	}
	// Another user's compiler may read it.
	if err = file.Chmod(0o644); err == nil {
		err = file.Sync()
	}
	if err != nil {
		return "", fmt.Errorf("btfleet: %w", err)
	}
	return path, nil
}

// commit gives the files their names.
func (p *place) commit() error {
	for len(p.whole) > 0 {
		if err := os.Rename(p.whole[0].temporary, p.whole[0].path); err != nil {
			return fmt.Errorf("btfleet: %w", err)
		}
		p.whole = p.whole[1:]
	}
	return nil
}

// clear removes what was not committed.
func (p *place) clear() {
	for _, file := range p.whole {
		_ = os.Remove(file.temporary)
	}
}
