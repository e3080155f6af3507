//! Node's worker_threads, Piscina, child_process and cluster, each a process with a
//! script.
//!
//! The process stays for all rounds of its question: a line in begins one, a line
//! of JSON ends it. Between rounds it sleeps.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

use crate::question::{Contender, Question, Round, Settings};

pub struct Script {
    pub library: &'static str,
    file: &'static str,
    /// The package it needs.
    package: Option<&'static str>,
}

pub const WORKER_THREADS: Script = Script {
    library: "node worker_threads",
    file: "worker_threads.mjs",
    package: None,
};

const PISCINA: Script = Script {
    library: "node Piscina",
    file: "piscina.mjs",
    package: Some("piscina"),
};

#[cfg(unix)]
pub const CHILD_PROCESS: Script = Script {
    library: "node child_process.fork",
    file: "child_process.mjs",
    package: None,
};

#[cfg(unix)]
pub const CLUSTER: Script = Script {
    library: "node cluster",
    file: "cluster.mjs",
    package: None,
};

/// The same with workers that accept themselves.
#[cfg(unix)]
pub const CLUSTER_SHARED: Script = Script {
    library: "node cluster, shared",
    file: "cluster.mjs",
    package: None,
};

pub const SCRIPTS: [&Script; 2] = [&WORKER_THREADS, &PISCINA];

/// A contender whose rounds are the script's, or why there is none. The script
/// gives `question`'s figures in their order.
pub fn contender(
    script: &'static Script,
    task: &str,
    arguments: &[u64],
    question: &'static Question,
) -> Result<Contender, String> {
    let mut rounds = rounds(script, task, arguments)?;
    Ok(Contender::new(script.library, move |settings| {
        let values = rounds(settings);
        assert_eq!(
            values.len(),
            question.figures.len(),
            "figures of {}",
            script.file
        );
        let names = question.figures.iter().map(|figure| figure.name);
        Round {
            figures: names.zip(values).collect(),
            curves: Vec::new(),
        }
    }))
}

/// What the script gives in each round, or why it gives nothing. Its process is
/// started for the first one.
pub fn rounds(
    script: &'static Script,
    task: &str,
    arguments: &[u64],
) -> Result<impl FnMut(&Settings) -> Vec<f64> + use<>, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../node");
    if let Some(package) = script.package
        && !folder.join("node_modules").join(package).is_dir()
    {
        return Err("not installed; `npm install` in benches/node does it".to_owned());
    }
    let version = Command::new("node")
        .arg("--version")
        .stderr(Stdio::null())
        .output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Err("there is no `node` here".to_owned());
    }
    let mut words = vec![task.to_owned()];
    words.extend(arguments.iter().map(u64::to_string));
    let mut process = None;
    Ok(move |settings: &Settings| {
        let process = process.get_or_insert_with(|| {
            let threads = settings.threads.to_string();
            Process::start(folder.join(script.file), &[&words[..], &[threads]].concat())
        });
        process.round()
    })
}

struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(script: PathBuf, words: &[String]) -> Self {
        let mut command = Command::new("node");
        command
            .arg(script)
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("node starts");
        Self {
            input: child.stdin.take().expect("it is piped"),
            output: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        }
    }

    fn round(&mut self) -> Vec<f64> {
        self.input.write_all(b"\n").expect("the script listens");
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .expect("the script answers");
        let values: Option<Vec<Value>> = serde_json::from_str(&line).ok();
        let values = values.unwrap_or_else(|| panic!("the script gave {line:?}"));
        values
            .iter()
            .map(|value| value.as_f64().expect("a number"))
            .collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
