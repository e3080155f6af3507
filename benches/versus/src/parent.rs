//! One process per question, watched.
//!
//! A question's process can crash (a peer that aborts) or hang (a peer that
//! loses a wake-up). It is then asked again without the library that was
//! running, so that the others have their figures, and the run fails at its end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::event::Event;
use crate::question::{Processes, Question, Settings};
use crate::{json, plot, report};

/// The longest that one library may take for one round.
const PATIENCE: Duration = Duration::from_secs(60);
const QUICK_PATIENCE: Duration = Duration::from_secs(20);

/// What a question gave.
#[derive(Default)]
pub struct Outcome {
    /// Each round's figure, by figure and library.
    pub figures: BTreeMap<(String, String), Vec<f64>>,
    /// Each round's distribution, by figure and library.
    pub curves: BTreeMap<(String, String), Vec<Vec<f64>>>,
    /// Who took no part, and why.
    pub skipped: Vec<String>,
    /// Who crashed or hung.
    pub failed: Vec<String>,
}

/// Asks the questions, prints the tables, writes the files.
pub fn run(questions: &[&'static Question], arguments: &Arguments) -> ExitCode {
    let begin = Instant::now();
    let settings = &arguments.settings;
    print!("{}", report::heading(settings));
    let mut outcomes = Vec::new();
    for (number, question) in questions.iter().enumerate() {
        eprintln!("[{}/{}] {}", number + 1, questions.len(), question.name);
        let asked = Instant::now();
        let outcome = ask(question, settings);
        eprintln!("    took {:.1} s", asked.elapsed().as_secs_f64());
        print!("\n{}", report::table(question, &outcome));
        outcomes.push((*question, outcome));
        // After each one, so that an interrupted run leaves what it has.
        if let Some(file) = &arguments.json {
            let _ = std::fs::write(file, json::rows(&outcomes));
        }
    }
    let mut complaints: Vec<_> = outcomes
        .iter()
        .flat_map(|(_, outcome)| outcome.failed.clone())
        .collect();
    if let Some(file) = &arguments.json
        && let Err(error) = std::fs::write(file, json::rows(&outcomes))
    {
        complaints.push(format!("could not write {}: {error}", file.display()));
    }
    if let Some(folder) = &arguments.plot {
        match plot::draw(folder, &outcomes) {
            Ok(pictures) => eprintln!("drew {}", pictures.join(", ")),
            Err(error) => complaints.push(format!("could not draw: {error}")),
        }
    }
    eprintln!("took {:.0} s", begin.elapsed().as_secs_f64());
    if complaints.is_empty() {
        return ExitCode::SUCCESS;
    }
    for complaint in complaints {
        eprintln!("failed: {complaint}");
    }
    ExitCode::FAILURE
}

fn ask(question: &Question, settings: &Settings) -> Outcome {
    let mut outcome = Outcome::default();
    match question.processes {
        Processes::One => insist(question, settings, None, &mut outcome),
        Processes::PerLibrary => {
            let field = (question.field)(settings);
            let skipped = field.skipped.iter();
            outcome.skipped = skipped
                .map(|(name, why)| format!("{name}: {why}"))
                .collect();
            for contender in &field.contenders {
                insist(question, settings, Some(contender.library), &mut outcome);
            }
        }
        Processes::PerThreads(sizes) => {
            for &threads in sizes {
                let settings = Settings {
                    threads,
                    ..*settings
                };
                insist(question, &settings, None, &mut outcome);
            }
        }
    }
    outcome
}

/// Asks until it works, each time without one more of those that fail.
fn insist(question: &Question, settings: &Settings, only: Option<&str>, outcome: &mut Outcome) {
    let mut without = Vec::new();
    loop {
        let mut attempt = Outcome::default();
        let Err((culprit, what)) = attempt.listen(question, settings, only, &without) else {
            outcome.take(attempt);
            return;
        };
        outcome.failed.push(format!("{}: {what}", question.name));
        match culprit {
            Some(library) if only.is_none() && !without.contains(&library) => {
                eprintln!("    {what}; again without {library}");
                without.push(library);
            }
            _ => return,
        }
    }
}

impl Outcome {
    fn take(&mut self, other: Self) {
        self.figures.extend(other.figures);
        self.curves.extend(other.curves);
        for line in other.skipped {
            if !self.skipped.contains(&line) {
                self.skipped.push(line);
            }
        }
    }

    /// Runs the child to its end. An error names who was running, and what
    /// happened.
    fn listen(
        &mut self,
        question: &Question,
        settings: &Settings,
        only: Option<&str>,
        without: &[String],
    ) -> Result<(), (Option<String>, String)> {
        let mut child = Reaped(
            start(question, settings, only, without)
                .map_err(|error| (None, format!("could not start a process: {error}")))?,
        );
        let output = child.0.stdout.take().expect("it is piped");
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let mut running = None;
        let patience = settings.pick(PATIENCE, QUICK_PATIENCE);
        loop {
            let who = || match &running {
                Some((library, round)) => format!("{library} in round {round}"),
                None => "the start".to_owned(),
            };
            let culprit = || running.as_ref().map(|(library, _)| String::clone(library));
            match lines.recv_timeout(patience) {
                Err(RecvTimeoutError::Timeout) => {
                    let what = format!("{} hung for {} s", who(), patience.as_secs());
                    return Err((culprit(), what));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let status = child
                        .0
                        .wait()
                        .map_or("gone".to_owned(), |status| status.to_string());
                    return Err((culprit(), format!("{} crashed ({status})", who())));
                }
                Ok(line) => match Event::read(&line) {
                    None => eprintln!("    {line}"),
                    Some(Event::Done) => return Ok(()),
                    Some(Event::Running { library, round }) => {
                        if running.as_ref().is_none_or(|(_, before)| *before != round) {
                            eprintln!("    {}", report::progress(question, settings, only, round));
                        }
                        running = Some((library, round));
                    }
                    Some(Event::Skipped { library, why }) => {
                        self.skipped.push(format!("{library}: {why}"));
                    }
                    Some(Event::Figure {
                        library,
                        figure,
                        value,
                    }) => self
                        .figures
                        .entry((figure, library))
                        .or_default()
                        .push(value),
                    Some(Event::Curve {
                        library,
                        figure,
                        values,
                    }) => self
                        .curves
                        .entry((figure, library))
                        .or_default()
                        .push(values),
                },
            }
        }
    }
}

/// A child that does not outlive its use.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(
    question: &Question,
    settings: &Settings,
    only: Option<&str>,
    without: &[String],
) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--child", question.name, "--threads"]);
    command.arg(settings.threads.to_string());
    if settings.quick {
        command.arg("--quick");
    }
    if let Some(only) = only {
        command.args(["--only", only]);
    }
    for library in without {
        command.args(["--without", library]);
    }
    // The pool of the crate `blocking` is the process's, and reads its size here.
    command.env("BLOCKING_MAX_THREADS", settings.threads.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()
}
