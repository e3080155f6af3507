//! The product of two square matrices, by halving the rows and the columns of the
//! result in turn, down to tiles of 64 x 64.
//!
//! The result lies in the order of the halving, tile after tile, so that each half
//! is a slice. All numbers are small and whole, so that every sum is exact.

use std::sync::Arc;

use super::mix;
use crate::libraries::Join;

const TILE: usize = 64;

struct Factors {
    size: usize,
    left: Vec<f32>,
    right: Vec<f32>,
}

/// A part of the result: where its first tile is, in tiles.
#[derive(Clone, Copy)]
struct Corner {
    row: usize,
    column: usize,
}

pub(super) fn run<L: Join>(library: &L, size: usize) -> f64 {
    let factors = Arc::new(Factors::new(size));
    let asked = Arc::clone(&factors);
    let mut product = vec![0.0; size * size];
    let (product, time) = super::time(library, move |here| {
        let corner = Corner { row: 0, column: 0 };
        let tiles = size / TILE;
        multiply::<L>(here, &asked, &mut product, corner, tiles, tiles);
        product
    });
    assert_eq!(sum(&product), factors.sum());
    time
}

impl Factors {
    fn new(size: usize) -> Self {
        let random = |seed| (0..size * size).map(move |n| (mix(n as u64 + seed) % 2) as f32);
        Self {
            size,
            left: random(0).collect(),
            right: random(1 << 32).collect(),
        }
    }

    /// Of all numbers of the product, from the sums of the left one's columns and
    /// of the right one's rows.
    fn sum(&self) -> f64 {
        let column = |k| sum(self.left.iter().skip(k).step_by(self.size));
        let row = |k| sum(&self.right[k * self.size..][..self.size]);
        (0..self.size).map(|k| column(k) * row(k)).sum()
    }
}

fn sum<'a>(numbers: impl IntoIterator<Item = &'a f32>) -> f64 {
    numbers.into_iter().copied().map(f64::from).sum()
}

/// A part of `rows` by `columns` tiles.
fn multiply<L: Join>(
    here: &mut L::Here<'_>,
    factors: &Factors,
    product: &mut [f32],
    corner: Corner,
    rows: usize,
    columns: usize,
) {
    if rows * columns == 1 {
        tile(factors, product, corner);
        return;
    }
    let (one, other) = product.split_at_mut(product.len() / 2);
    let mut next = corner;
    let (rows, columns) = if rows == columns {
        next.row += rows / 2;
        (rows / 2, columns)
    } else {
        next.column += columns / 2;
        (rows, columns / 2)
    };
    L::join(
        here,
        |here| multiply::<L>(here, factors, one, corner, rows, columns),
        |here| multiply::<L>(here, factors, other, next, rows, columns),
    );
}

fn tile(factors: &Factors, product: &mut [f32], corner: Corner) {
    let size = factors.size;
    for (row, sums) in product.chunks_exact_mut(TILE).enumerate() {
        let left = &factors.left[(corner.row * TILE + row) * size..][..size];
        for (k, &factor) in left.iter().enumerate() {
            let right = &factors.right[k * size + corner.column * TILE..][..TILE];
            for (sum, &other) in sums.iter_mut().zip(right) {
                *sum += factor * other;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libraries::Serial;

    #[test]
    fn each_number_of_the_product_is_where_the_halving_puts_it() {
        let factors = Factors::new(256);
        let mut product = vec![0.0; 256 * 256];
        let corner = Corner { row: 0, column: 0 };
        multiply::<Serial>(&mut (), &factors, &mut product, corner, 4, 4);
        for (row, column) in [(0, 0), (63, 200), (64, 0), (130, 70), (255, 255)] {
            let (down, right) = (row / TILE, column / TILE);
            let tile = (down / 2 * 2 + right / 2) * 4 + down % 2 * 2 + right % 2;
            let at = (tile * TILE + row % TILE) * TILE + column % TILE;
            let terms = |k| factors.left[row * 256 + k] * factors.right[k * 256 + column];
            assert_eq!(product[at], (0..256).map(terms).sum::<f32>());
        }
        run(&Serial, 128);
    }
}
