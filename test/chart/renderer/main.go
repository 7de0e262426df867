// Renders the chart as `helm template` does, with what helm itself is made of: text/template, sprig and sigs.k8s.io/yaml.
// Reads one request a line from standard input and answers each with one line. Knows what the chart uses, and fails on the rest.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type values = map[string]interface{}

type request struct {
	Chart     string `json:"chart"`
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
	IsUpgrade bool   `json:"isUpgrade"`
	// As helm lint: without a cluster, and what fails on purpose passes.
	IsLint      bool     `json:"isLint"`
	KubeVersion string   `json:"kubeVersion"`
	APIVersions []string `json:"apiVersions"`
	Values      values   `json:"values"`
	// What lookup finds, by "apiVersion/kind/namespace/name".
	Objects map[string]values `json:"objects"`
}

type answer struct {
	Values values            `json:"values,omitempty"`
	Files  map[string]string `json:"files,omitempty"`
	Error  string            `json:"error,omitempty"`
}

const maxDepth = 1000

func main() {
	lines := bufio.NewReader(os.Stdin)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if len(bytes.TrimSpace(line)) > 0 {
			if failure := out.Encode(answerTo(line)); failure != nil {
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

func answerTo(line []byte) answer {
	var asked request
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Error: err.Error()}
	}
	merged, files, err := render(asked)
	if err != nil {
		return answer{Values: merged, Error: err.Error()}
	}
	return answer{Values: merged, Files: files}
}

func render(asked request) (values, map[string]string, error) {
	var chart, preset values
	if err := readYaml(filepath.Join(asked.Chart, "Chart.yaml"), &chart); err != nil {
		return nil, nil, err
	}
	if err := readYaml(filepath.Join(asked.Chart, "values.yaml"), &preset); err != nil {
		return nil, nil, err
	}
	merged := coalesce(preset, asked.Values)
	root := template.New("chart").Option("missingkey=zero")
	root.Funcs(functions(root, asked, 0))
	files, templates, err := readChart(asked.Chart)
	if err != nil {
		return merged, nil, err
	}
	names := make([]string, 0, len(templates))
	for name := range templates {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if _, err := root.New(name).Parse(templates[name]); err != nil {
			return merged, nil, err
		}
	}
	texts := map[string]string{}
	for _, name := range names {
		if strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		context := contextOf(asked, chart, merged, files)
		context["Template"] = values{"Name": name, "BasePath": path.Dir(names[0])}
		var text bytes.Buffer
		if err := root.ExecuteTemplate(&text, name, context); err != nil {
			return merged, nil, err
		}
		// Without this, a missing value would print so; helm leaves it out as well.
		texts[name] = strings.ReplaceAll(text.String(), "<no value>", "")
	}
	return merged, texts, nil
}

func readYaml(name string, into *values) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return yaml.Unmarshal(text, into)
}

// coalesce lays what a user gives over the chart's values: maps are merged, null removes, all else replaces.
func coalesce(preset, given values) values {
	merged := values{}
	for key, value := range preset {
		merged[key] = value
	}
	for key, value := range given {
		inner, isMap := value.(values)
		below, wasMap := merged[key].(values)
		switch {
		case value == nil:
			delete(merged, key)
		case isMap && wasMap:
			merged[key] = coalesce(below, inner)
		default:
			merged[key] = value
		}
	}
	return merged
}

func readChart(folder string) (chartFiles, map[string]string, error) {
	files, templates := chartFiles{}, map[string]string{}
	err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(folder, name)
		if err != nil {
			return err
		}
		switch {
		case strings.HasPrefix(inside, "templates/"):
			templates[path.Join(filepath.Base(folder), inside)] = string(text)
		case !strings.HasPrefix(inside, "crds/") && inside != "Chart.yaml" && !strings.HasPrefix(inside, "values"):
			files[inside] = text
		}
		return nil
	})
	return files, templates, err
}

func contextOf(asked request, chart, merged values, files chartFiles) values {
	about := values{}
	for key, value := range chart {
		about[strings.ToUpper(key[:1])+key[1:]] = value
	}
	version := strings.TrimPrefix(asked.KubeVersion, "v")
	parts := strings.Split(version, ".")
	return values{
		"Values": merged,
		"Chart":  about,
		"Files":  files,
		"Release": values{
			"Name": asked.Name, "Namespace": asked.Namespace, "Service": "Helm", "Revision": 1,
			"IsInstall": !asked.IsUpgrade, "IsUpgrade": asked.IsUpgrade,
		},
		"Capabilities": values{
			"APIVersions": apiVersions(asked.APIVersions),
			"KubeVersion": kubeVersion{Version: "v" + version, Major: parts[0], Minor: parts[1]},
			"HelmVersion": values{"Version": "v3.17.0"},
		},
	}
}

type kubeVersion struct{ Version, Major, Minor string }

func (version kubeVersion) String() string     { return version.Version }
func (version kubeVersion) GitVersion() string { return version.Version }

type apiVersions []string

func (known apiVersions) Has(wanted string) bool {
	for _, one := range known {
		if one == wanted {
			return true
		}
	}
	return false
}

type chartFiles map[string][]byte

func (files chartFiles) Get(name string) string { return string(files[name]) }

func functions(root *template.Template, asked request, depth int) template.FuncMap {
	all := sprig.TxtFuncMap()
	delete(all, "env")
	delete(all, "expandenv")
	include := func(name string, data interface{}) (string, error) {
		if depth++; depth > maxDepth {
			return "", fmt.Errorf("rendering template has a nested reference name: %s", name)
		}
		defer func() { depth-- }()
		var text strings.Builder
		err := root.ExecuteTemplate(&text, name, data)
		return text.String(), err
	}
	all["include"] = include
	all["tpl"] = func(source string, data interface{}) (string, error) {
		own, err := root.Clone()
		if err != nil {
			return "", err
		}
		if own, err = own.New("tpl").Parse(source); err != nil {
			return "", err
		}
		var text strings.Builder
		err = own.Execute(&text, data)
		return strings.ReplaceAll(text.String(), "<no value>", ""), err
	}
	all["required"] = func(message string, value interface{}) (interface{}, error) {
		if (value == nil || value == "") && !asked.IsLint {
			return value, errors.New(message)
		}
		return value, nil
	}
	all["fail"] = func(message string) (string, error) {
		if asked.IsLint {
			return "", nil
		}
		return "", errors.New(message)
	}
	all["lookup"] = func(apiVersion, kind, namespace, name string) (values, error) {
		if found, ok := asked.Objects[strings.Join([]string{apiVersion, kind, namespace, name}, "/")]; ok {
			return found, nil
		}
		return values{}, nil
	}
	for name, function := range yamlFunctions() {
		all[name] = function
	}
	return all
}

// As helm has them: no final newline, and errors as text or under the key Error.
func yamlFunctions() template.FuncMap {
	return template.FuncMap{
		"toYaml": func(value interface{}) string {
			text, err := yaml.Marshal(value)
			if err != nil {
				return ""
			}
			return strings.TrimSuffix(string(text), "\n")
		},
		"fromYaml": func(text string) values {
			parsed := values{}
			if err := yaml.Unmarshal([]byte(text), &parsed); err != nil {
				parsed["Error"] = err.Error()
			}
			return parsed
		},
		"toJson": func(value interface{}) string {
			text, err := json.Marshal(value)
			if err != nil {
				return ""
			}
			return string(text)
		},
		"fromJson": func(text string) values {
			parsed := values{}
			if err := json.Unmarshal([]byte(text), &parsed); err != nil {
				parsed["Error"] = err.Error()
			}
			return parsed
		},
	}
}
