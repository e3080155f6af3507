//! The tables that people read.

use std::fmt::Write;

use crate::parent::Outcome;
use crate::question::{Better, FLOOR, Figure, OURS, Processes, Question, Settings};
use crate::stats::{median, sorted};
use crate::{questions, system};

/// One library's rounds, summed up.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub library: String,
    pub median: f64,
    pub min: f64,
    pub max: f64,
    pub rounds: usize,
}

/// A figure's rows, the best one first.
pub fn rows(figure: &Figure, outcome: &Outcome) -> Vec<Row> {
    let mine = outcome
        .figures
        .iter()
        .filter(|((name, _), _)| name == figure.name);
    let mut rows: Vec<_> = mine
        .map(|((_, library), values)| {
            let sorted = sorted(values);
            Row {
                library: library.clone(),
                median: median(values),
                min: sorted[0],
                max: sorted[sorted.len() - 1],
                rounds: values.len(),
            }
        })
        .collect();
    rows.sort_by(|a, b| match figure.better {
        Better::Lower => a.median.total_cmp(&b.median),
        Better::Higher => b.median.total_cmp(&a.median),
    });
    // What the machine allows leads the list, whatever its value.
    rows.sort_by_key(|row| row.library != FLOOR);
    rows
}

pub fn heading(settings: &Settings) -> String {
    format!(
        "{} pool threads, {} cores{}; median, min and max of each library's rounds\n",
        settings.threads,
        system::cores(),
        settings.pick("", ", quick: small rounds, for a first look"),
    )
}

pub fn progress(
    question: &Question,
    settings: &Settings,
    only: Option<&str>,
    round: usize,
) -> String {
    let mut text = String::new();
    if let Some(library) = only {
        let _ = write!(text, "{library}, ");
    }
    if let Processes::PerThreads(_) = question.processes {
        let _ = write!(text, "{} threads, ", settings.threads);
    }
    if round == 0 && question.rounds.warm_up {
        return text + "warming up";
    }
    let first = usize::from(!question.rounds.warm_up);
    let rounds = settings.pick(question.rounds.full, question.rounds.quick);
    let _ = write!(text, "round {} of {rounds}", round + first);
    text
}

/// A question's figures, one block each.
pub fn table(question: &Question, outcome: &Outcome) -> String {
    let mut text = format!("{}: {}\n", question.name, question.about);
    for figure in question.figures {
        let rows = rows(figure, outcome);
        if rows.is_empty() {
            continue;
        }
        block(&mut text, figure, &rows);
    }
    for line in &outcome.skipped {
        let _ = writeln!(text, "  skipped {line}");
    }
    for line in &outcome.failed {
        let _ = writeln!(text, "  failed: {line}");
    }
    text
}

fn block(text: &mut String, figure: &Figure, rows: &[Row]) {
    let better = match figure.better {
        Better::Lower => "lower is better",
        Better::Higher => "higher is better",
    };
    let title = format!("{}, {}, {better}", figure.name, figure.unit);
    let (median, min, max) = ("median", "min", "max");
    let _ = writeln!(text, "\n  {title:<64}{median:>10}{min:>10}{max:>10}");
    let peer = best_peer(rows);
    for row in rows {
        let _ = write!(
            text,
            "    {:<62}{:>10}{:>10}{:>10}",
            row.library,
            number(row.median),
            number(row.min),
            number(row.max)
        );
        let note = match peer {
            _ if row.library == FLOOR => String::new(),
            Some(peer) if peer.library == row.library => "  best peer".to_owned(),
            Some(peer) => against(figure, row.median, peer.median),
            None => String::new(),
        };
        let _ = writeln!(text, "{note}");
    }
}

/// The best of those that are neither ours nor the machine.
pub fn best_peer(rows: &[Row]) -> Option<&Row> {
    // Rows of ours in another manner of use begin with its name too.
    rows.iter()
        .find(|row| row.library != FLOOR && !row.library.starts_with(OURS))
}

/// How a value stands to the best peer's.
fn against(figure: &Figure, value: f64, peer: f64) -> String {
    if value <= 0.0 || peer <= 0.0 {
        return String::new();
    }
    let ratio = match figure.better {
        Better::Lower => peer / value,
        Better::Higher => value / peer,
    };
    if ratio >= 1.0 {
        format!("  {ratio:.2}x better")
    } else {
        format!("  {:.2}x worse", 1.0 / ratio)
    }
}

/// Three digits that count, and all those before the point.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0 => 0,
        size if size < 0.1 => 4,
        size if size < 1.0 => 3,
        size if size < 10.0 => 2,
        size if size < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

/// The questions' names and what they measure.
pub fn list() -> String {
    let mut text = String::new();
    for question in questions::ALL {
        let _ = writeln!(text, "{:<24}{}", question.name, question.about);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Figure = Figure::lower("burst", "us");
    const SHARE: Figure = Figure::higher("grain_1us", "%");

    fn outcome(figure: &str, values: &[(&str, &[f64])]) -> Outcome {
        let mut outcome = Outcome::default();
        for (library, values) in values {
            let key = (figure.to_owned(), (*library).to_owned());
            outcome.figures.insert(key, values.to_vec());
        }
        outcome
    }

    #[test]
    fn the_floor_leads_and_the_rest_is_in_order() {
        let values: [(&str, &[f64]); 4] = [
            ("rayon", &[9.0, 8.0, 10.0]),
            ("windlass", &[2.0, 3.0, 1.0]),
            ("floor", &[100.0]),
            ("tokio", &[4.0]),
        ];
        let names = |figure: &Figure, outcome| -> Vec<String> {
            let rows = rows(figure, &outcome);
            assert_eq!(
                best_peer(&rows).unwrap().library,
                if figure.name == "burst" {
                    "tokio"
                } else {
                    "rayon"
                }
            );
            rows.into_iter().map(|row| row.library).collect()
        };
        let lower = names(&TIME, outcome("burst", &values));
        assert_eq!(lower, ["floor", "windlass", "tokio", "rayon"]);
        let higher = names(&SHARE, outcome("grain_1us", &values));
        assert_eq!(higher, ["floor", "rayon", "tokio", "windlass"]);
        let rows = rows(&TIME, &outcome("burst", &values));
        assert_eq!(
            (rows[1].median, rows[1].min, rows[1].max, rows[1].rounds),
            (2.0, 1.0, 3.0, 3)
        );
    }

    #[test]
    fn better_is_said_the_right_way_round() {
        assert_eq!(against(&TIME, 2.0, 8.0), "  4.00x better");
        assert_eq!(against(&TIME, 8.0, 2.0), "  4.00x worse");
        assert_eq!(against(&SHARE, 90.0, 45.0), "  2.00x better");
        assert_eq!(against(&SHARE, 45.0, 90.0), "  2.00x worse");
        assert_eq!(against(&TIME, 0.0, 1.0), "");
    }

    #[test]
    fn numbers_keep_what_counts() {
        let shown = [0.0, 0.01234, 0.5678, 3.456, 45.67, 456.7, 12345.6].map(number);
        assert_eq!(
            shown,
            ["0", "0.0123", "0.568", "3.46", "45.7", "457", "12346"]
        );
    }

    #[test]
    fn progress_counts_from_one() {
        let settings = Settings {
            threads: 2,
            quick: true,
        };
        let question = questions::ALL
            .iter()
            .find(|each| each.rounds.warm_up)
            .unwrap();
        assert!(progress(question, &settings, None, 0).ends_with("warming up"));
        assert!(progress(question, &settings, None, 1).ends_with("round 1 of 7"));
        let question = questions::ALL
            .iter()
            .find(|each| !each.rounds.warm_up)
            .unwrap();
        assert!(progress(question, &settings, None, 0).contains("round 1 of "));
    }
}
