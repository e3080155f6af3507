//! Promise: what Node's own tests say of `worker_threads` holds here as far as
//! it carries over. The lists are those of the `test-worker-*` files of Node
//! 25.8; each name is answered by one test whose documentation begins with
//! `Node: ` and the name.
//!
//! Of 148 files, 46 are about V8, files and options of Node, and have no
//! counterpart. Of some of the others a part has none:
//!
//! | test-worker- | what has no counterpart here |
//! |---|---|
//! | cpu-usage, eventlooputil | figures of processor time: none are measured |
//! | event | a hook called with each new worker |
//! | exit-code | codes other than 0 and 1, and changing them |
//! | messaging, messaging-errors-* | posting by number, with a receipt |
//! | resource-limits | limits of memory; a worker's stack, if it has a thread |
//! | stack-overflow | an error: the process ends |
//! | name | titles in a debugger; they are in errors |
//! | all of `TERMINATE` | ending a worker that does not ask: it is told, not stopped |

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Behaviours that carry over.
const PORTABLE: [&str; 64] = [
    "beforeexit-throw-exit",
    "broadcastchannel-wpt",
    "broadcastchannel",
    "cjs-workerdata",
    "cleanexit-with-js",
    "cleanexit-with-moduleload",
    "cleanup-handles",
    "console-listeners",
    "cpu-usage",
    "crypto-sign-transfer-result",
    "dispose.mjs",
    "environmentdata",
    "event",
    "exit-code",
    "exit-event-error",
    "exit-from-uncaught-exception",
    "hasref",
    "init-failure",
    "memory",
    "message-channel-sharedarraybuffer",
    "message-channel",
    "message-port-arraybuffer",
    "message-port-close-while-receiving",
    "message-port-close",
    "message-port-drain",
    "message-port-infinite-message-loop",
    "message-port-message-before-close",
    "message-port-message-port-transferring",
    "message-port-multiple-sharedarraybuffers",
    "message-port-receive-message",
    "message-port-transfer-terminate",
    "message-port",
    "messageport-hasref",
    "messaging-errors-handler",
    "messaging-errors-invalid",
    "messaging-errors-timeout",
    "messaging",
    "mjs-workerdata",
    "name",
    "nested-on-process-exit",
    "nested-uncaught",
    "on-process-exit",
    "onmessage-not-a-function",
    "onmessage",
    "parent-port-ref",
    "ref-onexit",
    "ref",
    "safe-getters",
    "sharedarraybuffer-from-worker-thread",
    "stack-overflow-stack-size",
    "stack-overflow",
    "terminate-nested",
    "terminate-null-handler",
    "terminate-ref-public-port",
    "terminate-unrefed",
    "thread-name",
    "uncaught-exception-async",
    "uncaught-exception",
    "unref-from-message-during-exit",
    "workerdata-messageport",
    "workerdata-sharedarraybuffer",
    // `test-worker.js` and `test-worker.mjs` have no name after that.
    "",
    "mjs",
    "eventlooputil",
];

/// Those about ending a worker from outside, or by its limits: cooperative here.
const TERMINATE: [&str; 21] = [
    "abort-on-uncaught-exception-terminate",
    "abort-on-uncaught-exception",
    "dns-terminate-during-query",
    "dns-terminate",
    "esm-exit",
    "fs-stat-watcher",
    "http2-generic-streams-terminate",
    "http2-stream-terminate",
    "message-port-terminate-transfer-list",
    "nearheaplimit-deadlock",
    "nexttick-terminate",
    "process-exit-async-module",
    "resource-limits",
    "terminate-http2-respond-with-file",
    "terminate-microtask-loop",
    "terminate-timers",
    "vm-context-terminate",
    "voluntarily-exit-followed-by-addition",
    "voluntarily-exit-followed-by-throw",
    "fshandles-error-on-termination",
    "fshandles-open-close-on-termination",
];

/// Those that the compiler answers.
const COMPILE_TIME: [&str; 17] = [
    "invalid-workerdata",
    "message-mark-as-uncloneable",
    "message-not-serializable",
    "message-port-constructor",
    "message-port-jstransferable-nested-untransferable",
    "message-port-transfer-closed",
    "message-port-transfer-duplicate",
    "message-port-transfer-fake-js-transferable-internal",
    "message-port-transfer-fake-js-transferable",
    "message-port-transfer-filehandle",
    "message-port-transfer-native",
    "message-port-transfer-self",
    "message-port-transfer-target",
    "message-transfer-port-mark-as-untransferable",
    "message-type-unknown",
    "no-sab",
    "type-check",
];

/// What begins the documentation of a test that answers one of Node's.
const ANSWERS: &str = "/// Node: test-worker";

/// One answer: the name, the file, and what is documented.
struct Answer {
    name: String,
    file: String,
    item: String,
}

/// The name in a line of documentation.
fn name_in(line: &str) -> Option<String> {
    let rest = line.strip_prefix(ANSWERS)?;
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.';
    let end = rest.find(|c| !is_of_name(c)).unwrap_or(rest.len());
    let name = rest[..end].trim_end_matches('.');
    Some(name.trim_start_matches(['-', '.']).to_owned())
}

/// The answers in one file. An item is what follows the documentation: a test
/// with its attributes, or a struct.
fn answers_in(file: &str, text: &str) -> Vec<Answer> {
    let lines: Vec<_> = text.lines().collect();
    let mut answers = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let Some(name) = name_in(line) else {
            continue;
        };
        let after = lines[number..]
            .iter()
            .skip_while(|line| line.starts_with("///"));
        let item: Vec<_> = after
            .copied()
            .scan(false, |done, line| {
                let more = !*done;
                *done = !line.starts_with('#');
                more.then_some(line)
            })
            .collect();
        answers.push(Answer {
            name,
            file: file.to_owned(),
            item: item.join("\n"),
        });
    }
    answers
}

/// The answers in the files of a folder that `is_one` of them.
fn answers(folder: &str, is_one: fn(&str) -> bool) -> Vec<Answer> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut answers = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".rs") && is_one(&name) {
            let file = format!("{folder}/{name}");
            answers.extend(answers_in(&file, &fs::read_to_string(path).unwrap()));
        }
    }
    answers
}

/// Each name of the lists has one answer, each answer a name of the lists.
fn compare(names: &[&str], answers: &[Answer]) {
    let mut by_name = BTreeMap::<&str, Vec<&str>>::new();
    for answer in answers {
        by_name.entry(&answer.name).or_default().push(&answer.file);
    }
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !by_name.contains_key(*name))
        .collect();
    let unknown: Vec<_> = by_name
        .keys()
        .filter(|name| !names.contains(name))
        .collect();
    let twice: Vec<_> = by_name
        .iter()
        .filter(|(_, files)| files.len() > 1)
        .collect();
    assert!(missing.is_empty(), "not answered: {missing:#?}");
    assert!(unknown.is_empty(), "not in the lists: {unknown:#?}");
    assert!(twice.is_empty(), "answered more than once: {twice:#?}");
}

#[test]
fn every_behaviour_of_nodes_tests_is_answered_by_one_test() {
    let answers = answers("tests", |name| name != "node_coverage.rs");
    for Answer { name, file, item } in &answers {
        assert!(
            item.starts_with("#[test]\n"),
            "{file}: {name} is no test: {item}"
        );
        assert!(item.contains("\nfn "), "{file}: {name} is no test: {item}");
        assert!(
            !item.contains("ignore"),
            "{file}: {name} is not run: {item}"
        );
    }
    compare(&[&PORTABLE[..], &TERMINATE[..]].concat(), &answers);
}

#[test]
fn every_behaviour_that_the_compiler_answers_has_a_failing_example() {
    let is_one = |name: &str| name.starts_with("compile_fail");
    let answers = answers("src", is_one);
    for Answer { name, file, item } in &answers {
        assert!(item.starts_with("struct "), "{file}: {name}: {item}");
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let text = fs::read_to_string(path).unwrap();
        let documented = text.split(item).next().unwrap();
        let documented = documented.rsplit("\n\n").next().unwrap();
        let fails = documented.matches("```compile_fail,E").count();
        let twins = documented.matches("/// ```\n/// ").count();
        assert!(fails >= 1, "{file}: {name} has nothing that fails");
        assert!(twins >= 1, "{file}: {name} has no twin that compiles");
    }
    compare(&COMPILE_TIME, &answers);
    let lib = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    assert!(
        lib.unwrap().contains("mod compile_fail_messages;"),
        "it is compiled"
    );
}

#[test]
fn names_are_read_as_they_are_written() {
    let name = |line| name_in(line).unwrap();
    assert_eq!(name("/// Node: test-worker. More"), "");
    assert_eq!(name("/// Node: test-worker.mjs. More"), "mjs");
    assert_eq!(name("/// Node: test-worker-dispose.mjs."), "dispose.mjs");
    assert_eq!(name("/// Node: test-worker-ref-onexit. To"), "ref-onexit");
    assert!(name_in("/// As Node: test-worker-ref.").is_none());
    let text = "/// Node: test-worker-ref. It\n/// goes on.\n#[test]\n#[cfg(unix)]\nfn it() {\n}\n";
    let [answer] = &answers_in("file", text)[..] else {
        unreachable!("one answer");
    };
    assert_eq!(answer.item, "#[test]\n#[cfg(unix)]\nfn it() {");
}
