//! Counts the ways to place queens, the columns of each row in halves down to
//! single ones.

use crate::libraries::Join;

/// The number of ways by the size of the board.
const WAYS: [(u32, u64); 3] = [(8, 92), (10, 724), (12, 14_200)];

/// What the rows above attack of this one, a bit for each column.
#[derive(Clone, Copy, Default)]
struct Attacked {
    below: u32,
    left: u32,
    right: u32,
}

pub(super) fn run<L: Join>(library: &L, size: u32) -> f64 {
    let (ways, time) = super::time(library, move |here| {
        columns::<L>(here, size, size, Attacked::default(), 0, size)
    });
    assert!(WAYS.contains(&(size, ways)), "{ways}");
    time
}

/// The ways with this row's queen in one of the columns from `first` up to `end`.
fn columns<L: Join>(
    here: &mut L::Here<'_>,
    size: u32,
    rows: u32,
    attacked: Attacked,
    first: u32,
    end: u32,
) -> u64 {
    if end - first == 1 {
        return place::<L>(here, size, rows, attacked, 1 << first);
    }
    let middle = first.midpoint(end);
    let (left, right) = L::join(
        here,
        |here| columns::<L>(here, size, rows, attacked, first, middle),
        |here| columns::<L>(here, size, rows, attacked, middle, end),
    );
    left + right
}

fn place<L: Join>(
    here: &mut L::Here<'_>,
    size: u32,
    rows: u32,
    attacked: Attacked,
    queen: u32,
) -> u64 {
    if (attacked.below | attacked.left | attacked.right) & queen != 0 {
        return 0;
    }
    if rows == 1 {
        return 1;
    }
    let attacked = Attacked {
        below: attacked.below | queen,
        left: (attacked.left | queen) << 1,
        right: (attacked.right | queen) >> 1,
    };
    columns::<L>(here, size, rows - 1, attacked, 0, size)
}

#[cfg(test)]
mod tests {
    use super::run;
    use crate::libraries::Serial;

    #[test]
    fn queens_keep_out_of_each_others_way() {
        run(&Serial, 8);
        run(&Serial, 10);
    }
}
