package main

import (
	"context"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/brunt/internal/benchbuild"
	"example.com/brunt/internal/benchgate"
	"example.com/brunt/internal/benchreport"
	"example.com/brunt/internal/benchrun"
	"example.com/brunt/internal/ghactions"
	"example.com/brunt/internal/job"
)

// comparison is one run of the command.
type comparison struct {
	*options
	stdout, stderr io.Writer
	began          time.Time
	worktree       *benchbuild.Worktree // the base's; nil if there is none
	copied         []string             // files of the head's that the base was given
	in             benchreport.Input
}

// compare returns the exit code.
func compare(ctx context.Context, args []string, stdout, stderr io.Writer) (code int, err error) {
	c := &comparison{stdout: stdout, stderr: stderr, began: time.Now()}
	defer func() {
		if err != nil && !errors.Is(err, flag.ErrHelp) {
			tellActions(stderr, benchreport.NotJudged(err), ghactions.Annotation{Title: "brunt compare", Message: err.Error()})
		}
	}()
	if c.options, err = parse(args, stdout); err != nil {
		return 2, err
	}
	c.in.Command = "brunt compare " + job.Shell(args...)
	if err = c.judge(ctx); err == nil {
		err = c.write()
	} else if ctx.Err() != nil {
		err = errors.New("interrupted; worktree and temporary files are removed")
	}
	if err != nil {
		return 2, err
	}
	return c.in.Report.ExitCode(), nil
}

func (c *comparison) say(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintf(c.stderr, "[%6.1fs] "+format+"\n", append([]any{time.Since(c.began).Seconds()}, args...)...)
	}
}

func (c *comparison) warn(format string, args ...any) {
	c.in.Warnings = append(c.in.Warnings, fmt.Sprintf(format, args...))
}

func (c *comparison) env(what, format string, args ...any) {
	c.in.Environment = append(c.in.Environment, [2]string{what, fmt.Sprintf(format, args...)})
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
	c.TempDir, c.Progress = work, c.say
	c.env("machine", "%s/%s, %d CPUs, GOMAXPROCS %d", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), c.CPU)
	c.env("seed", "%d", c.Seed)
	if flags := os.Getenv("GOFLAGS"); flags != "" {
		c.env("GOFLAGS", "%s", flags)
	}
	defer func() {
		if c.worktree != nil {
			err = errors.Join(err, c.worktree.Remove(ctx))
		}
	}()
	if binaries {
		err = c.binaries()
	} else {
		err = c.trees(ctx, tmp)
	}
	if err != nil {
		return err
	}
	out, err := benchrun.Run(ctx, c.Config)
	if err != nil {
		return err
	}
	c.in.Set, c.in.Report, c.in.Run = out.Set, out.Report, out
	if c.Baseline == nil {
		c.env("pairs", "%s", pairs(out.Rounds))
	}
	if c.profile != "" {
		c.in.Profiles, err = out.Profiles(ctx, c.profile)
	}
	return err
}

// judgeFiles compares results that were recorded before.
func (c *comparison) judgeFiles() (err error) {
	if c.profile != "" {
		return errors.New("-profile needs something to run, not result files")
	}
	c.sides(c.args[0], c.args[1])
	set := &benchgate.Set{Skip: c.Skip, Labels: [2]string{c.args[0], c.args[1]}}
	if set.Labels[0] == set.Labels[1] {
		set.Labels[0], set.Labels[1] = set.Labels[0]+"#0", set.Labels[1]+"#1"
	}
	c.warn("recorded results: if the sides did not alternate while they ran, a machine that changed looks like code that changed")
	// Both files are read, so that every fault is reported at once.
	if err := errors.Join(set.ReadFile(benchgate.Base, c.args[0]), set.ReadFile(benchgate.Head, c.args[1])); err != nil {
		return err
	}
	c.in.Set = set
	c.in.Report, err = benchgate.Judge(set, &c.Rules)
	return err
}

// sides says what is compared.
func (c *comparison) sides(base, head string) {
	c.env("base", "%s", base)
	c.env("head", "%s", head)
}

// binaries makes one package of the two test binaries.
func (c *comparison) binaries() error {
	c.sides(c.args[0], c.args[1])
	dir, err := filepath.Abs(c.dir)
	p := benchrun.Package{Path: c.args[1]}
	for side := range p.Binaries {
		path, abs := filepath.Abs(c.args[side])
		p.Binaries[side], err = benchrun.Binary{Path: path, Dir: dir}, errors.Join(err, abs)
	}
	c.Packages = []benchrun.Package{p}
	return err
}

// trees builds the head, which is the tree as it is, and the commit that is the base,
// unless there is a recorded baseline.
func (c *comparison) trees(ctx context.Context, tmp string) error {
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	var base benchbuild.Tree
	head := benchbuild.Tree{Dir: dir}
	if c.baseline != "" {
		c.Baseline = &benchgate.Set{Skip: c.Skip}
		err = c.Baseline.ReadFile(benchgate.Base, c.baseline)
		c.sides(c.baseline, dir)
		c.warn("a recorded baseline: base and head did not alternate, so a machine that changed looks like code that changed")
	} else {
		base, err = c.checkout(ctx, head, filepath.Join(tmp, "base"))
	}
	if err != nil {
		return err
	}
	if head, err = head.Detached(ctx, filepath.Join(tmp, "head.work")); err != nil {
		return err
	}
	c.Packages, err = c.build(ctx, [2]benchbuild.Tree{base, head}, tmp)
	return err
}

// checkout finds the base's commit and makes a worktree of it at home.
func (c *comparison) checkout(ctx context.Context, head benchbuild.Tree, home string) (base benchbuild.Tree, err error) {
	repo, err := benchbuild.Open(ctx, head.Dir)
	if err != nil {
		return base, err
	}
	if c.base == "" {
		if c.base, err = repo.DefaultBase(ctx); err != nil {
			return base, err
		}
	}
	commit, err := repo.MergeBase(ctx, c.base)
	if err != nil {
		return base, err
	}
	short, now := commit[:min(12, len(commit))], repo.Head(ctx)
	c.say("base %s (where the head left %s), head %s", short, c.base, now)
	if now == short {
		c.warn("base and head are the same commit: this measures the machine")
	}
	c.sides(short+", where the head left "+c.base, now)
	if c.worktree, err = repo.Checkout(ctx, commit, home); err != nil {
		return base, err
	}
	for _, what := range c.worktree.Lacking {
		c.warn("the base is built without %s", what)
	}
	base, err = c.worktree.Base(ctx, head)
	if err == nil && base.Dir == "" {
		c.warn("the base has no module in %s: everything is new", filepath.ToSlash(repo.Prefix))
	}
	return base, err
}

// list prepares the trees and says what is in them.
func (c *comparison) list(ctx context.Context, trees [2]benchbuild.Tree) (lists [2]*benchbuild.Listing, err error) {
	// The head first: what it is built from, the base may lack.
	for _, side := range []benchgate.Side{benchgate.Head, benchgate.Base} {
		tree := trees[side]
		lists[side] = new(benchbuild.Listing)
		if tree.Dir == "" {
			continue
		}
		if c.Rules.Prepare != "" {
			c.say("preparing the %s: %s", side, c.Rules.Prepare)
			err = tree.Prepare(ctx, c.Rules.Prepare, side.String())
		} else if side == benchgate.Base {
			c.copied, err = c.worktree.CopyIgnored(ctx, lists[benchgate.Head].Files)
		}
		if err == nil {
			lists[side], err = tree.List(ctx, c.args)
		}
		if err == nil && side == benchgate.Base {
			err = c.worktree.Check(lists[side])
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
	if side == benchgate.Base && errors.Is(err, benchbuild.ErrBuild) && c.Rules.Prepare == "" {
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

// build makes the test binaries of every package with benchmarks, once a side.
func (c *comparison) build(ctx context.Context, trees [2]benchbuild.Tree, tmp string) ([]benchrun.Package, error) {
	lists, err := c.list(ctx, trees)
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
		return nil, fmt.Errorf("%w: no package matching %s declares one", benchrun.ErrNothing, strings.Join(c.args, " "))
	}
	return packages, nil
}

// pairs returns how many pairs the benchmarks took, from the fewest to the most.
func pairs(rounds []int) string {
	if len(rounds) == 0 {
		return "0"
	}
	least, most := slices.Min(rounds), slices.Max(rounds)
	if least == most {
		return strconv.Itoa(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

// write puts the reports where they were asked for.
func (c *comparison) write() error {
	c.env("took", "%v", time.Since(c.began).Round(time.Second))
	in := &c.in
	out, md := []byte(benchreport.Text(in)), []byte(benchreport.Markdown(in))
	doc, err := benchreport.JSON(in)
	if err != nil {
		return err
	}
	files := make(map[string][]byte)
	if c.save != "" {
		if err := os.MkdirAll(c.save, 0o755); err != nil {
			return err
		}
		kept := map[string][]byte{"table.txt": out, "report.md": md, "report.json": doc, "base.txt": in.Set.Format(benchgate.Base), "head.txt": in.Set.Format(benchgate.Head)}
		if in.Run != nil && len(in.Run.Noise[0]) > 0 {
			kept["noise.txt"] = benchgate.Format(slices.Concat(in.Run.Noise[0], in.Run.Noise[1]), in.Set.Units())
		}
		for name, data := range kept {
			files[filepath.Join(c.save, name)] = data
		}
	}
	for _, f := range []struct {
		path string
		data []byte
	}{{c.md, md}, {c.json, doc}} {
		switch f.path {
		case "":
		case "-":
			out = f.data
		default:
			files[f.path] = f.data
		}
	}
	for path, data := range files {
		if err := os.WriteFile(path, data, 0o644); err != nil {
			return err
		}
	}
	if _, err = c.stdout.Write(out); err == nil {
		tellActions(c.stderr, string(md), benchreport.Annotations(in, c.source)...)
	}
	return err
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// isBinary reports whether a file is one that go built.
func isBinary(path string) bool {
	_, err := buildinfo.ReadFile(path)
	return err == nil
}
