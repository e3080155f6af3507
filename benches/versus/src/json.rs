//! The rows that programs read.

use serde_json::{Value, json};

use crate::parent::Outcome;
use crate::question::{Better, Question};
use crate::report;

/// A list of `{question, unit, better, library, median, min, max, rounds}`, one
/// line for each library and figure.
pub fn rows(outcomes: &[(&Question, Outcome)]) -> String {
    let mut lines = Vec::new();
    for (question, outcome) in outcomes {
        for figure in question.figures {
            let better = match figure.better {
                Better::Lower => "lower",
                Better::Higher => "higher",
            };
            for row in report::rows(figure, outcome) {
                let value: Value = json!({
                    "question": figure.name,
                    "unit": figure.unit,
                    "better": better,
                    "library": row.library,
                    "median": row.median,
                    "min": row.min,
                    "max": row.max,
                    "rounds": row.rounds,
                });
                lines.push(value.to_string());
            }
        }
    }
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions;

    #[test]
    fn a_row_has_these_keys_and_no_others() {
        let question = questions::ALL
            .iter()
            .find(|each| each.name == "burst")
            .unwrap();
        let mut outcome = Outcome::default();
        for library in ["windlass", "rayon"] {
            let key = ("burst".to_owned(), library.to_owned());
            outcome.figures.insert(key, vec![3.0, 1.0, 2.0]);
        }
        let text = rows(&[(question, outcome)]);
        let parsed: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(parsed.len(), 2);
        let expected = json!({
            "question": "burst", "unit": "us per burst", "better": "lower", "library": "rayon",
            "median": 2.0, "min": 1.0, "max": 3.0, "rounds": 3,
        });
        assert_eq!(parsed[0], expected);
        assert_eq!(parsed[1]["library"], "windlass");
    }

    #[test]
    fn no_figures_are_an_empty_list() {
        let parsed: Value = serde_json::from_str(&rows(&[])).unwrap();
        assert_eq!(parsed, json!([]));
    }
}
