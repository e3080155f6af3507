//! A hand: a thread outside the pool that does one thing after another, at
//! random.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use windlass::{CancelToken, JobSet, JoinHandle, MainLoop};

use crate::body::{fill, finish, spin};
use crate::ledger::place::Place;
use crate::ledger::tally::{Fault, did, found};
use crate::ledger::tokens::{Product, quiet};
use crate::ledger::views::VIEWS;
use crate::ledger::{Job, Kind, fact};
use crate::mail::{self, Member};
use crate::memory;
use crate::random::Random;
use crate::scene::{Scene, Target};
use crate::watch::Post;
use crate::workers;

pub(crate) struct Hand {
    me: usize,
    scene: Arc<Scene>,
    random: Random,
    post: Post,
    main: MainLoop,
    member: Member,
    /// Handles for later.
    bag: Vec<(JoinHandle<Product>, Job)>,
}

impl Hand {
    pub(crate) fn new(me: usize, scene: &Arc<Scene>, random: Random) -> Self {
        Self {
            me,
            random,
            post: Post::new(format!("round {}, hand {me}", scene.ledger.round)),
            main: MainLoop::new(),
            member: Member::join(scene, (me, 0)),
            bag: Vec::new(),
            scene: Arc::clone(scene),
        }
    }

    /// All its steps, and then what is left.
    pub(crate) fn work(mut self, steps: usize) {
        for _ in 0..steps {
            self.post.at("steps", 0);
            self.step();
            self.scene.steps.fetch_add(1, Relaxed);
        }
        while let Some((handle, job)) = self.bag.pop() {
            self.settle(handle, job);
        }
        self.run_main();
    }

    fn step(&mut self) {
        match self.random.below(30) {
            0..5 => self.execute(),
            5..12 => {
                if let Some((handle, job)) = self.spawn() {
                    self.settle(handle, job);
                }
            }
            12..14 => {
                for _ in 0..self.random.below(40) {
                    let more = self.spawn();
                    self.bag.extend(more);
                }
            }
            14..17 => {
                for _ in 0..self.random.below(20) {
                    if self.bag.is_empty() {
                        break;
                    }
                    let at = self.random.index(self.bag.len());
                    let (handle, job) = self.bag.swap_remove(at);
                    self.settle(handle, job);
                }
            }
            17 => {
                let mut set = JobSet::new(&self.scene.spawner);
                let place = self.place();
                let members = fill(&mut set, &mut self.random, place, &self.scene);
                self.post
                    .at("waits for a set", members.first().map_or(0, |job| job.id));
                finish(set, members, &mut self.random);
            }
            18..20 => self.cancel_token(),
            20 => self.callbacks(),
            21 => workers::worker(&self.scene, &mut self.random, &self.post),
            22 => mail::port(&self.scene, &mut self.random, &self.post),
            23 => memory::split(&self.scene, &mut self.random, &self.post),
            24..26 => self.member.talk(&self.scene, &mut self.random),
            26 => self.each_thread(),
            27 => self.scene.cancel_latest(),
            28 if self.random.percent(30) => drop(self.scene.readings.read(&self.scene.spawner)),
            28 => spin(self.random.micros(100)),
            _ => thread::sleep(self.random.micros(200)),
        }
    }

    fn place(&mut self) -> Place {
        let depth = self.random.below(5) as u32;
        Place::outside(self.me, depth)
    }

    fn target(&mut self) -> Target {
        if self.random.percent(40) {
            Target::View(self.random.index(VIEWS))
        } else {
            Target::Pool
        }
    }

    fn execute(&mut self) {
        for _ in 0..self.random.below(10) {
            let (target, place) = (self.target(), self.place());
            self.scene.execute(&mut self.random, target, place);
        }
    }

    fn spawn(&mut self) -> Option<(JoinHandle<Product>, Job)> {
        let (target, place) = (self.target(), self.place());
        self.scene.spawn(&mut self.random, target, place)
    }

    /// What becomes of a handle.
    fn settle(&mut self, mut handle: JoinHandle<Product>, job: Job) {
        let way = self.random.below(16);
        let what = match way {
            0..4 => "joins",
            4 => "awaits",
            5 => "joins with patience",
            6 => "looks again and again for",
            7 => "cancels, then joins",
            8 => "cancels from two threads",
            _ => "gets rid of",
        };
        self.post.at(what, job.id);
        match way {
            0..4 => job.judge(handle.join()),
            4 => job.judge(pollster::block_on(handle)),
            5 => loop {
                match handle.join_timeout(self.random.micros(200)) {
                    Ok(result) => break job.judge(result),
                    Err(same) => handle = same,
                }
            },
            6 => loop {
                if let Some(result) = handle.try_join() {
                    break job.judge(result);
                }
                thread::yield_now();
            },
            7 => {
                job.add(fact::MAY_CANCEL);
                job.enter_cancel(handle.cancel());
                job.judge(handle.join());
            }
            8 => {
                job.add(fact::MAY_CANCEL);
                let cancel = handle.cancel_handle();
                thread::scope(|scope| {
                    let afar = scope.spawn(|| job.enter_cancel(cancel.cancel()));
                    job.judge(pollster::block_on(handle));
                    // A sanitizer sees what this orders, and not what the scope's end does.
                    let _ = afar.join();
                });
            }
            9 => quiet(|| drop(handle)),
            10 => {
                job.add(fact::MAY_CANCEL);
                quiet(|| drop(handle.cancel_on_drop()));
            }
            11..14 => {
                did("handles given to a main loop", 1);
                self.main
                    .on_complete(handle, move |_, result| job.judge(result));
            }
            _ => self.bag.push((handle, job)),
        }
    }

    fn cancel_token(&mut self) {
        let fresh = match self.random.below(3) {
            0 => CancelToken::new(),
            _ => self.scene.token(&mut self.random).child(),
        };
        let mut tokens = self.scene.tokens.lock().unwrap();
        let at = self.random.index(tokens.len());
        let old = std::mem::replace(&mut tokens[at], fresh);
        drop(tokens);
        did("tokens cancelled", 1);
        self.post.at("cancels a token", 0);
        if self.random.percent(30) {
            drop(old.drop_guard());
        } else {
            old.cancel();
        }
        if !old.is_cancelled() {
            found(Fault::Wrong, || {
                "a token that was cancelled is not".to_owned()
            });
        }
        pollster::block_on(old.cancelled());
    }

    /// The main loop, with posts from the pool; or a loop that is given up.
    fn callbacks(&mut self) {
        for _ in 0..self.random.below(6) {
            let jobs = self.scene.ledger.open(Kind::Executed, 0);
            let posts = self.scene.ledger.open(Kind::Letter, 0);
            let (Some((tag, _)), Some((letter, _))) = (jobs, posts) else {
                return;
            };
            let remote = self.main.remote();
            let guard = remote.keep_alive();
            self.scene.spawner.execute(move || {
                let _begun = tag.begin();
                let _guard = guard;
                let _ = remote.post(move |_| drop(letter.begin()));
            });
        }
        self.main.set_timeout(self.random.micros(300), |_, _| ());
        match self.random.below(3) {
            0 => {
                self.post.at("turns its main loop", 0);
                self.main.turn();
                self.main.turn_for(Duration::from_micros(100));
            }
            1 => {
                self.post.at("drops its main loop", 0);
                let old = std::mem::replace(&mut self.main, MainLoop::new());
                quiet(|| drop(old));
            }
            _ => self.run_main(),
        }
    }

    fn run_main(&self) {
        self.post.at("runs its main loop", 0);
        self.main.run();
    }

    fn each_thread(&mut self) {
        let Some((tag, job)) = self.scene.ledger.open(Kind::Held, 0) else {
            return;
        };
        let handles = self.scene.spawner.on_each_thread(move |index| {
            let _held = &tag;
            index
        });
        self.post.at("joins a job on each thread", job.id);
        for (index, handle) in handles.into_iter().enumerate() {
            match handle.join() {
                Ok(same) if same == index => {}
                Ok(_) => job.fault(Fault::Wrong, "on_each_thread ran on another thread"),
                Err(_) if self.scene.ledger.closing.load(Relaxed) => {}
                Err(error) if error.is_closed() && self.scene.ledger.resizing.load(Relaxed) => {}
                Err(error) => job.fault(Fault::Lost, &format!("on_each_thread: {error}")),
            }
        }
        did("calls on each thread", 1);
    }
}
