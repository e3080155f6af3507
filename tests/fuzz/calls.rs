//! The table of calls: a row each.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::desk::Desk;
use super::program::Numbers;

/// A call: what it is called, how often it is to come, and what it does.
pub(crate) type Call = (&'static str, u16, fn(&mut Desk, Numbers));

/// All of them. What is tried first when a failing program is made simpler
/// comes first.
pub(crate) const CALLS: &[Call] = &[
    // Jobs.
    ("execute", 6, Desk::execute),
    ("execute_large", 2, Desk::execute_large),
    ("spawn", 14, Desk::spawn),
    ("spawn_steered", 6, Desk::spawn_steered),
    ("spawn_prior", 4, Desk::spawn_prior),
    ("view_execute", 4, Desk::view_execute),
    ("view_spawn", 6, Desk::view_spawn),
    ("latest_cancel", 1, Desk::latest_cancel),
    // Where there is room.
    ("try_spawn", 3, Desk::try_spawn),
    ("try_execute", 3, Desk::try_execute),
    ("spawn_wait", 3, Desk::spawn_wait),
    ("spawn_await", 3, Desk::spawn_await),
    ("spawn_half_way", 3, Desk::spawn_half_way),
    // Waits inside jobs.
    ("blocking", 2, Desk::blocking),
    ("wait_for_message", 2, Desk::wait_for_message),
    ("wait_for_number", 2, Desk::wait_for_number),
    // Handles.
    ("join", 6, Desk::join),
    ("join_timeout", 2, Desk::join_timeout),
    ("try_join", 2, Desk::try_join),
    ("poll", 3, Desk::poll),
    ("block_on", 2, Desk::block_on),
    ("is_finished", 1, Desk::is_finished),
    ("cancel", 3, Desk::cancel),
    ("cancel_from_afar", 2, Desk::cancel_from_afar),
    ("cancel_on_drop", 2, Desk::cancel_on_drop),
    ("drop_handle", 2, Desk::drop_handle),
    ("on_complete", 4, Desk::on_complete),
    // Sets.
    ("set_new", 2, Desk::set_new),
    ("set_spawn", 5, Desk::set_spawn),
    ("set_spawn_job", 3, Desk::set_spawn_job),
    ("set_next", 2, Desk::set_next),
    ("set_try_next", 2, Desk::set_try_next),
    ("set_poll_next", 2, Desk::set_poll_next),
    ("set_join_all", 1, Desk::set_join_all),
    ("set_try_join_all", 1, Desk::set_try_join_all),
    ("set_cancel_all", 1, Desk::set_cancel_all),
    ("set_drop", 1, Desk::set_drop),
    // Steering.
    ("token_new", 1, Desk::token_new),
    ("token_child", 2, Desk::token_child),
    ("token_cancel", 2, Desk::token_cancel),
    ("token_guard", 1, Desk::token_guard),
    ("token_wait", 1, Desk::token_wait),
    ("checkpoint", 1, Desk::checkpoint),
    // Threads.
    ("on_each_thread", 2, Desk::on_each_thread),
    ("thread_state", 2, Desk::thread_state),
    ("environment", 2, Desk::environment),
    ("who_am_i", 1, Desk::who_am_i),
    ("set_num_threads", 2, Desk::set_num_threads),
    ("metrics", 2, Desk::metrics),
    // Ports, broadcasts, progress.
    ("channel", 3, Desk::channel),
    ("post", 6, Desk::post),
    ("post_async", 2, Desk::post_async),
    ("try_recv", 3, Desk::try_recv),
    ("recv_timeout", 1, Desk::recv_timeout),
    ("recv_async", 2, Desk::recv_async),
    ("recv_rest", 2, Desk::recv_rest),
    ("stream", 2, Desk::stream),
    ("port_listen", 2, Desk::port_listen),
    ("port_close", 1, Desk::port_close),
    ("port_closed", 1, Desk::port_closed),
    ("port_drop", 1, Desk::port_drop),
    ("port_to_job", 2, Desk::port_to_job),
    ("broadcast", 2, Desk::broadcast),
    ("broadcast_post", 2, Desk::broadcast_post),
    ("broadcast_recv", 2, Desk::broadcast_recv),
    ("broadcast_leave", 1, Desk::broadcast_leave),
    ("progress_pull", 2, Desk::progress_pull),
    ("progress_push", 2, Desk::progress_push),
    // Workers.
    ("worker", 3, Desk::worker),
    ("worker_dedicated", 1, Desk::worker_dedicated),
    ("worker_post", 8, Desk::worker_post),
    ("worker_post_async", 2, Desk::worker_post_async),
    ("worker_recv", 3, Desk::worker_recv),
    ("worker_listen", 1, Desk::worker_listen),
    ("worker_close", 2, Desk::worker_close),
    ("worker_terminate", 2, Desk::worker_terminate),
    ("worker_drop", 1, Desk::worker_drop),
    ("worker_state", 1, Desk::worker_state),
    // The main loop.
    ("set_timeout", 2, Desk::set_timeout),
    ("set_interval", 1, Desk::set_interval),
    ("set_immediate", 2, Desk::set_immediate),
    ("clear", 2, Desk::clear),
    ("unref", 1, Desk::unref),
    ("remote_post", 2, Desk::remote_post),
    ("remote_post_from_job", 2, Desk::remote_post_from_job),
    ("set_waker", 1, Desk::set_waker),
    ("pollable", 1, Desk::pollable),
    ("turn", 4, Desk::turn),
    ("turn_for", 2, Desk::turn_for),
    ("run_loop", 2, Desk::run_loop),
    ("drop_loop", 1, Desk::drop_loop),
    // Memory.
    ("buffer", 3, Desk::buffer),
    ("buffer_of_tags", 2, Desk::buffer_of_tags),
    ("buffer_views", 1, Desk::buffer_views),
    ("array_sum", 3, Desk::array_sum),
    ("array_bits", 2, Desk::array_bits),
    ("array_exchange", 2, Desk::array_exchange),
    ("array_wait", 2, Desk::array_wait),
    ("array_notify", 2, Desk::array_notify),
    // The pool's end.
    ("shutdown", 1, Desk::shutdown),
    ("shutdown_timeout", 1, Desk::shutdown_timeout),
    ("shutdown_now", 1, Desk::shutdown_now),
    ("drop_pool", 1, Desk::drop_pool),
    ("drop_pool_in_job", 1, Desk::drop_pool_in_job),
    ("counts", 1, Desk::counts),
];

/// How often each was made.
static MADE: [AtomicU64; CALLS.len()] = [const { AtomicU64::new(0) }; CALLS.len()];

/// The row that a byte means.
pub(super) fn row(byte: u8) -> usize {
    let total: u16 = CALLS.iter().map(|call| call.1).sum();
    let mut at = u32::from(byte) * u32::from(total) / 256;
    for (row, call) in CALLS.iter().enumerate() {
        match at.checked_sub(call.1.into()) {
            Some(less) => at = less,
            None => return row,
        }
    }
    unreachable!("the weights add up to the total")
}

/// Makes a call.
pub(super) fn make(desk: &mut Desk, row: usize, numbers: Numbers) {
    MADE[row].fetch_add(1, Relaxed);
    if let Some(hand) = desk.place.hand {
        desk.scene.at[hand].store(row, Relaxed);
    }
    (CALLS[row].2)(desk, numbers);
}

/// Those that were not made so far.
pub(crate) fn never_made() -> Vec<&'static str> {
    let never = CALLS.iter().zip(&MADE);
    let never = never.filter(|(_, made)| made.load(Relaxed) == 0);
    never.map(|(call, _)| call.0).collect()
}
