//! Messages: ports closed at any time, and one channel that all hands are members
//! of.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use windlass::{Port, PostError, bounded_channel, channel};

use crate::ledger::staff::came_back;
use crate::ledger::tally::{Fault, did, found};
use crate::ledger::tokens::{Product, Tag};
use crate::ledger::views::HANDS;
use crate::ledger::{Kind, Ledger, fact};
use crate::random::Random;
use crate::scene::Scene;
use crate::watch::Post;

/// A job that posts, and the hand that receives, or does not.
pub(crate) fn port(scene: &Arc<Scene>, random: &mut Random, post: &Post) {
    let room = 1 + random.index(4);
    let (here, there): (Port<(), Tag>, Port<Tag, ()>) = if random.percent(50) {
        bounded_channel(room)
    } else {
        channel()
    };
    let Some((tag, job)) = scene.ledger.open(Kind::Spawned, fact::MAY_CANCEL) else {
        return;
    };
    let accepted = Arc::new(AtomicU64::new(0));
    let (count, ledger, letters) = (
        Arc::clone(&accepted),
        Arc::clone(&scene.ledger),
        random.below(60),
    );
    let handle = scene.spawner.spawn(move || {
        let _begun = tag.begin();
        for _ in 0..letters {
            let Some((letter, job)) = ledger.open(Kind::Letter, 0) else {
                break;
            };
            match pollster::block_on(there.post_async(letter)) {
                Ok(()) => drop(count.fetch_add(1, Relaxed)),
                Err(error) => came_back(&job, PostError::into_inner(error)),
            }
        }
        // By move: the other end hears of it when the job has ended.
        drop(there);
        Product::new(tag.job())
    });
    post.at("receives from a job's port", job.id);
    let give_up = random.percent(40).then(|| random.below(60));
    let mut received = 0;
    loop {
        if give_up == Some(received) {
            if random.percent(50) {
                here.close();
            }
            break drop(here);
        }
        let letter = match random.below(3) {
            0 => pollster::block_on(here.recv_async()),
            1 => here.recv_timeout(Duration::MAX),
            _ => here.recv(),
        };
        let Ok(letter) = letter else {
            let accepted = accepted.load(Relaxed);
            if received != accepted {
                job.fault(Fault::Lost, &format!("{received} of {accepted} messages"));
            }
            break;
        };
        drop(letter.begin());
        received += 1;
    }
    did("messages through ports", received);
    if random.percent(30) {
        job.enter_cancel(handle.cancel());
    }
    post.at("joins a job with a port", job.id);
    job.judge(handle.join());
}

/// What is said to all.
#[derive(Clone)]
pub(crate) struct News {
    from: (usize, u64),
    number: u64,
    /// So that a copy that is left lying is seen.
    _held: Arc<Ledger>,
}

/// A hand as a member of the channel.
pub(crate) struct Member {
    channel: windlass::Broadcast<News>,
    /// Which hand, and how often it has joined.
    me: (usize, u64),
    said: u64,
    /// From each hand: which time it has joined, and the number that is next.
    next: [Option<(u64, u64)>; HANDS],
}

impl Member {
    pub(crate) fn join(scene: &Scene, me: (usize, u64)) -> Self {
        Self {
            channel: scene.spawner.broadcast("news"),
            me,
            said: 0,
            next: [None; HANDS],
        }
    }

    pub(crate) fn talk(&mut self, scene: &Scene, random: &mut Random) {
        for _ in 0..random.below(8) {
            let news = News {
                from: self.me,
                number: self.said,
                _held: Arc::clone(&scene.ledger),
            };
            self.said += 1;
            if self.channel.post(news).is_err() {
                found(Fault::Wrong, || "news came back".to_owned());
            }
        }
        for _ in 0..random.below(30) {
            let Ok(news) = self.channel.try_recv() else {
                break;
            };
            did("news heard", 1);
            let (hand, time) = news.from;
            let number = news.number;
            match self.next[hand] {
                Some((same, next)) if same == time && next != number => {
                    found(Fault::of(next, number), || {
                        format!("news {number} of hand {hand}, and not {next}")
                    });
                }
                _ if hand == self.me.0 => found(Fault::Wrong, || "its own news".to_owned()),
                _ => {}
            }
            self.next[hand] = Some((time, number + 1));
        }
        if random.percent(10) {
            *self = Self::join(scene, (self.me.0, self.me.1 + 1));
        }
    }
}
