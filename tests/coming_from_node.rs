//! Promise: whoever comes from Node finds every name they know in
//! `docs/coming-from-node.md`, with something said about it, and what it says to
//! write exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What a reader looks up, and under which heading it has a row of its own.
const SURFACE: &[(&str, &[&str])] = &[
    (
        "The module",
        &[
            "Worker",
            "isMainThread",
            "isInternalThread",
            "parentPort",
            "workerData",
            "threadId",
            "threadName",
            "resourceLimits",
            "SHARE_ENV",
            "setEnvironmentData",
            "getEnvironmentData",
            "markAsUntransferable",
            "isMarkedAsUntransferable",
            "markAsUncloneable",
            "moveMessagePortToContext",
            "receiveMessageOnPort",
            "postMessageToThread",
            "'workerMessage'",
            "ERR_WORKER_MESSAGING_FAILED",
            "ERR_WORKER_MESSAGING_SAME_THREAD",
            "ERR_WORKER_MESSAGING_ERRORED",
            "ERR_WORKER_MESSAGING_TIMEOUT",
            "locks",
            "structuredClone",
            "MessageChannel",
            "MessagePort",
            "BroadcastChannel",
            "process.on('worker')",
            "diagnostics_channel",
        ],
    ),
    (
        "new Worker: options",
        &[
            "filename",
            "eval",
            "workerData",
            "transferList",
            "name",
            "env",
            "argv",
            "execArgv",
            "stdin",
            "stdout",
            "stderr",
            "trackUnmanagedFds",
            "resourceLimits",
            "maxOldGenerationSizeMb",
            "maxYoungGenerationSizeMb",
            "codeRangeSizeMb",
            "stackSizeMb",
        ],
    ),
    (
        "Worker: methods and properties",
        &[
            "postMessage",
            "on",
            "once",
            "off",
            "terminate",
            "ref",
            "unref",
            "threadId",
            "threadName",
            "resourceLimits",
            "stdin",
            "stdout",
            "stderr",
            "performance.eventLoopUtilization",
            "cpuUsage",
            "getHeapStatistics",
            "getHeapSnapshot",
            "startCpuProfile",
            "startHeapProfile",
            "[Symbol.asyncDispose]",
        ],
    ),
    (
        "Worker: events",
        &[
            "'online'",
            "'message'",
            "'messageerror'",
            "'error'",
            "'exit'",
        ],
    ),
    (
        "Inside a worker",
        &[
            "process.exit",
            "process.on('exit')",
            "process.chdir",
            "process.setuid",
            "process.abort",
            "process.on('SIGINT')",
            "require",
            "await",
            "setTimeout",
            "Worker",
            "parentPort.close",
            "AsyncLocalStorage",
        ],
    ),
    (
        "The event loop",
        &[
            "setTimeout",
            "setInterval",
            "setImmediate",
            "clearTimeout",
            "clearInterval",
            "clearImmediate",
            "process.on('beforeExit')",
            "process.on('uncaughtException')",
            "monitorEventLoopDelay",
        ],
    ),
    (
        "MessageChannel and MessagePort",
        &[
            "new MessageChannel",
            "port1",
            "port2",
            "postMessage",
            "on('message')",
            "onmessage",
            "start",
            "'message'",
            "'messageerror'",
            "onmessageerror",
            "'close'",
            "close",
            "ref",
            "unref",
            "hasRef",
            "MessageEvent.ports",
        ],
    ),
    (
        "BroadcastChannel",
        &[
            "new BroadcastChannel",
            "name",
            "postMessage",
            "onmessage",
            "onmessageerror",
            "close",
            "ref",
            "unref",
        ],
    ),
    (
        "Clone, transfer, share",
        &[
            "transferList",
            "ArrayBuffer",
            "Buffer",
            "MessagePort",
            "FileHandle",
            "net.Socket",
            "net.Server",
            "ReadableStream",
            "WritableStream",
            "TransformStream",
            "AbortSignal",
            "CryptoKey",
            "KeyObject",
            "X509Certificate",
            "Histogram",
            "BlockList",
            "SocketAddress",
            "Blob",
            "DataCloneError",
            "ERR_MISSING_MESSAGE_PORT_IN_TRANSFER_LIST",
            "ERR_WORKER_NOT_RUNNING",
            "ERR_WORKER_OUT_OF_MEMORY",
        ],
    ),
    (
        "SharedArrayBuffer and Atomics",
        &[
            "SharedArrayBuffer",
            "Int32Array",
            "Atomics.load",
            "Atomics.store",
            "Atomics.add",
            "Atomics.sub",
            "Atomics.and",
            "Atomics.or",
            "Atomics.xor",
            "Atomics.exchange",
            "Atomics.compareExchange",
            "Atomics.isLockFree",
            "Atomics.wait",
            "Atomics.waitAsync",
            "Atomics.notify",
        ],
    ),
    (
        "Piscina",
        &[
            "filename",
            "name",
            "run",
            "minThreads",
            "maxThreads",
            "idleTimeout",
            "maxQueue",
            "queueSize",
            "drain",
            "needsDrain",
            "concurrentTasksPerWorker",
            "signal",
            "AbortSignal.timeout",
            "transferList",
            "move",
            "transferableSymbol",
            "valueSymbol",
            "taskQueue",
            "queueOptionsSymbol",
            "loadBalancer",
            "histogram",
            "runTime",
            "waitTime",
            "workerHistogram",
            "recordTiming",
            "utilization",
            "completed",
            "duration",
            "threads",
            "options",
            "resourceLimits",
            "env",
            "argv",
            "execArgv",
            "workerData",
            "trackUnmanagedFds",
            "niceIncrement",
            "atomics",
            "close",
            "force",
            "closeTimeout",
            "destroy",
            "[Symbol.asyncDispose]",
            "'error'",
            "'message'",
            "'workerCreate'",
            "'workerDestroy'",
            "isWorkerThread",
            "version",
        ],
    ),
    (
        "libuv's work queue",
        &[
            "uv_queue_work",
            "uv_work_t",
            "uv_cancel",
            "UV_ECANCELED",
            "UV_EBUSY",
            "UV_THREADPOOL_SIZE",
            "uv_async_send",
            "uv_async_init",
            "uv_run",
            "uv_backend_fd",
            "uv_backend_timeout",
            "uv_ref",
            "uv_unref",
            "uv_has_ref",
        ],
    ),
];

/// What the tables call things of this library by.
const RECEIVERS: [&str; 10] = [
    "pool", "main", "worker", "parent", "port", "news", "array", "handle", "this", "remote",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/coming-from-node.md")).unwrap()
}

/// What stands between backticks.
fn spans(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of a page's tables, cell by cell, by the heading they stand under;
/// without the lines of hyphens.
fn rows(page: &str) -> BTreeMap<&str, Vec<Vec<&str>>> {
    let mut rows: BTreeMap<&str, Vec<Vec<&str>>> = BTreeMap::new();
    let mut heading = "";
    let mut in_code = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_code = !in_code;
        } else if in_code {
        } else if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        } else if let Some(row) = line.strip_prefix('|')
            && !row.starts_with("---")
        {
            let row = row.strip_suffix('|').expect("a row ends as it begins");
            let cells = row.split('|').map(str::trim).collect();
            rows.entry(heading).or_default().push(cells);
        }
    }
    rows
}

/// All of the library's source, but for its models.
fn source() -> String {
    let mut text = String::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    text
}

/// The identifier that a text begins with.
fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// The methods that a piece of code calls on something of this library: on one
/// of the receivers, on a builder, or by a path.
fn calls(span: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for receiver in RECEIVERS {
        let call = format!("{receiver}.");
        found.extend(span.match_indices(&call).filter_map(|(at, _)| {
            let before = span[..at].chars().next_back();
            let apart = before.is_none_or(|c| !c.is_alphanumeric() && !"_.".contains(c));
            apart.then(|| identifier(&span[at + call.len()..]))
        }));
    }
    for path in ["PoolBuilder::", "JoinError::", "Worker::", "windlass::"] {
        let after = span
            .match_indices(path)
            .map(|(at, _)| &span[at + path.len()..]);
        found.extend(after.map(identifier));
    }
    found.extend(span.strip_prefix('.').map(identifier));
    found
}

#[test]
fn every_name_has_a_row() {
    let page = page();
    let rows = rows(&page);
    let mut missing = Vec::new();
    for (heading, names) in SURFACE {
        let there: BTreeSet<_> = rows
            .get(heading)
            .unwrap_or_else(|| panic!("no table under {heading:?}"))
            .iter()
            .flat_map(|row| spans(row[0]))
            .collect();
        let not_there = names.iter().filter(|name| !there.contains(*name));
        missing.extend(not_there.map(|name| format!("{heading}: {name}")));
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_row_says_something() {
    let page = page();
    for (heading, rows) in rows(&page) {
        let columns = rows[0].len();
        for row in rows {
            let last = row.last().unwrap();
            assert!(!last.is_empty(), "{heading}: {row:?}");
            // The table of errors has one column less than the one above it.
            assert!((2..=columns).contains(&row.len()), "{heading}: {row:?}");
        }
    }
}

/// A name has one row, so that two cannot contradict each other.
#[test]
fn no_name_has_two_rows() {
    let page = page();
    for (heading, rows) in rows(&page) {
        let mut seen = BTreeSet::new();
        for name in rows.iter().flat_map(|row| spans(row[0])) {
            assert!(seen.insert(name), "{heading}: {name} has two rows");
        }
    }
}

#[test]
fn what_the_tables_say_to_write_exists() {
    let (page, source) = (page(), source());
    let mut called = BTreeSet::new();
    for (_, rows) in rows(&page) {
        for last in rows.iter().filter_map(|row| row.last()) {
            called.extend(spans(last).into_iter().flat_map(calls));
        }
    }
    assert!(called.len() > 50, "the calls were not found: {called:?}");
    // Of the standard library, and derived or implemented here.
    called.remove("clone");
    let absent: Vec<_> = called
        .iter()
        .filter(|name| {
            !["(", "<"]
                .map(|end| source.contains(&format!("pub fn {name}{end}")))
                .contains(&true)
        })
        .collect();
    assert!(absent.is_empty(), "{absent:?}");
}

#[test]
fn rows_spans_and_calls_are_read_as_they_are_written() {
    let page =
        "# One\n| a | `b` |\n|---|---|\n| `c`, `d` | |\n```\n| no row |\n```\n## Two\ntext\n";
    let expected = vec![vec!["a", "`b`"], vec!["`c`, `d`", ""]];
    assert_eq!(rows(page), BTreeMap::from([("One", expected)]));
    assert_eq!(spans("`c`, `d e` f"), ["c", "d e"]);
    assert_eq!(calls("main.on_message(&port, ..)"), ["on_message"]);
    assert_eq!(
        calls("main.on_complete(port.closed(), ..)"),
        ["on_complete", "closed"]
    );
    assert_eq!(calls("windlass::channel::<A, B>()"), ["channel"]);
    assert_eq!(calls(".mailbox(n)"), ["mailbox"]);
    assert_eq!(calls("domain.name, std::fs::File"), [""; 0]);
}
