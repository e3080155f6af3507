//! Pictures, where they say more than a table: lateness as a distribution, and
//! the work done against the jobs' length.

use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::prelude::*;

use crate::parent::Outcome;
use crate::question::{FLOOR, OURS, Question};
use crate::questions::{ALONE, GRAINS, NEIGHBOUR};
use crate::report;
use crate::stats::{QUANTILES, median};

/// One library's line.
struct Line {
    library: String,
    points: Vec<(f64, f64)>,
}

/// What surrounds the lines.
struct Frame<'a> {
    title: &'a str,
    x: (&'a str, Range<f64>),
    y: (&'a str, Range<f64>),
    /// What to write at a place on the lower axis, which is even.
    x_label: &'a dyn Fn(f64) -> String,
    x_marks: usize,
    y_is_log: bool,
    /// What the machine's own line is called.
    floor: &'a str,
}

/// The peers' colours, in the order of their names: the same in all pictures, and
/// none like ours.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(170, 110, 190),
    RGBColor(86, 180, 233),
    RGBColor(150, 150, 40),
    RGBColor(140, 90, 50),
    RGBColor(120, 120, 120),
    RGBColor(60, 60, 170),
    RGBColor(240, 130, 190),
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Draws what this run has figures for; gives the files' names.
pub fn draw(folder: &Path, outcomes: &[(&Question, Outcome)]) -> Result<Vec<String>> {
    std::fs::create_dir_all(folder)?;
    let mut pictures = Vec::new();
    for (question, outcome) in outcomes {
        if question.name == ALONE {
            let titles = [
                (ALONE, "A loop's lateness beside a saturated pool"),
                (NEIGHBOUR, "The same with a busy neighbour process"),
            ];
            for (name, title) in titles {
                let file = folder.join(format!("{name}.svg"));
                lateness(&file, title, &curves(name, outcome))?;
                pictures.push(file);
            }
        }
        if question.name == "grain" {
            let file = folder.join("grain.svg");
            grain(&file, &grains(question, outcome))?;
            pictures.push(file);
        }
    }
    if pictures.is_empty() {
        return Err("only the questions lateness and grain have pictures".into());
    }
    Ok(pictures
        .iter()
        .map(|file| file.display().to_string())
        .collect())
}

/// Each library's distribution: the median of its rounds at each quantile.
fn curves(name: &str, outcome: &Outcome) -> Vec<Line> {
    let mine = outcome
        .curves
        .iter()
        .filter(|((figure, _), _)| figure == name);
    mine.map(|((_, library), rounds)| Line {
        library: library.clone(),
        points: QUANTILES
            .iter()
            .enumerate()
            .map(|(at, &share)| {
                let values: Vec<_> = rounds.iter().map(|values| values[at]).collect();
                (nines(share), median(&values))
            })
            .collect(),
    })
    .collect()
}

/// 0.9 is one, 0.99 is two: the tail is what matters here.
fn nines(share: f64) -> f64 {
    -(1.0 - share).log10()
}

fn grains(question: &Question, outcome: &Outcome) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for (figure, (_, micros)) in question.figures.iter().zip(GRAINS) {
        for row in report::rows(figure, outcome) {
            let point = ((micros as f64).log10(), row.median);
            match lines.iter_mut().find(|line| line.library == row.library) {
                Some(line) => line.points.push(point),
                None => lines.push(Line {
                    library: row.library,
                    points: vec![point],
                }),
            }
        }
    }
    lines.sort_by(|a, b| a.library.cmp(&b.library));
    lines
}

fn lateness(file: &PathBuf, title: &str, lines: &[Line]) -> Result<()> {
    let values = || {
        lines
            .iter()
            .flat_map(|line| &line.points)
            .map(|&(_, late)| late)
    };
    let lowest = values().fold(f64::MAX, f64::min).max(1.0);
    let highest = values().fold(lowest * 10.0, f64::max);
    let frame = Frame {
        title,
        x: ("share of the loop's turns", 0.0..3.0),
        y: ("late by at most, us", lowest * 0.8..highest * 1.2),
        x_label: &|nines| {
            let share = 100.0 * (1.0 - 10_f64.powf(-nines));
            let digits = (nines.ceil() as usize).saturating_sub(2);
            format!("{share:.digits$} %")
        },
        x_marks: 4,
        y_is_log: true,
        floor: "no pool",
    };
    picture(file, &frame, lines)
}

fn grain(file: &PathBuf, lines: &[Line]) -> Result<()> {
    let frame = Frame {
        title: "Work done against the jobs' length",
        x: ("length of a job", 0.0..2.0),
        y: ("% of what bare threads do", 0.0..110.0),
        x_label: &|log| format!("{:.0} us", 10_f64.powf(log)),
        x_marks: 3,
        y_is_log: false,
        floor: "bare threads",
    };
    picture(file, &frame, lines)
}

fn picture(file: &PathBuf, frame: &Frame<'_>, lines: &[Line]) -> Result<()> {
    let area = SVGBackend::new(file, (900, 520)).into_drawing_area();
    area.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&area);
    builder
        .caption(frame.title, ("sans-serif", 22))
        .margin(12)
        .margin_right(36)
        .x_label_area_size(42)
        .y_label_area_size(64);
    let x = frame.x.1.clone();
    let y = frame.y.1.clone();
    // The two kinds of axis are two types.
    macro_rules! chart {
        ($y:expr) => {{
            let mut chart = builder.build_cartesian_2d(x, $y)?;
            chart
                .configure_mesh()
                .x_desc(frame.x.0)
                .y_desc(frame.y.0)
                .x_labels(frame.x_marks)
                .x_label_formatter(&|at| (frame.x_label)(*at))
                .y_label_formatter(&|at| format!("{at:.0}"))
                .light_line_style(WHITE)
                .draw()?;
            for (number, line) in lines.iter().enumerate() {
                let style = style(&line.library, number);
                let name = match line.library.as_str() {
                    FLOOR => frame.floor,
                    name => name,
                };
                chart
                    .draw_series(LineSeries::new(line.points.iter().copied(), style))?
                    .label(name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
            }
            chart
                .configure_series_labels()
                .position(if frame.y_is_log {
                    SeriesLabelPosition::UpperLeft
                } else {
                    SeriesLabelPosition::LowerRight
                })
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK.mix(0.3))
                .draw()?;
        }};
    }
    if frame.y_is_log {
        chart!(y.log_scale());
    } else {
        chart!(y);
    }
    area.present()?;
    Ok(())
}

/// Ours is thick, the machine's own line is black, and the peers have colours.
fn style(library: &str, number: usize) -> ShapeStyle {
    match library {
        OURS => RGBColor(200, 30, 30).stroke_width(4),
        FLOOR => BLACK.stroke_width(2),
        _ => COLOURS[number % COLOURS.len()].stroke_width(2),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::questions::ALL;

    #[test]
    fn pictures_are_drawn_from_the_figures() {
        let folder = std::env::temp_dir().join(format!("windlass-versus-{}", std::process::id()));
        let mut outcomes = Vec::new();
        for question in ALL
            .iter()
            .filter(|each| ["grain", "lateness"].contains(&each.name))
        {
            let mut outcome = Outcome::default();
            for library in [OURS, FLOOR, "rayon"] {
                for figure in question.figures {
                    let key = (figure.name.to_owned(), library.to_owned());
                    outcome.figures.insert(key, vec![50.0]);
                }
                for name in [ALONE, NEIGHBOUR] {
                    let key = (name.to_owned(), library.to_owned());
                    outcome
                        .curves
                        .insert(key, vec![vec![90.0; QUANTILES.len()]; 3]);
                }
            }
            outcomes.push((question, outcome));
        }
        let drawn = draw(&folder, &outcomes).unwrap();
        assert_eq!(drawn.len(), 3);
        for file in &drawn {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.contains("<svg") && text.contains("rayon"), "{file}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(draw(&folder, &outcomes[..0]).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_tail_is_counted_in_nines() {
        assert!((nines(0.9) - 1.0).abs() < 1e-9);
        assert!((nines(0.999) - 3.0).abs() < 1e-9);
    }
}
