package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"example.com/brunt/internal/benchbuild"
	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/benchreport"
	"example.com/brunt/internal/benchrun"
)

// comparison is one run of the command.
type comparison struct {
	*options
	rules          *benchgate.Rules
	stdout, stderr io.Writer
	began          time.Time
	copied         []string // files of the head's that the base was given
	in             benchreport.Input
}

// compare returns the exit code.
func compare(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fail := func(err error) int {
		fmt.Fprintf(stderr, "brunt: %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return 2
	}
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return fail(err)
	}
	c := &comparison{options: o, stdout: stdout, stderr: stderr, began: time.Now()}
	if c.rules, err = o.rules(); err != nil {
		return fail(err)
	}
	c.in.Command = "brunt compare " + strings.Join(quoted(args), " ")
	if err := c.judge(ctx); err != nil {
		if ctx.Err() != nil {
			return fail(errors.New("interrupted; worktree and temporary files are removed"))
		}
		return fail(err)
	}
	if err := c.write(); err != nil {
		return fail(err)
	}
	return c.in.Report.ExitCode()
}

func quoted(args []string) []string {
	out := slices.Clone(args)
	for i, a := range out {
		if a == "" || strings.ContainsAny(a, " '\"|*?$&;()<>\\#~`!{}[]") {
			out[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return out
}

func (c *comparison) say(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintf(c.stderr, "[%6.1fs] "+format+"\n", append([]any{time.Since(c.began).Seconds()}, args...)...)
	}
}

func (c *comparison) warn(format string, args ...any) {
	c.in.Warnings = append(c.in.Warnings, fmt.Sprintf(format, args...))
}

// judge fills in c.in.
func (c *comparison) judge(ctx context.Context) (err error) {
	files := c.files()
	binaries := files && isBinary(c.args[0]) && isBinary(c.args[1])
	if files && !binaries {
		return c.judgeFiles()
	}
	tmp, err := os.MkdirTemp("", "brunt-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	work := filepath.Join(tmp, "tmp")
	if err := os.Mkdir(work, 0o700); err != nil {
		return err
	}
	cfg := benchrun.Config{
		Bench: c.bench, Skip: c.skip, Count: c.count, Max: c.limit, Iterations: c.iterations, Time: c.time,
		AA: c.aa, CPU: c.cpu, Seed: c.seed, Timeout: c.timeout, TempDir: work, Rules: *c.rules, Progress: c.say,
	}
	c.environment()
	switch {
	case binaries:
		return c.judgeBinaries(ctx, cfg)
	case c.baseline != "":
		return c.judgeBaseline(ctx, cfg, tmp)
	}
	return c.judgeTrees(ctx, cfg, tmp)
}

func (c *comparison) judgeFiles() error {
	if c.profile != "" {
		return errors.New("-profile needs something to run, not result files")
	}
	set := &benchgate.Set{Skip: c.skip}
	for side := range 2 {
		set.Labels[side] = c.args[side]
	}
	if set.Labels[0] == set.Labels[1] {
		set.Labels[0], set.Labels[1] = set.Labels[0]+"#0", set.Labels[1]+"#1"
	}
	// Both files are read, so that every fault is reported at once.
	if err := errors.Join(set.ReadFile(benchgate.Base, c.args[0]), set.ReadFile(benchgate.Head, c.args[1])); err != nil {
		return err
	}
	rep, err := benchgate.Judge(set, c.rules)
	c.in.Set, c.in.Report = set, rep
	c.in.Environment = append(c.in.Environment, [2]string{"base", c.args[0]}, [2]string{"head", c.args[1]})
	c.warn("recorded results: if the sides did not alternate while they ran, a machine that changed looks like code that changed")
	return err
}

func (c *comparison) judgeBinaries(ctx context.Context, cfg benchrun.Config) error {
	dir, err := filepath.Abs(c.dir)
	if err != nil {
		return err
	}
	var p benchrun.Package
	p.Path = c.args[1]
	for side := range p.Binaries {
		path, err := filepath.Abs(c.args[side])
		if err != nil {
			return err
		}
		p.Binaries[side] = benchrun.Binary{Path: path, Dir: dir}
	}
	cfg.Packages = []benchrun.Package{p}
	c.in.Environment = append(c.in.Environment, [2]string{"base", c.args[0]}, [2]string{"head", c.args[1]})
	return c.run(ctx, cfg)
}

// judgeTrees compares the base's commit with the tree as it is.
func (c *comparison) judgeTrees(ctx context.Context, cfg benchrun.Config, tmp string) (err error) {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	repo, err := benchbuild.Open(ctx, dir)
	if err != nil {
		return err
	}
	if c.base == "" {
		if c.base, err = repo.DefaultBase(ctx); err != nil {
			return err
		}
	}
	commit, err := repo.MergeBase(ctx, c.base)
	if err != nil {
		return err
	}
	head := repo.Head(ctx)
	c.say("base %s (where the head left %s), head %s", short(commit), c.base, head)
	if head == short(commit) {
		c.warn("base and head are the same commit: this measures the machine")
	}
	c.in.Environment = append(c.in.Environment,
		[2]string{"base", fmt.Sprintf("%s, where the head left %s", short(commit), c.base)}, [2]string{"head", head})
	worktree, err := repo.Checkout(ctx, commit, filepath.Join(tmp, "base"))
	defer func() { err = errors.Join(err, worktree.Remove(ctx)) }()
	if err != nil {
		return err
	}
	for _, what := range worktree.Lacking {
		c.warn("the base is built without %s", what)
	}
	headTree := benchbuild.Tree{Dir: dir}
	baseTree, err := worktree.Base(ctx, headTree)
	if err != nil {
		return err
	}
	if baseTree.Dir == "" {
		c.warn("the base has no module in %s: everything is new", filepath.ToSlash(repo.Prefix))
	}
	if headTree, err = headTree.Detached(ctx, filepath.Join(tmp, "head.work")); err != nil {
		return err
	}
	if cfg.Packages, err = c.build(ctx, [2]benchbuild.Tree{baseTree, headTree}, worktree, tmp); err != nil {
		return err
	}
	return c.run(ctx, cfg)
}

func short(commit string) string { return commit[:min(12, len(commit))] }

// list prepares the trees and says what is in them. The worktree is the base's, nil
// for a recorded one.
func (c *comparison) list(ctx context.Context, trees [2]benchbuild.Tree, worktree *benchbuild.Worktree) (lists [2]*benchbuild.Listing, err error) {
	// The head first: what it is built from, the base may lack.
	for _, side := range []benchgate.Side{benchgate.Head, benchgate.Base} {
		tree := trees[side]
		lists[side] = new(benchbuild.Listing)
		if tree.Dir == "" {
			continue
		}
		if c.rules.Prepare != "" {
			c.say("preparing the %s: %s", side, c.rules.Prepare)
			err = tree.Prepare(ctx, c.rules.Prepare, side.String())
		} else if side == benchgate.Base {
			c.copied, err = worktree.CopyIgnored(ctx, lists[benchgate.Head].Files)
		}
		if err == nil {
			lists[side], err = tree.List(ctx, c.patterns())
		}
		if err == nil && side == benchgate.Base {
			err = worktree.Check(lists[side])
		}
		if err != nil {
			return lists, c.buildError(side, err)
		}
	}
	if len(c.copied) > 0 {
		c.warn("the base is built with what git ignores in your tree, made from the head: %s; -prepare has each side make its own", some(c.copied))
	}
	return lists, nil
}

// buildError returns err with what may help.
func (c *comparison) buildError(side benchgate.Side, err error) error {
	err = fmt.Errorf("%s: %w", side, err)
	if side == benchgate.Base && errors.Is(err, benchbuild.ErrBuild) && c.rules.Prepare == "" {
		hint := "if it lacks what is generated and not committed: -prepare 'go generate ./...', say, runs on each side before it is built"
		if len(c.copied) > 0 {
			hint += "; it was given what git ignores in your tree: " + some(c.copied)
		}
		err = fmt.Errorf("%w\n%s", err, strings.Join(append(c.in.Warnings, hint), "\n"))
	}
	return err
}

// some returns the list, or its beginning.
func some(names []string) string {
	if more := len(names) - 10; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:10], ", "), more)
	}
	return strings.Join(names, ", ")
}

func (c *comparison) patterns() []string {
	if len(c.args) == 0 {
		return []string{"./..."}
	}
	return c.args
}

// build makes the test binaries of every package with benchmarks, once a side.
func (c *comparison) build(ctx context.Context, trees [2]benchbuild.Tree, worktree *benchbuild.Worktree, tmp string) ([]benchrun.Package, error) {
	lists, err := c.list(ctx, trees, worktree)
	if err != nil {
		return nil, err
	}
	for _, p := range lists[benchgate.Head].Unmatched {
		if trees[benchgate.Base].Dir == "" || slices.Contains(lists[benchgate.Base].Unmatched, p) {
			hint := ""
			if dir := strings.TrimSuffix(p, "/..."); dir != "." && isFile(filepath.Join(dir, "go.mod")) {
				hint = "; " + dir + " is a module of its own: run brunt compare in it, or list both in a go.work file"
			}
			return nil, fmt.Errorf("%w: %q matches no package%s", benchbuild.ErrBuild, p, hint)
		}
	}
	var packages []benchrun.Package
	var broken []error
	index := make(map[string]int)
	for side, list := range lists {
		side := benchgate.Side(side)
		for _, p := range list.Packages {
			at, ok := index[p.Path]
			if !ok {
				at = len(packages)
				index[p.Path] = at
				packages = append(packages, benchrun.Package{Path: p.Path})
			}
			out := filepath.Join(tmp, fmt.Sprintf("%s%03d.test", side, at))
			if runtime.GOOS == "windows" {
				out += ".exe"
			}
			c.say("building %s at %s", p.Path, side)
			if err := trees[side].Build(ctx, p, out); err != nil {
				err = c.buildError(side, err)
				packages[at].Broken[side] = strings.TrimPrefix(err.Error(), side.String()+": ")
				broken = append(broken, err)
				continue
			}
			packages[at].Binaries[side] = benchrun.Binary{Path: out, Dir: p.Dir}
		}
	}
	// One that does not build is a fault of that package.
	if ctx.Err() != nil || len(broken) > 0 && !slices.ContainsFunc(packages, func(p benchrun.Package) bool { return p.Broken == [2]string{} }) {
		return nil, errors.Join(append(broken, ctx.Err())...)
	}
	if len(packages) == 0 {
		return nil, fmt.Errorf("%w: no package matching %s declares one", benchrun.ErrNothing, strings.Join(c.patterns(), " "))
	}
	return packages, nil
}

// judgeBaseline runs the head alone.
func (c *comparison) judgeBaseline(ctx context.Context, cfg benchrun.Config, tmp string) error {
	set := &benchgate.Set{Skip: c.skip}
	if err := set.ReadFile(benchgate.Base, c.baseline); err != nil {
		return err
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	headTree, err := benchbuild.Tree{Dir: dir}.Detached(ctx, filepath.Join(tmp, "head.work"))
	if err != nil {
		return err
	}
	if cfg.Packages, err = c.build(ctx, [2]benchbuild.Tree{{}, headTree}, nil, tmp); err != nil {
		return err
	}
	c.in.Environment = append(c.in.Environment, [2]string{"base", c.baseline}, [2]string{"head", dir})
	c.warn("a recorded baseline: base and head did not alternate, so a machine that changed looks like code that changed")
	if c.profile != "" {
		return errors.New("-profile needs a base to run, not a recorded one")
	}
	out, err := benchrun.AgainstBaseline(ctx, cfg, set)
	if err != nil {
		return err
	}
	c.in.Set, c.in.Report, c.in.Run = out.Set, out.Report, out
	return nil
}

func (c *comparison) run(ctx context.Context, cfg benchrun.Config) error {
	out, err := benchrun.Run(ctx, cfg)
	if err != nil {
		return err
	}
	c.in.Set, c.in.Report, c.in.Run = out.Set, out.Report, out
	c.in.Environment = append(c.in.Environment, [2]string{"pairs", pairs(out)})
	if c.profile != "" {
		c.in.Profiles, err = out.Profiles(ctx, c.profile)
	}
	return err
}

// pairs returns between which numbers of pairs the benchmarks were settled.
func pairs(out *benchrun.Outcome) string {
	if len(out.Rounds) == 0 {
		return "0"
	}
	least, most := math.MaxInt, 0
	for _, n := range out.Rounds {
		least, most = min(least, n), max(most, n)
	}
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

func (c *comparison) environment() {
	c.in.Environment = append(c.in.Environment,
		[2]string{"machine", fmt.Sprintf("%s/%s, %d CPUs, GOMAXPROCS %d", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), c.cpu)},
		[2]string{"seed", fmt.Sprint(c.seed)},
	)
	if env := os.Getenv("GOFLAGS"); env != "" {
		c.in.Environment = append(c.in.Environment, [2]string{"GOFLAGS", env})
	}
}

// write puts the reports where they were asked for.
func (c *comparison) write() error {
	in := &c.in
	in.Environment = append(in.Environment, [2]string{"took", time.Since(c.began).Round(time.Second).String()})
	render := func(f func(io.Writer, *benchreport.Input) error) ([]byte, error) {
		var b bytes.Buffer
		err := f(&b, in)
		return b.Bytes(), err
	}
	text, err1 := render(benchreport.Text)
	md, err2 := render(benchreport.Markdown)
	doc, err3 := render(benchreport.JSON)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	out := text
	for _, f := range []struct {
		path string
		data []byte
	}{{c.md, md}, {c.json, doc}} {
		switch f.path {
		case "":
		case "-":
			out = f.data
		default:
			if err := os.WriteFile(f.path, f.data, 0o644); err != nil {
				return err
			}
		}
	}
	if c.save != "" {
		if err := c.keep(text, md, doc); err != nil {
			return err
		}
	}
	_, err := c.stdout.Write(out)
	return err
}

// keep writes everything to the directory of -save.
func (c *comparison) keep(text, md, doc []byte) error {
	if err := os.MkdirAll(c.save, 0o755); err != nil {
		return err
	}
	files := map[string][]byte{"table.txt": text, "report.md": md, "report.json": doc}
	for side := range 2 {
		var b bytes.Buffer
		if err := c.in.Set.Write(&b, benchgate.Side(side)); err != nil {
			return err
		}
		files[benchgate.Side(side).String()+".txt"] = b.Bytes()
	}
	if c.in.Run != nil && len(c.in.Run.Noise[0]) > 0 {
		var b bytes.Buffer
		if err := benchgate.WriteResults(&b, slices.Concat(c.in.Run.Noise[0], c.in.Run.Noise[1]), c.in.Set.Units()); err != nil {
			return err
		}
		files["noise.txt"] = b.Bytes()
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(c.save, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// isBinary reports whether a file begins as an executable does.
func isBinary(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	magic := make([]byte, 4)
	if _, err := io.ReadFull(f, magic); err != nil {
		return false
	}
	for _, m := range []string{"\x7fELF", "MZ", "\xcf\xfa\xed\xfe", "\xfe\xed\xfa\xcf", "\xca\xfe\xba\xbe"} {
		if bytes.HasPrefix(magic, []byte(m)) {
			return true
		}
	}
	return false
}
