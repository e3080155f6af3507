//! What the command line says.

use std::path::{Path, PathBuf};

use crate::question::{Question, Settings};
use crate::questions;

pub const HELP: &str = "\
windlass and its peers in one run

Usage: cargo bench -p windlass-versus -- [OPTIONS] [QUESTION...]

Without a QUESTION all are asked. The table goes to standard output, progress
to standard error. Leave the machine alone meanwhile.

Options:
  --quick        small rounds, all questions in under 5 minutes on 2 cores
  --threads N    threads of each pool (default: 2)
  --json FILE    write the figures as JSON too
  --plot DIR     draw lateness.svg and grain.svg from this run's figures
  --list         name the questions
  --help         this text

FILE and DIR are taken from the repository's root, wherever cargo was called.
Exit code: 0, or 1 if a question has failed, or 2 for wrong arguments.
";

/// What to do, and how.
#[derive(Debug)]
pub struct Arguments {
    pub task: Task,
    pub settings: Settings,
    pub json: Option<PathBuf>,
    pub plot: Option<PathBuf>,
}

#[derive(Debug)]
pub enum Task {
    Compare(Vec<&'static Question>),
    Help,
    List,
    /// Be the process that asks one question.
    Child(Part),
    /// Be a busy neighbour.
    Burn,
    /// Be the process at the other end of a socket.
    #[cfg(unix)]
    Answer,
}

/// The part of a run that one child does.
#[derive(Debug)]
pub struct Part {
    pub question: &'static Question,
    /// This library alone.
    pub only: Option<String>,
    /// Not these: they have failed before.
    pub without: Vec<String>,
    /// One round, without a word about it.
    pub once: bool,
}

/// Cargo starts a bench in its package's folder, which is not where the user is.
fn in_repository(path: impl AsRef<Path>) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

impl Arguments {
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut words = words;
        let mut settings = Settings {
            threads: 2,
            quick: false,
        };
        let (mut json, mut plot, mut other) = (None, None, None);
        let mut questions = Vec::new();
        let (mut is_child, mut once) = (false, false);
        let (mut only, mut without) = (None, Vec::new());
        while let Some(word) = words.next() {
            let mut value = |what: &str| words.next().ok_or(format!("{word} needs {what}"));
            match word.as_str() {
                // What cargo passes to every benchmark.
                "--bench" => {}
                "--quick" => settings.quick = true,
                "--threads" => settings.threads = threads(&value("a number of threads")?)?,
                "--json" => json = Some(in_repository(value("a file")?)),
                "--plot" => plot = Some(in_repository(value("a folder")?)),
                "--help" | "-h" => other = Some(Task::Help),
                "--list" => other = Some(Task::List),
                // How this program starts itself.
                "--burn" => other = Some(Task::Burn),
                #[cfg(unix)]
                "--answer" => other = Some(Task::Answer),
                "--child" => is_child = true,
                "--once" => once = true,
                "--only" => only = Some(value("a library")?),
                "--without" => without.push(value("a library")?),
                _ if word.starts_with('-') => return Err(format!("unknown option {word}")),
                name => questions.push(question(name)?),
            }
        }
        let task = match other {
            Some(task) => task,
            None if is_child => Task::Child(Part {
                question: questions.first().ok_or("--child needs a question")?,
                only,
                without,
                once,
            }),
            None if questions.is_empty() => Task::Compare(questions::ALL.iter().collect()),
            None => Task::Compare(questions),
        };
        Ok(Self {
            task,
            settings,
            json,
            plot,
        })
    }
}

fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(threads @ 1..=256) => Ok(threads),
        _ => Err(format!(
            "--threads takes a number from 1 to 256, not {text:?}"
        )),
    }
}

fn question(name: &str) -> Result<&'static Question, String> {
    let found = questions::ALL.iter().find(|question| question.name == name);
    found.ok_or_else(|| {
        let names: Vec<_> = questions::ALL.iter().map(|each| each.name).collect();
        format!("unknown question {name:?}; there are: {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn nothing_said_means_every_question_on_two_threads() {
        let arguments = parse("--bench").unwrap();
        assert_eq!(arguments.settings.threads, 2);
        assert!(!arguments.settings.quick);
        let Task::Compare(questions) = arguments.task else {
            panic!("{arguments:?}");
        };
        assert_eq!(questions.len(), questions::ALL.len());
    }

    #[test]
    fn options_and_questions_come_in_any_order() {
        let line = "grain --quick --json a.json burst --threads 3 --plot img --bench";
        let arguments = parse(line).unwrap();
        assert_eq!(arguments.settings.threads, 3);
        assert!(arguments.settings.quick);
        assert!(arguments.json.as_ref().unwrap().ends_with("../../a.json"));
        assert!(arguments.plot.as_ref().unwrap().ends_with("../../img"));
        let Task::Compare(questions) = arguments.task else {
            panic!("{arguments:?}");
        };
        let names: Vec<_> = questions.iter().map(|question| question.name).collect();
        assert_eq!(names, ["grain", "burst"]);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, part) in [
            ("--quik", "--quik"),
            ("spawn_flod", "spawn_flod"),
            ("--threads", "--threads needs"),
            ("--threads 0", "\"0\""),
            ("--threads two", "\"two\""),
            ("--json", "--json needs"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }

    #[test]
    fn every_word_of_the_help_is_understood() {
        for word in HELP
            .split_whitespace()
            .filter(|word| word.starts_with("--"))
        {
            if word != "--" {
                assert!(
                    parse(&format!("{word} 1")).is_ok() || parse(word).is_ok(),
                    "{word}"
                );
            }
        }
    }
}
