package main

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine is where and with what a run was made.
type machine struct {
	Processor string    `json:"processor"`
	Cores     int       `json:"cores"`
	System    string    `json:"system"`
	Go        string    `json:"go"`
	Load      string    `json:"load"` // before the run, "" = not known: what else the machine does
	When      time.Time `json:"when"`
	Modules   []string  `json:"modules"` // the libraries that are compared
}

func thisMachine() machine {
	m := machine{
		Processor: firstField("/proc/cpuinfo", "model name"), Cores: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Go: runtime.Version(), When: time.Now().UTC().Truncate(time.Minute), Modules: peers(),
	}
	if text, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load, _, _ = strings.Cut(string(text), " ")
	}
	return m
}

// String is the machine in one line.
func (m machine) String() string {
	s := m.processor() + ", " + m.System + ", " + m.Go + ", " + m.When.Format("2006-01-02 15:04 MST")
	if m.Load != "" {
		s += ", load " + m.Load + " before the run"
	}
	return s
}

func (m machine) processor() string {
	s := fmt.Sprintf("%d cores", m.Cores)
	if m.Processor != "" {
		s += " of " + m.Processor
	}
	return s
}

// firstField is the value of the first line "name : value" in a file; "" = there is none.
func firstField(file, name string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// peers are the modules compared, with their versions, as they are linked into this program.
func peers() []string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	compared := map[string]bool{}
	for _, name := range []string{
		"github.com/ThreeDotsLabs/watermill", "github.com/ThreeDotsLabs/watermill-http/v2", "github.com/nikoksr/notify",
		"github.com/hashicorp/eventlogger", "github.com/prometheus/alertmanager", "github.com/nicholas-fedor/shoutrrr",
		"github.com/cloudevents/sdk-go/v2", "github.com/standard-webhooks/standard-webhooks/libraries",
		"github.com/patrickmn/go-cache", "github.com/hashicorp/golang-lru/v2", "github.com/jellydator/ttlcache/v3",
		"github.com/maypok86/otter/v2", "github.com/aymerick/raymond", "github.com/riverqueue/river", "modernc.org/sqlite",
	} {
		compared[name] = true
	}
	var all []string
	for _, m := range info.Deps {
		if compared[m.Path] {
			all = append(all, path.Clean(strings.TrimPrefix(m.Path, "github.com/"))+" "+m.Version)
		}
	}
	return all
}
