//! Medians and percentiles.

use std::time::Duration;

/// Where a distribution is drawn.
pub const QUANTILES: [f64; 23] = [
    0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.985,
    0.99, 0.993, 0.995, 0.997, 0.998, 0.999,
];

/// The middle one, or the mean of the two in the middle.
///
/// # Panics
/// Without values.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

/// Values in order, for [`percentile`].
pub fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The smallest value that at least the `share` of all values does not exceed.
///
/// # Panics
/// Without values.
pub fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// The distribution at [`QUANTILES`].
pub fn curve(sorted: &[f64]) -> Vec<f64> {
    QUANTILES
        .iter()
        .map(|&share| percentile(sorted, share))
        .collect()
}

pub fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Nanoseconds for each of `count`.
pub fn nanos_per(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e9 / count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_the_mean_of_both() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&[7.0]), 7.0);
    }

    #[test]
    fn a_percentile_is_a_value_that_was_there() {
        let values: Vec<f64> = (1..=1000).map(f64::from).collect();
        assert_eq!(percentile(&values, 0.5), 500.0);
        assert_eq!(percentile(&values, 0.99), 990.0);
        assert_eq!(percentile(&values, 0.999), 999.0);
        assert_eq!(percentile(&values, 1.0), 1000.0);
        assert_eq!(percentile(&values, 0.0), 1.0);
        assert_eq!(percentile(&[5.0], 0.99), 5.0);
    }

    #[test]
    fn a_curve_rises_with_its_quantiles() {
        let values: Vec<f64> = (0..500).map(f64::from).collect();
        let curve = curve(&values);
        assert_eq!(curve.len(), QUANTILES.len());
        assert!(curve.is_sorted());
        assert_eq!(curve[6], 249.0);
        assert_eq!(curve.last(), Some(&499.0));
    }

    #[test]
    fn time_is_shared_out() {
        assert_eq!(nanos_per(Duration::from_micros(3), 1000), 3.0);
        assert_eq!(micros(Duration::from_millis(2)), 2000.0);
    }
}
