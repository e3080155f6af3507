//! Turns, and the waiting between them.

use std::time::{Duration, Instant};

use super::MainLoop;
use super::shared::Event;

/// A turn that is running, and where its share of the work ends.
///
/// Positions count from the loop's beginning, not from the front of a queue:
/// a turn within this one moves the front, but not the end.
struct Turn<'a> {
    main: &'a MainLoop,
    /// The time, if there were timers when the turn began.
    now: Option<Instant>,
    inbox_end: u64,
    immediates_end: u64,
}

impl<'a> Turn<'a> {
    /// Begins a turn: everything that is ready now is its share.
    fn begin(main: &'a MainLoop) -> Self {
        if main.is_forked() {
            main.wake_all();
        }
        // The order of these three is the protocol; see the module's prose.
        main.register_host_waker();
        main.shared.take_signal();
        let waiting = main.inbox.len() as u64;

        main.turns.set(main.turns.get() + 1);
        let mut sources = main.sources.borrow_mut();
        Self {
            main,
            now: if sources.timers.is_empty() {
                None
            } else {
                Some(sources.tick())
            },
            inbox_end: main.inbox_taken.get() + waiting,
            immediates_end: sources.immediates_end(),
        }
    }

    fn run(&self) -> usize {
        let mut ran = 0;
        if let Some(now) = self.now {
            self.main.run_timers(now, &mut ran);
        }
        while let Some(event) = self.next_event() {
            match event {
                Event::Ready(signal) => self.main.run_ready(signal, &mut ran),
                Event::Post(posted) => {
                    ran += 1;
                    self.main.shared.let_go();
                    posted.into_callback()(self.main);
                }
            }
        }
        while let Some((id, callback)) = self.next_immediate() {
            ran += 1;
            callback(self.main, id);
        }
        ran
    }

    fn next_event(&self) -> Option<Event> {
        let taken = self.main.inbox_taken.get();
        if taken >= self.inbox_end {
            return None;
        }
        let event = self.main.inbox.try_recv().ok()?;
        self.main.inbox_taken.set(taken + 1);
        Some(event)
    }

    // A function of its own, so that the table is not borrowed while the
    // callback runs.
    fn next_immediate(&self) -> Option<(super::SourceId, Box<super::Once>)> {
        self.main
            .sources
            .borrow_mut()
            .pop_immediate(self.immediates_end)
    }
}

impl Drop for Turn<'_> {
    /// Ends the turn, also when a callback panicked: the host hears of what is
    /// left, or has its descriptor set to the next deadline.
    fn drop(&mut self) {
        let main = self.main;
        main.turns.set(main.turns.get() - 1);
        if main.has_ready() {
            main.shared.notify_here();
        } else {
            main.rest_alarm();
        }
    }
}

impl MainLoop {
    /// Runs what is ready and returns how many callbacks that were. Never
    /// waits.
    ///
    /// For a loop of one's own: once per frame, or when the waker was called.
    /// With nothing ready it costs a few loads, and a look at the clock if
    /// there are timers.
    ///
    /// # Panics
    /// If a callback does; the rest runs next turn.
    ///
    /// ```
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// assert_eq!(main.turn(), 0);
    /// main.set_immediate(|_, _| ());
    /// main.set_immediate(|_, _| ());
    /// assert_eq!(main.turn(), 2);
    /// ```
    pub fn turn(&self) -> usize {
        Turn::begin(self).run()
    }

    /// Waits until something is ready, `longest` at most, and then runs one
    /// turn; how many callbacks that were.
    ///
    /// May return 0 early: a future that was woken without being ready is
    /// something to look at too. [`Duration::MAX`] waits for as long as it
    /// takes, even if nothing is registered that could become ready.
    ///
    /// # Panics
    /// If a callback does; the rest runs next turn.
    ///
    /// ```
    /// use std::time::Duration;
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// main.set_timeout(Duration::from_millis(1), |_, _| ());
    /// assert_eq!(main.turn_for(Duration::from_secs(60)), 1);
    /// ```
    pub fn turn_for(&self, longest: Duration) -> usize {
        let end = Instant::now().checked_add(longest);
        while !self.has_ready() {
            // A signal with nothing behind it (the turn that took its event
            // began before it came) is no reason to stop waiting.
            if self.shared.take_signal() {
                continue;
            }
            if end.is_some_and(|end| end <= Instant::now()) {
                break;
            }
            let timer = self.sources.borrow().first_deadline();
            self.shared.wait(timer.into_iter().chain(end).min());
        }
        self.turn()
    }

    /// Runs turns, and sleeps between them, until nothing keeps the loop
    /// alive. At least one turn is run.
    ///
    /// What keeps it alive is listed [above](MainLoop#what-keeps-run-from-returning).
    /// This is the one call that waits for as long as it takes.
    ///
    /// # Panics
    /// If a callback does. The loop is whole, and may be run again.
    ///
    /// ```
    /// use windlass::MainLoop;
    ///
    /// let main = MainLoop::new();
    /// main.run(); // nothing to wait for
    /// ```
    pub fn run(&self) {
        loop {
            self.turn();
            if !self.is_alive() {
                return;
            }
            let timer = self.sources.borrow().first_deadline();
            self.shared.wait(timer);
        }
    }
}
