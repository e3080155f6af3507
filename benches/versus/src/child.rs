//! One question in this process.

use std::process::{Command, Stdio};

use crate::arguments::Part;
use crate::event::Event;
use crate::question::{Contender, Question, Round, Settings};
use crate::system;

/// Takes the libraries in turn, round after round, and tells the parent.
///
/// # Panics
/// If an answer is wrong: the parent sees that this process has ended, and knows
/// who was running.
pub fn run(part: &Part, settings: &Settings) {
    let question = part.question;
    let mut field = (question.field)(settings);
    for (library, why) in field.skipped {
        let library = library.to_owned();
        Event::Skipped { library, why }.send();
    }
    field.contenders.retain(|contender| {
        let excluded = part.without.iter().any(|name| name == contender.library);
        let wanted = part
            .only
            .as_ref()
            .is_none_or(|only| only == contender.library);
        wanted && !excluded
    });
    if part.once {
        system::end_with_parent();
        for contender in &mut field.contenders {
            tell(contender.library, (contender.round)(settings));
        }
        return;
    }
    let rounds = settings.pick(question.rounds.full, question.rounds.quick);
    let warm_up = usize::from(question.rounds.warm_up);
    let count = field.contenders.len();
    for round in 0..rounds + warm_up {
        for turn in 0..count {
            // Each round begins with another one: whoever comes after a library
            // that leaves the machine hot is not always the same.
            let contender = &mut field.contenders[(round + turn) % count];
            let library = contender.library.to_owned();
            Event::Running { library, round }.send();
            if contender.litters && part.only.is_none() {
                if round >= warm_up {
                    apart(question, contender, settings);
                }
                continue;
            }
            let result = (contender.round)(settings);
            if round >= warm_up {
                tell(contender.library, result);
            }
        }
    }
    Event::Done.send();
}

fn tell(library: &str, round: Round) {
    for (figure, value) in round.figures {
        Event::Figure {
            library: library.to_owned(),
            figure: figure.to_owned(),
            value,
        }
        .send();
    }
    for (figure, values) in round.curves {
        Event::Curve {
            library: library.to_owned(),
            figure: figure.to_owned(),
            values,
        }
        .send();
    }
}

/// A round in a process of its own, which tells our parent by itself.
fn apart(question: &Question, contender: &Contender, settings: &Settings) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.args([
        "--child",
        question.name,
        "--once",
        "--only",
        contender.library,
    ]);
    command.args(["--threads", &settings.threads.to_string()]);
    if settings.quick {
        command.arg("--quick");
    }
    let mut process = command.stdin(Stdio::piped()).spawn().expect("it starts");
    // Its input stays open until it has ended, or this process has.
    let input = process.stdin.take();
    let status = process.wait().expect("it was started");
    drop(input);
    assert!(status.success(), "{}: {status}", contender.library);
}
