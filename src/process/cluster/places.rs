//! The places of a cluster: which worker is in each, when the next one is started, and
//! how all of them are exchanged one by one.

use std::collections::VecDeque;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::event::ClusterEvent;
use super::member::Member;

/// One of the `workers(n)`.
#[derive(Clone, Default)]
struct Place {
    /// Nobody is to come to it any more.
    is_given_up: bool,
    /// When the next worker is started, if none is in it.
    start_at: Option<Instant>,
    /// The wait before the last restart, if the worker before had died quickly.
    delay: Duration,
}

/// See the [module](self).
pub(super) struct Places {
    places: Vec<Place>,
    /// In a row, in all places.
    quick_deaths: u32,
    /// The workers that are still to be exchanged.
    to_restart: VecDeque<u64>,
    /// The one that goes, and the one that comes.
    exchange: Option<(u64, u64)>,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            places: vec![Place::default(); count],
            quick_deaths: 0,
            to_restart: VecDeque::new(),
            exchange: None,
        }
    }

    pub(super) fn give_up(&mut self, place: usize) {
        self.places[place].is_given_up = true;
    }

    pub(super) fn are_given_up(&self) -> bool {
        self.places.iter().all(|place| place.is_given_up)
    }

    /// When the next restart is due.
    pub(super) fn next_start(&self) -> Option<Instant> {
        self.places.iter().filter_map(|place| place.start_at).min()
    }
}

impl Engine {
    /// A worker is gone that nobody had told to stop with the whole cluster.
    pub(super) fn has_died(&mut self, member: &Member, status: Option<ExitStatus>) {
        let is_new = |&(_, new): &(u64, u64)| new == member.id;
        let was_exchange = self.places.exchange.take_if(|pair| is_new(pair)).is_some();
        let why = describe(member, status);
        if was_exchange {
            self.give_up_restart(why.clone());
        }
        if member.was_told {
            return;
        }
        let settings = &self.settings;
        let has_served = member.has_served(settings.min_uptime);
        let place = &mut self.places.places[member.place];
        if has_served {
            place.delay = Duration::ZERO;
            self.places.quick_deaths = 0;
        } else {
            let [first, longest] = settings.backoff;
            place.delay = (place.delay * 2).clamp(first, longest);
            self.places.quick_deaths += 1;
        }
        self.start_later(member.place, why);
    }

    /// Has a worker be started in a place, if there is to be one; `why` there is none.
    fn start_later(&mut self, place: usize, why: String) {
        if !self.settings.restart {
            self.places.give_up(place);
        }
        let too_many = self.places.quick_deaths >= self.settings.max_quick_deaths;
        if too_many && !self.members.iter().any(Member::is_listening) {
            return self.fail(why);
        }
        let place = &mut self.places.places[place];
        if !place.is_given_up {
            place.start_at = Some(Instant::now() + place.delay);
        }
    }

    /// Starts the workers whose time has come.
    pub(super) fn look_after_places(&mut self) {
        self.start_those_due();
        // It may have failed with that.
        if self.stopping.is_some() {
            self.places
                .places
                .iter_mut()
                .for_each(|place| place.start_at = None);
            self.places.to_restart.clear();
            self.places.exchange = None;
            return;
        }
        self.exchange();
    }

    fn start_those_due(&mut self) {
        let now = Instant::now();
        for place in 0..self.places.places.len() {
            if self.stopping.is_some() {
                return;
            }
            let start_at = &mut self.places.places[place].start_at;
            if start_at.take_if(|at| *at <= now).is_none() || self.is_occupied(place) {
                continue;
            }
            if let Err(error) = self.start(place) {
                let [first, longest] = self.settings.backoff;
                let delay = &mut self.places.places[place].delay;
                *delay = (*delay * 2).clamp(first, longest);
                self.places.quick_deaths += 1;
                let reason = format!("it could not be started: {error}");
                self.tell(ClusterEvent::StartFailed {
                    place,
                    reason: reason.clone(),
                });
                self.start_later(place, reason);
            }
        }
    }

    /// Whether a worker is in a place that stays there.
    fn is_occupied(&self, place: usize) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.place == place && member.leaving.is_none())
    }

    /// All workers that are there now are to be exchanged.
    pub(super) fn plan_restart(&mut self) {
        let going = self.places.exchange.map(|(old, _)| old);
        let planned = &mut self.places.to_restart;
        for member in &self.members {
            let id = member.id;
            if member.leaving.is_none() && Some(id) != going && !planned.contains(&id) {
                planned.push_back(id);
            }
        }
        if planned.is_empty() && going.is_none() && self.stopping.is_none() {
            self.tell(ClusterEvent::Restarted { error: None });
        }
    }

    /// Goes on with a rolling restart as far as it goes without waiting: the new worker
    /// has to listen before the old one is told to go, and that one has to be gone before
    /// it is the next one's turn.
    fn exchange(&mut self) {
        loop {
            if let Some((old, new)) = self.places.exchange {
                let is_listening = self.member(new).is_some_and(|new| new.is_listening());
                let is_gone = self.member(old).is_none();
                if !is_listening {
                    return;
                }
                if !is_gone {
                    return self.dismiss_once(old);
                }
                self.places.exchange = None;
                if self.places.to_restart.is_empty() {
                    self.tell(ClusterEvent::Restarted { error: None });
                }
            }
            let Some(old) = self.places.to_restart.pop_front() else {
                return;
            };
            let stays = self.member(old).filter(|old| old.leaving.is_none());
            let Some(place) = stays.map(|old| old.place) else {
                // It has gone by itself, and a new one has come or will.
                if self.places.to_restart.is_empty() {
                    return self.tell(ClusterEvent::Restarted { error: None });
                }
                continue;
            };
            match self.start(place) {
                Ok(new) => self.places.exchange = Some((old, new)),
                Err(error) => self.give_up_restart(format!("it could not be started: {error}")),
            }
        }
    }

    fn dismiss_once(&mut self, id: u64) {
        let is_leaving = self.member(id).is_some_and(|it| it.leaving.is_some());
        if !is_leaving {
            self.dismiss(id);
        }
    }

    fn give_up_restart(&mut self, why: String) {
        self.places.to_restart.clear();
        self.places.exchange = None;
        self.tell(ClusterEvent::Restarted { error: Some(why) });
    }
}

/// What became of a worker.
fn describe(member: &Member, status: Option<ExitStatus>) -> String {
    use super::member::Stage;

    let (id, pid) = (member.id, member.pid());
    let how = match (&member.fault, status) {
        (Some(fault), _) => format!("was killed: {fault}"),
        (None, Some(status)) => format!("ended ({status})"),
        (None, None) => "ended (how was told to somebody else)".into(),
    };
    let when = match member.stage {
        Stage::Started => " before it came to `Cluster::worker()`",
        Stage::Online => " before it took connections",
        Stage::Listening(_) => "",
    };
    match &member.fault {
        Some(_) => format!("worker {id} (process {pid}) {how}"),
        None => format!("worker {id} (process {pid}) {how}{when}"),
    }
}
