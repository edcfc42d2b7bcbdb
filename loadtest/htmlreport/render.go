package htmlreport

import (
	"crypto/sha256"
	_ "embed" // the page and what it is made of
	"encoding/base64"
	"html/template"
	"io"
	"strings"
)

var (
	//go:embed assets/page.tmpl
	pageText string
	//go:embed assets/report.css
	reportCSS string
	//go:embed assets/search.tmpl
	searchText string
	//go:embed assets/report.js
	reportJS string
	//go:embed assets/live.js
	liveJS string
	//go:embed assets/uPlot.iife.min.js
	uPlotJS string
	//go:embed assets/uPlot.min.css
	uPlotCSS string
	//go:embed assets/uPlot.LICENSE
	uPlotLicence string
)

var (
	pageTemplate = template.Must(template.Must(template.New("page").Parse(pageText)).Parse(searchText))

	style   = "/*!\nuPlot\n" + uPlotLicence + "\n*/\n" + uPlotCSS + "\n" + reportCSS
	library = "/*!\nuPlot\n" + uPlotLicence + "\n*/\n" + uPlotJS

	// policy forbids everything but the styles and scripts of the page itself,
	// which it knows by their hashes: a script that slipped in would not run.
	policy = "default-src 'none'; script-src " + hash(library) + " " + hash(reportJS) +
		"; style-src " + hash(style) + "; img-src data:; base-uri 'none'; form-action 'none'"
	// livePolicy also lets a page listen to the server that it comes from.
	livePolicy = strings.Replace(policy, "script-src ", "connect-src 'self'; script-src "+hash(liveJS)+" ", 1)
)

func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func render(w io.Writer, p *page) error {
	data := struct {
		*page
		Policy                      string
		Style                       template.CSS
		Library, Script, LiveScript template.JS
	}{p, policy, template.CSS(style), template.JS(library), template.JS(reportJS), template.JS(liveJS)}
	if p.Live {
		data.Policy = livePolicy
	}
	return pageTemplate.Execute(w, data)
}
