//! What a child tells its parent: a line of JSON each, on standard output.

use serde_json::{Value, json};

#[derive(Debug, PartialEq)]
pub enum Event {
    /// It begins a round with this library.
    Running { library: String, round: usize },
    /// One round's figure.
    Figure {
        library: String,
        figure: String,
        value: f64,
    },
    /// One round's distribution.
    Curve {
        library: String,
        figure: String,
        values: Vec<f64>,
    },
    /// This library does not take part.
    Skipped { library: String, why: String },
    /// It is through.
    Done,
}

impl Event {
    pub fn send(&self) {
        println!("{}", self.to_json());
    }

    fn to_json(&self) -> Value {
        match self {
            Self::Running { library, round } => json!({"running": library, "round": round}),
            Self::Figure {
                library,
                figure,
                value,
            } => json!({"library": library, "figure": figure, "value": value}),
            Self::Curve {
                library,
                figure,
                values,
            } => json!({"library": library, "curve": figure, "values": values}),
            Self::Skipped { library, why } => json!({"skipped": library, "why": why}),
            Self::Done => json!("done"),
        }
    }

    /// `None` for a line that is something else, such as a library's own words.
    pub fn read(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        if value == "done" {
            return Some(Self::Done);
        }
        let text = |key: &str| Some(value.get(key)?.as_str()?.to_owned());
        if let Some(library) = text("running") {
            let round = value.get("round")?.as_u64()? as usize;
            return Some(Self::Running { library, round });
        }
        if let Some(library) = text("skipped") {
            let why = text("why")?;
            return Some(Self::Skipped { library, why });
        }
        let library = text("library")?;
        if let Some(figure) = text("curve") {
            let values = value.get("values")?.as_array()?;
            let values = values.iter().map(Value::as_f64).collect::<Option<_>>()?;
            return Some(Self::Curve {
                library,
                figure,
                values,
            });
        }
        Some(Self::Figure {
            library,
            figure: text("figure")?,
            value: value.get("value")?.as_f64()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_read() {
        let library = || "rayon".to_owned();
        for event in [
            Event::Running {
                library: library(),
                round: 3,
            },
            Event::Figure {
                library: library(),
                figure: "burst".to_owned(),
                value: 1.5,
            },
            Event::Curve {
                library: library(),
                figure: "lateness".to_owned(),
                values: vec![1.0, 2.5],
            },
            Event::Skipped {
                library: library(),
                why: "not \"here\"".to_owned(),
            },
            Event::Done,
        ] {
            assert_eq!(Event::read(&event.to_json().to_string()), Some(event));
        }
        assert_eq!(Event::read("a library says hello"), None);
        assert_eq!(Event::read("{}"), None);
    }
}
