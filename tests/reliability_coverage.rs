//! Promise: docs/RELIABILITY.md is true of the tests. Each of the 64 behaviours
//! has one row; what a row names exists, says the number, and is tried on pools
//! of the sizes that the row gives. Beyond them are the promises of processes.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How many behaviours there are.
const BEHAVIOURS: usize = 64;

/// What the last column says of a test on pools of each size.
const EACH_SIZE: &str = "1, 2, 8";

/// What begins the state of a behaviour that is not there.
const NOT_YET: &str = "not yet: ";

/// One test that a row names.
#[derive(Debug, PartialEq)]
struct Named {
    file: String,
    function: String,
}

/// One row of either table.
struct Row {
    number: usize,
    tests: Vec<Named>,
    /// The last column of what is promised; `None` if it is not there yet.
    sizes: Option<String>,
}

/// A file of the repository, by its path from the root.
fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The tests in a cell: links, each with its functions in backquotes after it.
fn tests_in(cell: &str) -> Vec<Named> {
    let mut tests = Vec::new();
    for link in cell.split('[').skip(1) {
        let (name, rest) = link
            .split_once("](../")
            .expect("a link into the repository");
        let (file, functions) = rest.split_once("): ").expect("a link, and functions");
        assert_eq!(
            file,
            format!("tests/{name}.rs"),
            "the link says where it leads"
        );
        for function in functions.split('`').skip(1).step_by(2) {
            tests.push(Named {
                file: file.to_owned(),
                function: function.to_owned(),
            });
        }
    }
    tests
}

/// The row in a line, if it begins with a number.
fn row_in(line: &str) -> Option<Row> {
    let cells: Vec<_> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
    let number = cells[0].parse().ok()?;
    let [_, _, middle, last, ""] = cells[..] else {
        panic!("{number}: a row has four columns: {line}");
    };
    let there = !middle.starts_with(NOT_YET);
    Some(Row {
        number,
        tests: tests_in(if there { middle } else { last }),
        sizes: there.then(|| last.to_owned()),
    })
}

fn rows() -> Vec<Row> {
    read("docs/RELIABILITY.md")
        .lines()
        .filter_map(row_in)
        .collect()
}

/// The rows `P1`, `P2` and so on, of processes: what each names.
fn process_rows() -> Vec<(String, Vec<Named>)> {
    let page = read("docs/RELIABILITY.md");
    let rows = page.lines().filter(|line| line.starts_with("| P"));
    rows.map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let ["", number, _, tests, ""] = cells[..] else {
            panic!("a row has three columns: {line}");
        };
        (number.to_owned(), tests_in(tests))
    })
    .collect()
}

/// The functions of a source file, tests and others, each with its documentation
/// and attributes in front.
fn functions(text: &str) -> BTreeMap<String, (String, String)> {
    let mut found = BTreeMap::new();
    let (mut before, mut inside) = (String::new(), None::<(String, String)>);
    for line in text.lines() {
        if let Some((_, body)) = &mut inside {
            body.push_str(line);
            body.push('\n');
        } else if let Some(rest) = line.strip_prefix("fn ") {
            let end = rest.find(['(', '<']).expect("a function has arguments");
            inside = Some((rest[..end].to_owned(), format!("{line}\n")));
        } else if line.starts_with("///") || line.starts_with("#[") {
            before.push_str(line);
            before.push('\n');
        } else {
            before.clear();
        }
        // As it is formatted, a function ends where a brace is at the margin.
        let is_over = line == "}" || line.starts_with("fn ") && line.ends_with('}');
        if is_over && let Some((name, body)) = inside.take() {
            found.insert(name, (std::mem::take(&mut before), body));
        }
    }
    found
}

/// The numbers that documentation begins with, `Checklist 48 and 51: ..` for one.
fn numbers_in(before: &str) -> Vec<usize> {
    let prose = before.lines().filter_map(|line| line.strip_prefix("///"));
    let prose = prose.collect::<String>();
    let prose = prose.trim();
    let prose = prose.strip_prefix("Checklist ").unwrap_or(prose);
    prose
        .split_whitespace()
        .filter(|&word| word != "and")
        .map_while(|word| word.trim_end_matches([',', ':', '.']).parse().ok())
        .collect()
}

/// Whether a function tries pools of each size, itself or by one that it calls.
fn is_on_each_size(name: &str, all: &BTreeMap<String, (String, String)>) -> bool {
    let says_so = |body: &str| {
        ["on_each_size(", "for_each_size(", "SIZES"]
            .iter()
            .any(|way| body.contains(way))
    };
    let body = &all[name].1;
    let calls = |other: &str| body.contains(&format!(" {other}("));
    says_so(body)
        || all
            .iter()
            .any(|(other, (_, body))| calls(other) && says_so(body))
}

#[test]
fn every_behaviour_has_one_row() {
    let mut numbers: Vec<_> = rows().iter().map(|row| row.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=BEHAVIOURS).collect::<Vec<_>>());
}

#[test]
fn the_promises_of_processes_are_numbered_and_tested() {
    let rows = process_rows();
    assert!(!rows.is_empty());
    for (index, (number, tests)) in rows.iter().enumerate() {
        assert_eq!(*number, format!("P{}", index + 1));
        assert!(!tests.is_empty(), "{number}: by which test?");
    }
}

#[test]
fn every_test_of_a_row_exists_and_is_run() {
    let rows = rows()
        .into_iter()
        .map(|row| (row.number.to_string(), row.tests));
    for (number, tests) in rows.chain(process_rows()) {
        for Named { file, function } in &tests {
            let functions = functions(&read(file));
            let Some((before, _)) = functions.get(function) else {
                panic!("{number}: {file} has no {function}");
            };
            let is_test = before.contains("#[test]\n") && !before.contains("#[ignore");
            assert!(is_test, "{number}: {function} is not run");
        }
    }
}

#[test]
fn what_is_promised_is_tested_by_a_test_that_says_the_number() {
    for row in rows().iter().filter(|row| row.sizes.is_some()) {
        let says_it = row.tests.iter().any(|Named { file, function }| {
            numbers_in(&functions(&read(file))[function].0).contains(&row.number)
        });
        assert!(says_it, "{}: no test says the number", row.number);
    }
}

#[test]
fn the_sizes_are_those_that_the_tests_try() {
    for row in rows() {
        let Some(sizes) = row.sizes else {
            continue;
        };
        assert!(!sizes.is_empty(), "{}: on which pools?", row.number);
        let on_each = row
            .tests
            .iter()
            .any(|Named { file, function }| is_on_each_size(function, &functions(&read(file))));
        assert_eq!(sizes == EACH_SIZE, on_each, "{}: {sizes}", row.number);
    }
}

/// 26: whatever is tried on each size is tried on one thread.
#[test]
fn one_thread_is_among_the_sizes() {
    let sizes = common::SIZES.map(|size| size.to_string());
    assert_eq!(sizes.join(", "), EACH_SIZE);
    assert_eq!(common::SIZES[0], 1);
    let tried = rows()
        .iter()
        .filter(|row| row.sizes.as_deref() == Some(EACH_SIZE))
        .count();
    assert!(tried >= 40, "that is not the whole suite: {tried}");
}

#[test]
fn rows_and_tests_are_read_as_they_are_written() {
    assert!(row_in("| nr | promise | tests | threads |").is_none());
    let row = row_in("| 7 | It is. | [a](../tests/a.rs): `b`, `c`; [d](../tests/d.rs): `e` | 1 |");
    let row = row.unwrap();
    assert_eq!((row.number, row.sizes.as_deref()), (7, Some("1")));
    let named = |file: &str, function: &str| Named {
        file: file.to_owned(),
        function: function.to_owned(),
    };
    let expected = ["b", "c"].map(|function| named("tests/a.rs", function));
    assert_eq!(row.tests[..2], expected);
    assert_eq!(row.tests[2..], [named("tests/d.rs", "e")]);
    let row = row_in("| 8 | It will. | not yet: it is not | - |").unwrap();
    assert!(row.sizes.is_none() && row.tests.is_empty());

    assert_eq!(numbers_in("/// Checklist 48 and 51: running.\n"), [48, 51]);
    assert_eq!(numbers_in("/// 48, 50: queued\n/// 60 jobs\n"), [48, 50]);
    assert_eq!(numbers_in("/// Checklist 7.\n#[test]\n"), [7]);
    assert!(numbers_in("/// The last of 7.\n").is_empty());

    let text = "/// 9: it.\n#[test]\nfn a() {\n    b(2);\n}\n\nfn b(n: u8) {\n    SIZES;\n}\n";
    let all = functions(text);
    assert_eq!(all["a"].0, "/// 9: it.\n#[test]\n");
    assert!(is_on_each_size("a", &all) && all["b"].0.is_empty());
}
