//! Promise: a shared buffer is one vector, never copied unless it says so: read
//! by all its owners, dropped with the last one, and viewed as other plain
//! types where size and alignment fit.

mod common;

use std::fmt::Debug;
use std::sync::mpsc;
use std::{slice, thread};

use common::{Drops, watched};
use windlass::{SharedBuffer, SplitError, ViewError};

#[test]
fn a_vector_goes_in_and_comes_out_without_being_copied() {
    let mut vec = Vec::with_capacity(100);
    vec.extend([1, 2, 3]);
    let address = vec.as_ptr();
    let buffer = SharedBuffer::from(vec);
    assert_eq!(buffer.as_ptr(), address);
    assert_eq!(buffer[..], [1, 2, 3]);
    let vec = buffer.into_vec();
    assert_eq!((vec.as_ptr(), vec.len(), vec.capacity()), (address, 3, 100));
    let vec = SharedBuffer::from(vec).try_into_vec().unwrap();
    assert_eq!((vec.as_ptr(), vec.len(), vec.capacity()), (address, 3, 100));
}

#[test]
fn a_clone_is_one_more_owner_of_the_same_elements() {
    let one = SharedBuffer::from(vec![1, 2, 3]);
    assert!(one.is_unique());
    let two = one.clone();
    assert!(!one.is_unique() && !two.is_unique());
    assert_eq!(one.as_ptr(), two.as_ptr());
    // Shared, it is copied only by the method that says so.
    let one = one.try_into_vec().unwrap_err();
    let copy = one.into_vec();
    assert_eq!(copy, [1, 2, 3]);
    assert_ne!(copy.as_ptr(), two.as_ptr());
    assert!(two.is_unique());
    assert_eq!(two.try_into_vec().unwrap(), [1, 2, 3]);
}

#[test]
fn elements_need_not_be_clone_to_come_out() {
    struct Plain(u32);
    let vec = SharedBuffer::from(vec![Plain(7)]).try_into_vec().unwrap();
    assert_eq!(vec[0].0, 7);
}

#[test]
fn the_last_owner_drops_the_elements() {
    let drops = Drops::default();
    let one = SharedBuffer::from(vec![drops.token(), drops.token()]);
    let two = one.clone();
    drop(one);
    assert_eq!(drops.count(), 0);
    let last = thread::spawn(move || {
        drop(two);
        thread::current().id()
    });
    let last = last.join().unwrap();
    assert_eq!(drops.threads(), [last, last]);
}

/// As Node's `sharedarraybuffer-from-worker-thread`.
#[test]
fn it_outlives_the_thread_that_made_it() {
    let maker = thread::spawn(|| SharedBuffer::from((0..1000).collect::<Vec<u32>>()));
    let buffer = maker.join().unwrap();
    let readers = [(); 4].map(|()| {
        let buffer = buffer.clone();
        thread::spawn(move || buffer.iter().sum::<u32>())
    });
    for reader in readers {
        assert_eq!(reader.join().unwrap(), 499_500);
    }
    assert_eq!(buffer.into_vec().len(), 1000);
}

/// As Node's `message-port-multiple-sharedarraybuffers`.
#[test]
fn several_travel_in_one_message_empty_ones_too() {
    watched(|| {
        let (post, messages) = mpsc::channel();
        let thread = thread::spawn(move || {
            let (name, buffers): (&str, Vec<SharedBuffer<u8>>) = messages.recv().unwrap();
            (
                name,
                buffers.iter().map(|buffer| buffer.len()).sum::<usize>(),
            )
        });
        let shared = SharedBuffer::from(vec![1; 10]);
        let empty = SharedBuffer::from(Vec::new());
        let message = ("nested", vec![shared.clone(), empty, shared.clone()]);
        post.send(message).unwrap();
        assert_eq!(thread.join().unwrap(), ("nested", 20));
        assert!(shared.is_unique());
    });
}

#[test]
fn elements_without_size_are_counted_all_the_same() {
    let buffer = SharedBuffer::from(vec![(); 1000]);
    assert_eq!(buffer.len(), 1000);
    assert_eq!(buffer.into_vec().len(), 1000);
}

#[test]
fn its_debug_output_does_not_grow_with_it() {
    let text = format!("{:?}", SharedBuffer::from(vec![0_u8; 1_000_000]));
    assert_eq!(text, "SharedBuffer { len: 1000000, is_unique: true, .. }");
}

/// All plain types, as bytes and back; the allocator aligns nothing to less
/// than the type it was asked for.
#[test]
fn every_number_type_is_viewed_as_bytes_and_back() {
    fn there_and_back<T>(values: &[T])
    where
        T: bytemuck::NoUninit + bytemuck::AnyBitPattern + PartialEq + Debug,
    {
        let buffer = SharedBuffer::from(values.to_vec());
        let bytes = buffer.view_as::<u8>().unwrap();
        assert_eq!(bytes.len(), size_of_val(values));
        // The bytes where they lie are aligned for it.
        let mut parts = SharedBuffer::from(values.to_vec()).split(1).unwrap().0;
        let copy: Vec<_> = bytes.iter().rev().copied().collect();
        parts[0].view_as_mut::<u8>().unwrap().copy_from_slice(&copy);
        parts[0].view_as_mut::<i8>().unwrap().reverse();
        assert_eq!(parts[0][..], values[..]);
        assert_eq!(parts[0].view_as::<T>().unwrap(), values);
    }
    there_and_back(&[1_u8, u8::MAX]);
    there_and_back(&[1_i8, i8::MIN]);
    there_and_back(&[1_u16, u16::MAX]);
    there_and_back(&[1_i16, i16::MIN]);
    there_and_back(&[1_u32, u32::MAX]);
    there_and_back(&[1_i32, i32::MIN]);
    there_and_back(&[1_u64, u64::MAX]);
    there_and_back(&[1_i64, i64::MIN]);
    there_and_back(&[1_usize, usize::MAX]);
    there_and_back(&[1_isize, isize::MIN]);
    there_and_back(&[0.5_f32, f32::MIN]);
    there_and_back(&[0.5_f64, f64::INFINITY]);
    there_and_back(&[[1_u16, 2], [3, 4]]);
}

#[test]
fn a_view_is_of_the_same_memory() {
    let buffer = SharedBuffer::from(vec![1.0_f32, -2.0]);
    let view = buffer.view_as::<u32>().unwrap();
    assert_eq!(view, [1.0_f32.to_bits(), (-2.0_f32).to_bits()]);
    assert_eq!(view.as_ptr().cast(), buffer.as_ptr());
    // The greater alignment becomes a lesser, and an equal size a like one.
    assert_eq!(
        SharedBuffer::from(vec![0_u64; 3])
            .view_as::<u16>()
            .unwrap()
            .len(),
        12
    );
    assert_eq!(
        SharedBuffer::from(vec![[0_u8; 4]; 3])
            .view_as::<u8>()
            .unwrap()
            .len(),
        12
    );
}

#[test]
fn a_size_that_does_not_fit_is_named() {
    let error = SharedBuffer::from(vec![0_u16; 5])
        .view_as::<u64>()
        .unwrap_err();
    assert!(error.is_size() && !error.is_alignment());
    assert_eq!(
        error.to_string(),
        "10 bytes are no whole number of u64 with 8 bytes each"
    );
    assert_eq!(format!("{error:?}"), format!("ViewError({error})"));
    // Checked also where nothing has a size.
    let error = SharedBuffer::from(vec![1_u8]).view_as::<()>().unwrap_err();
    assert!(error.is_size());
}

#[test]
fn an_alignment_that_does_not_fit_is_named() {
    // Wherever the allocator puts it, eight bytes that begin one off are in it.
    let bytes = SharedBuffer::from(vec![0_u8; 16]);
    let off = bytes.as_ptr().addr() % 4;
    let askew = 5 - off..13 - off;
    let (mut ends, _whole) = bytes.split_ranges(slice::from_ref(&askew)).unwrap();
    let error = ends[0].view_as::<u32>().unwrap_err();
    assert!(error.is_alignment() && !error.is_size());
    let text = error.to_string();
    assert!(
        text.contains("begin 1 bytes behind a multiple of 4"),
        "{text}"
    );
    assert!(text.contains("u32"), "{text}");
    assert_eq!(ends[0].view_as_mut::<u32>().unwrap_err(), error);
}

#[test]
fn without_elements_every_view_is_empty() {
    let none: &[u64] = &[];
    assert_eq!(
        SharedBuffer::from(Vec::<u8>::new())
            .view_as::<u64>()
            .unwrap(),
        none
    );
    let (mut parts, _whole) = SharedBuffer::from(vec![0_u8; 16])
        .split_ranges(&[1..1, 2..2, 3..3, 4..4])
        .unwrap();
    for part in &mut parts {
        assert_eq!(part.view_as::<u64>().unwrap(), none);
        assert_eq!(part.view_as_mut::<u64>().unwrap(), none);
    }
    let nothings = SharedBuffer::from(vec![(); 5]);
    assert_eq!(nothings.view_as::<u64>().unwrap(), none);
    assert_eq!(nothings.view_as::<()>().unwrap().len(), 5);
}

/// What `?` needs to carry an error into an application's own.
#[test]
fn errors_are_errors_that_travel() {
    fn check<E: std::error::Error + Send + Sync + 'static>() {}
    check::<SplitError<f32>>();
    check::<SplitError<String>>();
    check::<ViewError>();
    fn application() -> anyhow::Result<()> {
        let (_parts, _whole) = SharedBuffer::from(vec![1]).split(0)?;
        Ok(())
    }
    assert!(application().unwrap_err().is::<SplitError<i32>>());
}
