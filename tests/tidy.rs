//! Promise: the repository keeps its own rules. They are read off the files, as
//! no compiler holds them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module imports only from rows above its own.
const LAYERS: [&[&str]; 12] = [
    &["sync", "util"],
    &["sys", "error", "metrics", "environment", "magazine"],
    &[
        "config",
        "priority",
        "thread_priority",
        "job",
        "port",
        "buffer",
    ],
    &["scheduler", "timer"],
    &["handle", "main_loop", "cancel"],
    &["spawner", "crew"],
    &[
        "worker",
        "broadcast",
        "each_thread",
        "job_builder",
        "view",
        "try_spawn",
        "spawn_async",
        "parallel",
    ],
    &["progress", "job_set"],
    &["pool", "map"],
    &["builder", "pool_bounds", "pool_map", "pool_parallel"],
    &["process"],
    &["lib"],
];

/// The only files with unsafe code.
const UNSAFE: [&str; 19] = [
    "src/buffer/reunion.rs",
    "src/job/cell.rs",
    "src/job/children.rs",
    "src/job/ends.rs",
    "src/job/half.rs",
    "src/job/party.rs",
    "src/job/slot.rs",
    "src/magazine/cache.rs",
    "src/magazine/mod.rs",
    "src/magazine/model.rs",
    "src/parallel/install.rs",
    "src/parallel/results.rs",
    "src/parallel/scope/core.rs",
    "src/port/queue.rs",
    "src/scheduler/half_models.rs",
    "src/scheduler/halves.rs",
    "src/sys/fork.rs",
    "src/sys/pollable.rs",
    "src/sys/slice.rs",
];

/// What only `src/sync` may name, so that the models see all of it.
const DOORWAY: [&str; 5] = [
    "std::sync",
    "std::thread",
    "crossbeam_deque",
    "parking_lot",
    "loom::",
];

/// The longest a source file may be, in lines.
const LONGEST: usize = 500;

/// Files that are longer, and why. None is.
const LONGER: &[(&str, &str)] = &[];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the repository, by their paths from its root;
/// build products and version control left out.
fn files_below(folder: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", ".git", "node_modules"].contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if !["Cargo.lock", ".git"].contains(&name.as_str()) {
                let path = path.strip_prefix(root()).unwrap();
                files.push(path.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
    files.sort();
    files
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The crate's source files.
fn sources() -> Vec<String> {
    let mut files = files_below("src");
    files.retain(|path| path.ends_with(".rs"));
    assert!(files.len() > 30, "these cannot be all: {files:?}");
    files
}

/// Whether a source file is compiled for tests only.
fn is_for_tests(path: &str) -> bool {
    [
        "/models.rs",
        "/bell_models.rs",
        "/half_models.rs",
        "/tests.rs",
        "/compile_fail.rs",
        "/compile_fail_messages.rs",
    ]
    .iter()
    .any(|end| path.ends_with(end))
}

/// A source file's lines of code with their numbers: no comments, and nothing
/// of the unit tests, which stand at a file's end.
fn code(path: &str) -> Vec<(usize, String)> {
    let text = read(path);
    let mut lines = Vec::new();
    let mut for_tests = false;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if for_tests && line.starts_with("mod ") && line.ends_with('{') {
            break;
        }
        if line.starts_with("#[") {
            for_tests |= line.starts_with("#[cfg(test)]") || line.starts_with("#[cfg(all(test");
        } else {
            for_tests = false;
        }
        if !line.starts_with("//") {
            lines.push((number + 1, line.to_owned()));
        }
    }
    lines
}

/// The top-level module that a source file belongs to.
fn module_of(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap();
    let first = inner.split('/').next().unwrap();
    first.strip_suffix(".rs").unwrap_or(first)
}

fn row_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|row| row.contains(&module))
}

/// The modules that a line of code names as `crate::..`.
fn imports(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("crate::") {
        let is_word = rest[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        rest = &rest[at + "crate::".len()..];
        if is_word {
            continue;
        }
        let names = match rest.strip_prefix('{') {
            Some(group) => group.split('}').next().unwrap(),
            None => rest,
        };
        let single = !rest.starts_with('{');
        for name in names.split(',') {
            let name: String = name
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            if !name.is_empty() {
                found.push(name);
            }
            if single {
                break;
            }
        }
    }
    found
}

#[test]
fn a_module_imports_only_from_rows_above_its_own() {
    let mut wrong = Vec::new();
    let mut edges = 0;
    for path in sources().iter().filter(|path| !is_for_tests(path)) {
        let module = module_of(path);
        let own = row_of(module).unwrap_or_else(|| panic!("{path}: {module} has no row"));
        for (number, line) in code(path) {
            for import in imports(&line) {
                let other = row_of(&import);
                edges += 1;
                if import != module && other.is_none_or(|other| other >= own) {
                    wrong.push(format!("{path}:{number}: {import} is not above {module}"));
                }
            }
            // The ways around the table.
            let is_top = path.matches('/').count() == 1;
            if line.contains("super::super::") || is_top && line.contains("super::") {
                wrong.push(format!(
                    "{path}:{number}: say `crate::`, so that this test sees it"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(edges > 50, "the imports were not found: {edges}");
}

#[test]
fn imports_are_read_as_they_are_written() {
    assert_eq!(imports("use crate::sync::{Arc, Mutex};"), ["sync"]);
    assert_eq!(
        imports("use crate::{sync::Arc, util, job::Slot};"),
        ["sync", "util", "job"]
    );
    assert_eq!(
        imports("crate::util::discard(crate::pool::x());"),
        ["util", "pool"]
    );
    assert_eq!(imports("pub(in crate::job) fn f() {}"), ["job"]);
    assert_eq!(imports("pub(crate) use my_crate::sync;"), [""; 0]);
}

#[test]
fn the_documented_table_of_layers_is_the_one_that_is_held() {
    let text = read("docs/ARCHITECTURE.md");
    let section = text.split("## Layers").nth(1).expect("a section on layers");
    let section = section.split("\n## ").next().unwrap();
    let mut rows = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let Ok(row) = cells[1].parse::<usize>() {
            let modules = cells[2].split(',').map(|name| name.trim().replace('`', ""));
            rows.insert(row, modules.collect::<BTreeSet<_>>());
        }
    }
    let held = LAYERS.iter().enumerate().map(|(row, modules)| {
        (
            row,
            modules
                .iter()
                .map(|&name| name.to_owned())
                .collect::<BTreeSet<_>>(),
        )
    });
    assert_eq!(rows, held.collect::<BTreeMap<_, _>>());
}

#[test]
fn every_module_has_a_row_and_every_row_its_modules() {
    let modules: BTreeSet<_> = sources()
        .iter()
        .filter(|path| !is_for_tests(path))
        .map(|path| module_of(path).to_owned())
        .collect();
    let rows = LAYERS
        .iter()
        .flat_map(|row| row.iter().map(|&name| name.to_owned()));
    assert_eq!(modules, rows.collect());
}

#[test]
fn unsafe_code_is_in_the_named_files_only() {
    let mut with_unsafe = BTreeSet::new();
    let mut allowed = BTreeSet::new();
    for path in sources() {
        for (_, line) in code(&path) {
            let words = [
                "unsafe {",
                "unsafe fn",
                "unsafe impl",
                "unsafe extern",
                "unsafe trait",
            ];
            if words.iter().any(|word| line.contains(word)) {
                with_unsafe.insert(path.clone());
            }
            if line.contains("allow(unsafe_code)") {
                allowed.insert(path.clone());
            }
        }
    }
    let named: BTreeSet<_> = UNSAFE.iter().map(|&path| path.to_owned()).collect();
    assert_eq!(allowed, named);
    assert_eq!(with_unsafe, named);
    let lints = read("Cargo.toml");
    assert!(lints.contains("unsafe_code = \"deny\""));
    assert!(lints.contains("undocumented_unsafe_blocks = \"deny\""));
}

#[test]
fn locks_atomics_and_threads_come_through_the_one_doorway() {
    let mut wrong = Vec::new();
    for path in sources().iter().filter(|path| !is_for_tests(path)) {
        if module_of(path) == "sync" {
            continue;
        }
        for (number, line) in code(path) {
            let named = DOORWAY.iter().any(|name| names(&line, name));
            let grouped =
                line.contains("use std::{") && (line.contains("sync") || line.contains("thread"));
            if named || grouped {
                wrong.push(format!("{path}:{number}: {line}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Whether the line names just this, and not something longer.
fn names(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| {
        let after = &line[at + name.len()..];
        name.ends_with(':') || !after.starts_with(|c: char| c.is_alphanumeric() || c == '_')
    })
}

/// Checklist 41.
#[test]
fn only_monotonic_time_is_read() {
    for path in sources() {
        for (number, line) in code(&path) {
            assert!(!line.contains("SystemTime"), "{path}:{number}: {line}");
        }
    }
}

#[test]
fn no_source_file_is_longer_than_can_be_read_at_once() {
    let mut long: Vec<_> = sources();
    long.retain(|path| read(path).lines().count() > LONGEST);
    let listed: Vec<_> = LONGER.iter().map(|(path, _)| (*path).to_owned()).collect();
    assert_eq!(long, listed, "longer than {LONGEST} lines");
}

#[test]
fn every_folders_mod_rs_names_each_of_its_files() {
    let mut folders: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for path in files_below("src") {
        let path = Path::new(&path);
        let name = path.file_name().unwrap().to_str().unwrap();
        if name != "mod.rs" && path.parent() != Some(Path::new("src")) {
            folders
                .entry(path.parent().unwrap().to_owned())
                .or_default()
                .push(name.to_owned());
        }
    }
    assert!(folders.len() >= 7, "{folders:?}");
    for (folder, files) in folders {
        let list = read(folder.join("mod.rs").to_str().unwrap());
        for file in files {
            let stem = file.strip_suffix(".rs").unwrap_or(&file);
            let ways = [
                format!("`{stem}`"),
                format!("`{file}`"),
                format!("mod {stem};"),
            ];
            assert!(
                ways.iter().any(|way| list.contains(way)),
                "{folder:?}: {file} is not listed"
            );
        }
    }
}

/// The repository's text files with their contents.
fn texts() -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for path in files_below("") {
        if let Ok(text) = fs::read_to_string(root().join(&path)) {
            texts.push((path, text));
        }
    }
    texts
}

#[test]
fn nothing_is_left_to_do_later() {
    // Written apart, so that this file does not find itself.
    let marks = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
    ];
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for mark in marks {
                assert!(!line.contains(mark), "{path}:{}: {line}", number + 1);
            }
        }
    }
}

#[test]
fn nobodys_own_paths_are_in_the_files() {
    let paths = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
    ];
    for (path, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            for own in paths {
                assert!(!line.contains(own), "{path}:{}: {line}", number + 1);
            }
        }
    }
}

/// The lines of a page that are not in a code block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// What a heading is linked by, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    prose(text)
        .filter(|line| line.starts_with('#'))
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// The targets of a line's links.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("](") {
        rest = &rest[at + 2..];
        if let Some(end) = rest.find(')') {
            found.push(&rest[..end]);
        }
    }
    found
}

#[test]
fn every_link_of_every_page_leads_somewhere() {
    let pages: Vec<_> = texts()
        .into_iter()
        .filter(|(path, _)| path.ends_with(".md"))
        .collect();
    assert!(!pages.is_empty());
    for (path, text) in &pages {
        let folder = Path::new(path).parent().unwrap();
        for link in prose(text).flat_map(links) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => root().join(path),
                file => root().join(folder).join(file),
            };
            assert!(target.exists(), "{path}: nothing at {link}");
            if !heading.is_empty() {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(heading), "{path}: {link}: only {there:?}");
            }
        }
    }
}

#[test]
fn what_the_readme_cannot_compile_is_compiled_in_another_page() {
    let compiled = read("docs/processes.md");
    assert!(!compiled.contains("rust,ignore"));
    let readme = read("README.md");
    let blocks: Vec<_> = readme.split("```rust,ignore\n").skip(1).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let block = block.split("```").next().unwrap();
        assert!(compiled.contains(block), "only in README.md: {block}");
    }
}

#[test]
fn links_and_anchors_are_read_as_they_are_written() {
    assert_eq!(links("a [b](c.md#d) and [e](f)"), ["c.md#d", "f"]);
    assert_eq!(
        anchor(" When to use it / when not"),
        "when-to-use-it--when-not"
    );
    let page = "# One\n```sh\n# no heading\n```\n## `Two` words\n";
    let expected = ["one", "two-words"].map(str::to_owned);
    assert_eq!(anchors(page), expected.into_iter().collect());
}
