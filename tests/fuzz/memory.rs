//! Buffers and arrays.

use std::sync::atomic::Ordering::Relaxed;

use windlass::{Part, SharedBuffer};

use super::desk::{Desk, moment, poll_once};
use super::program::Numbers;
use super::scene::{AWAITED, BITS, EXCHANGED, SUM};
use crate::ledger::tally::{Fault, found};
use crate::ledger::tokens::{Tag, end};
use crate::ledger::{Job, Kind, fact};

impl Desk {
    /// Jobs write into disjoint parts, and the whole has it all.
    pub(super) fn buffer(&mut self, numbers: Numbers) {
        let len = usize::from(numbers.0);
        let vec = vec![0_u32; len];
        let address = vec.as_ptr();
        let buffer = SharedBuffer::from(vec);
        let cut = len / 2;
        let split = match numbers.1 % 4 {
            0 => buffer.split(1 + usize::from(numbers.1 >> 5)),
            1 => buffer.split_ranges(&[cut..len, 0..cut / 2]),
            2 => {
                let width = 1 + usize::from(numbers.1 >> 4);
                let rows = SharedBuffer::from(vec![0_u32; len * width]);
                return rows_are_whole(rows, width);
            }
            _ => return refused(buffer, len),
        };
        let Ok((parts, whole)) = split else {
            return found(Fault::Wrong, || "a split that must be possible".to_owned());
        };
        let mut written = Vec::new();
        for part in parts {
            let (one, other) = part_in_two(part, numbers);
            for part in [Some(one), other].into_iter().flatten() {
                written.extend(self.write(part, numbers));
            }
        }
        let whole = match numbers.2 % 4 {
            // In a job it may wait for what needs this very thread.
            0 | 1 if self.is_outside() => whole.wait(),
            2 => return drop(whole),
            3 => match whole.try_into_vec() {
                Ok(vec) => SharedBuffer::from(vec),
                Err(whole) => return drop(whole),
            },
            _ => match whole.wait_timeout(moment(numbers.2)) {
                Ok(whole) => whole,
                Err(mut whole) => match poll_once(&mut whole) {
                    Some(whole) => whole,
                    None => return drop(whole),
                },
            },
        };
        let vec = whole.into_vec();
        if vec.len() != len || vec.as_ptr() != address {
            found(Fault::Wrong, || "the whole is another vector".to_owned());
        }
        for (range, job) in written {
            let ran = job.line().ran.load(Relaxed) == 1;
            let value = if ran { job.id as u32 + 1 } else { 0 };
            if vec[range].iter().any(|&element| element != value) {
                job.fault(Fault::Lost, "what it wrote is not there");
            }
        }
    }

    /// A job that fills the part; what it is and where it writes.
    fn write(
        &mut self,
        mut part: Part<u32>,
        numbers: Numbers,
    ) -> Option<(std::ops::Range<usize>, Job)> {
        let (tag, job) = self.open(Kind::Spawned, numbers.2)?;
        let range = part.range();
        job.add(fact::MAY_CANCEL);
        let handle = self.scene.near().spawn(move || {
            let begun = tag.begin();
            part.fill(tag.job().id as u32 + 1);
            drop(part);
            end(tag, begun)
        });
        if numbers.flag() {
            job.enter_cancel(handle.cancel());
        }
        self.handles.push((handle, job.clone()));
        Some((range, job))
    }

    /// Elements with a `Drop`: each is dropped once, by whoever is last.
    pub(super) fn buffer_of_tags(&mut self, numbers: Numbers) {
        let tags = (0..numbers.0 % 8).filter_map(|_| Some(self.open_plain(Kind::Held)?.0));
        let tags: Vec<Tag> = tags.collect();
        let buffer = SharedBuffer::from(tags);
        if numbers.flag() {
            let reader = buffer.clone();
            if let Some((tag, _)) = self.open_plain(Kind::Executed) {
                self.scene.near().execute(move || {
                    let _begun = tag.begin();
                    drop(reader);
                });
            }
        }
        // With a reader it is refused, or the reader has gone.
        let Ok((mut parts, whole)) = buffer.split(1 + usize::from(numbers.1 % 4)) else {
            return;
        };
        if let Some(part) = parts.pop()
            && let Some((tag, _)) = self.open_plain(Kind::Executed)
        {
            self.scene.near().execute(move || {
                let _begun = tag.begin();
                drop(part);
            });
        }
        if numbers.1 >= 128 {
            drop(whole);
            drop(parts);
        } else {
            drop(parts);
            drop(whole.try_into_vec());
        }
    }

    /// The same memory as other numbers.
    pub(super) fn buffer_views(&mut self, numbers: Numbers) {
        let buffer = SharedBuffer::from(vec![u32::from(numbers.0); usize::from(numbers.1)]);
        let bytes = buffer.view_as::<u8>().map(<[u8]>::len);
        if bytes != Ok(4 * usize::from(numbers.1)) {
            found(Fault::Wrong, || "a view of another length".to_owned());
        }
        if let Ok((mut parts, whole)) = buffer.split(2) {
            for part in &mut parts {
                if let Ok(bytes) = part.view_as_mut::<u8>() {
                    bytes.fill(numbers.2);
                }
            }
            drop(parts);
            let all = u32::from_ne_bytes([numbers.2; 4]);
            if whole.wait().iter().any(|&element| element != all) {
                found(Fault::Lost, || "bytes written through a view".to_owned());
            }
        }
    }

    pub(super) fn array_sum(&mut self, numbers: Numbers) {
        let (array, value) = (&self.scene.numbers, i64::from(numbers.0));
        if numbers.flag() {
            array.add(SUM, value);
            self.scene.sum.fetch_add(value, Relaxed);
        } else {
            array.sub(SUM, value);
            self.scene.sum.fetch_sub(value, Relaxed);
        }
    }

    pub(super) fn array_bits(&mut self, numbers: Numbers) {
        let (array, value) = (&self.scene.numbers, i64::from(numbers.0));
        match numbers.1 % 3 {
            0 => {
                array.xor(BITS, value);
                self.scene.bits.fetch_xor(value, Relaxed);
            }
            1 => drop(array.or(BITS, 0)),
            _ => drop(array.and(BITS, -1)),
        }
    }

    /// What goes in comes out once.
    pub(super) fn array_exchange(&mut self, numbers: Numbers) {
        let (array, value) = (&self.scene.numbers, i64::from(numbers.0));
        let old = if numbers.flag() {
            array.swap(EXCHANGED, value)
        } else {
            let current = array.load(EXCHANGED);
            match array.compare_exchange(EXCHANGED, current, value) {
                Ok(old) => old,
                Err(_) => return,
            }
        };
        self.scene.put.fetch_add(value, Relaxed);
        self.scene.got.fetch_add(old, Relaxed);
    }

    pub(super) fn array_wait(&mut self, numbers: Numbers) {
        let (array, expected) = (&self.scene.numbers, i64::from(numbers.0 % 2));
        if numbers.flag() {
            let _ = poll_once(&mut array.wait_async(AWAITED, expected));
            return;
        }
        let _ = array.wait_timeout(AWAITED, expected, moment(numbers.1));
    }

    pub(super) fn array_notify(&mut self, numbers: Numbers) {
        self.scene.numbers.store(AWAITED, i64::from(numbers.0 % 2));
        self.scene.numbers.notify(AWAITED, numbers.1.into());
    }
}

/// Cut once more, or not.
fn part_in_two(part: Part<u32>, numbers: Numbers) -> (Part<u32>, Option<Part<u32>>) {
    if numbers.flag() {
        let mid = part.len() / 2;
        let (one, other) = part.split_at(mid);
        (one, Some(other))
    } else {
        (part, None)
    }
}

fn rows_are_whole(rows: SharedBuffer<u32>, width: usize) {
    match rows.split_rows(width, 3) {
        Ok((parts, whole)) => {
            if parts.iter().any(|part| part.len() % width != 0) {
                found(Fault::Wrong, || "half a row".to_owned());
            }
            drop(parts);
            drop(whole.wait());
        }
        Err(error) => found(Fault::Wrong, || format!("rows: {error}")),
    }
}

/// Splits that make no sense give the buffer back.
fn refused(buffer: SharedBuffer<u32>, len: usize) {
    let Err(none) = buffer.split(0) else {
        return found(Fault::Wrong, || "no parts".to_owned());
    };
    let Err(beyond) = none.into_inner().split_ranges(&[0..0, 0..len + 1]) else {
        return found(Fault::Wrong, || "a part beyond the end".to_owned());
    };
    let buffer = beyond.into_inner();
    let reader = buffer.clone();
    match buffer.split(1) {
        Err(error) if error.is_shared() => drop(reader),
        _ => found(Fault::Wrong, || "a split with a reader".to_owned()),
    }
}
