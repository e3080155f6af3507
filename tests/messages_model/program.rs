//! The programs, and the model that they are held against.
//!
//! One thread takes the steps, so that the model knows every answer in advance;
//! in some steps other threads post or wait at the same time, and the model
//! knows which orders are possible. Each message keeps account of its drops.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{mem, thread};

use futures_core::Stream;
use windlass::{MainLoop, MessageStream, Port, RecvError, SourceId, bounded_channel, channel};

/// How many channels a program has.
pub(crate) const CHANNELS: usize = 3;

/// Which channel, and which end of it.
pub(crate) type Place = (usize, usize);

/// One step of the program. Those that make no sense where they come, because
/// the port is gone, are left out.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Post(Place),
    /// As many, with a listener or not.
    Posts(Place, usize),
    Recv(Place),
    TryRecv(Place),
    RecvTimeout(Place),
    RecvAsync(Place),
    Iterate(Place, usize),
    /// Attaches a listener, which leaves after so many messages.
    Listen(Place, usize),
    Clear(Place),
    Turn,
    OpenStream(Place),
    PollStream(Place),
    DropStream(Place),
    Close(Place),
    Drop(Place),
    /// Several threads post to this end at once while it receives.
    Burst(Place, usize, usize),
    /// A thread waits here; the other end posts, or closes.
    Meet(Place, bool),
}

/// How often each message was dropped, by number.
#[derive(Clone, Default)]
struct Ledger(Arc<Mutex<Vec<u32>>>);

impl Ledger {
    fn message(&self) -> Message {
        let mut drops = self.0.lock().unwrap();
        drops.push(0);
        Message {
            number: drops.len() - 1,
            ledger: self.clone(),
        }
    }
}

/// A message with a number of its own.
struct Message {
    number: usize,
    ledger: Ledger,
}

impl Drop for Message {
    fn drop(&mut self) {
        self.ledger.0.lock().unwrap()[self.number] += 1;
    }
}

/// Who receives at an end.
enum Receiver {
    Nobody,
    Listener(Listener),
    Stream(MessageStream<Message>),
}

struct Listener {
    id: SourceId,
    /// How many more it takes.
    left: usize,
    heard: Rc<RefCell<Vec<usize>>>,
}

/// One end of a channel, and what the model says is waiting there.
struct End {
    port: Option<Port<Message, Message>>,
    waiting: VecDeque<usize>,
    receiver: Receiver,
}

struct Channel {
    capacity: Option<usize>,
    closed: bool,
    ends: [End; 2],
}

impl Channel {
    fn new(capacity: Option<usize>) -> Self {
        let (one, other) = capacity.map_or_else(channel, bounded_channel);
        let end = |port| End {
            port: Some(port),
            waiting: VecDeque::new(),
            receiver: Receiver::Nobody,
        };
        Self {
            capacity,
            closed: false,
            ends: [end(one), end(other)],
        }
    }

    fn is_full(&self, end: usize) -> bool {
        self.capacity == Some(self.ends[end].waiting.len())
    }
}

/// What receiving gave, and what the model says it gives.
fn judge(
    channel: &mut Channel,
    end: usize,
    result: Result<Message, RecvError>,
    nothing: fn(&RecvError) -> bool,
) {
    let Channel { closed, ends, .. } = channel;
    let End {
        waiting, receiver, ..
    } = &mut ends[end];
    if !matches!(receiver, Receiver::Nobody) {
        assert!(result.err().unwrap().is_taken());
        return;
    }
    match result {
        Ok(message) => assert_eq!(Some(message.number), waiting.pop_front()),
        Err(error) => {
            assert_eq!(waiting.pop_front(), None, "{error}");
            assert!(
                if *closed {
                    error.is_closed()
                } else {
                    nothing(&error)
                },
                "{error}"
            );
        }
    }
}

/// Whatever a future or stream says when it is polled once.
fn poll_once<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Everything of one program.
struct Program {
    main: MainLoop,
    ledger: Ledger,
    channels: Vec<Channel>,
}

impl Program {
    fn new(capacities: &[Option<usize>; CHANNELS]) -> Self {
        Self {
            main: MainLoop::new(),
            ledger: Ledger::default(),
            channels: capacities.iter().copied().map(Channel::new).collect(),
        }
    }

    fn take(&mut self, step: &Step) {
        let (main, ledger) = (&self.main, &self.ledger);
        let place = match step {
            Step::Turn => return self.turn(),
            Step::Burst((channel, end), producers, each) => {
                return self.burst(*channel, *end, *producers, *each);
            }
            Step::Meet((channel, end), closes) => return self.meet(*channel, *end, *closes),
            Step::Post(place)
            | Step::Posts(place, _)
            | Step::Recv(place)
            | Step::TryRecv(place)
            | Step::RecvTimeout(place)
            | Step::RecvAsync(place)
            | Step::Iterate(place, _)
            | Step::Listen(place, _)
            | Step::Clear(place)
            | Step::OpenStream(place)
            | Step::PollStream(place)
            | Step::DropStream(place)
            | Step::Close(place)
            | Step::Drop(place) => *place,
        };
        let (channel, end) = (&mut self.channels[place.0], place.1);
        match step {
            // These need no port: the receiver has its own way.
            Step::Clear(_) => return clear(main, channel, end),
            Step::PollStream(_) => return poll_stream(channel, end),
            Step::DropStream(_) => {
                if matches!(channel.ends[end].receiver, Receiver::Stream(_)) {
                    channel.ends[end].receiver = Receiver::Nobody;
                }
                return;
            }
            _ => {}
        }
        let Some(port) = channel.ends[end].port.take() else {
            return;
        };
        match step {
            Step::Post(_) => post(channel, end, &port, ledger),
            Step::Posts(_, times) => {
                (0..*times).for_each(|_| post(channel, end, &port, ledger));
            }
            Step::Recv(_) => {
                let here = &channel.ends[end];
                let is_free = matches!(here.receiver, Receiver::Nobody);
                // It would wait for ever.
                if !is_free || channel.closed || !here.waiting.is_empty() {
                    judge(channel, end, port.recv(), |_| false);
                }
            }
            Step::TryRecv(_) => judge(channel, end, port.try_recv(), RecvError::is_empty),
            Step::RecvTimeout(_) => {
                let result = port.recv_timeout(Duration::from_micros(1));
                judge(channel, end, result, RecvError::is_timeout);
            }
            Step::RecvAsync(_) => {
                let mut future = std::pin::pin!(port.recv_async());
                if let Some(result) = poll_once(|cx| future.as_mut().poll(cx)) {
                    judge(channel, end, result, |_| false);
                } else {
                    assert!(channel.ends[end].waiting.is_empty() && !channel.closed);
                }
            }
            Step::Iterate(_, most) => match port.iter() {
                Ok(iter) => {
                    let there = (*most).min(channel.ends[end].waiting.len());
                    let got = iter.take(there).map(|message| message.number);
                    let expected = channel.ends[end].waiting.drain(..there);
                    assert!(got.eq(expected));
                }
                Err(error) => judge(channel, end, Err(error), |_| false),
            },
            Step::Listen(_, most) => listen(main, channel, end, &port, *most),
            Step::OpenStream(_) => match port.stream() {
                Ok(stream) => channel.ends[end].receiver = Receiver::Stream(stream),
                Err(error) => judge(channel, end, Err(error), |_| false),
            },
            Step::Close(_) => {
                port.close();
                channel.closed = true;
            }
            Step::Drop(_) => {
                drop(port);
                channel.closed = true;
                if matches!(channel.ends[end].receiver, Receiver::Nobody) {
                    channel.ends[end].waiting.clear();
                }
                return;
            }
            _ => unreachable!("seen to above"),
        }
        assert_eq!(port.is_closed(), channel.closed);
        channel.ends[end].port = Some(port);
    }

    /// Turns until nothing is left to deliver.
    fn turn(&mut self) {
        while self.main.turn() > 0 {}
        for channel in &mut self.channels {
            for end in &mut channel.ends {
                end.judge_turn(channel.closed);
            }
        }
    }

    /// Posts from several threads at once, while this one receives.
    fn burst(&mut self, channel: usize, end: usize, producers: usize, each: usize) {
        let Self {
            main,
            ledger,
            channels,
        } = self;
        let Channel { closed, ends, .. } = &mut channels[channel];
        let [one, other] = ends;
        let (here, there) = if end == 0 { (one, other) } else { (other, one) };
        let (Some(port), Some(to), false) = (&here.port, &there.port, *closed) else {
            return;
        };
        let total = producers * each;
        let heard = match &mut there.receiver {
            Receiver::Nobody => None,
            Receiver::Listener(listener) if listener.left > there.waiting.len() + total => {
                listener.left -= there.waiting.len() + total;
                Some(Rc::clone(&listener.heard))
            }
            _ => return,
        };
        let all: Vec<Vec<Message>> = (0..producers)
            .map(|_| (0..each).map(|_| ledger.message()).collect())
            .collect();
        let numbers = |messages: &Vec<Message>| messages.iter().map(|it| it.number).collect();
        let mut orders: Vec<VecDeque<usize>> = all.iter().map(numbers).collect();
        let mut got = Vec::new();
        thread::scope(|scope| {
            for messages in all {
                scope.spawn(move || {
                    for message in messages {
                        pollster::block_on(port.post_async(message)).unwrap();
                    }
                });
            }
            let expected = there.waiting.len() + total;
            if let Some(heard) = heard {
                let before = heard.borrow().len();
                while heard.borrow().len() < before + expected {
                    main.turn_for(Duration::from_millis(1));
                }
                got.extend(heard.borrow_mut().drain(before..));
            } else {
                got.extend((0..expected).map(|_| to.recv().unwrap().number));
            }
        });
        for number in got {
            if let Some(first) = there.waiting.pop_front() {
                assert_eq!(number, first);
                continue;
            }
            let order = orders
                .iter_mut()
                .find(|order| order.front() == Some(&number));
            order.expect("each thread's messages in order").pop_front();
        }
        assert!(orders.iter().all(VecDeque::is_empty));
        // The other listeners had turns, too.
        self.turn();
    }

    /// A thread waits at this end; the other one posts or closes meanwhile.
    fn meet(&mut self, channel: usize, end: usize, closes: bool) {
        let ledger = &self.ledger;
        let Channel { closed, ends, .. } = &mut self.channels[channel];
        let is_free = matches!(ends[end].receiver, Receiver::Nobody);
        let (Some(port), Some(other)) = (&ends[end].port, &ends[1 - end].port) else {
            return;
        };
        if *closed || !is_free || !ends[end].waiting.is_empty() {
            return;
        }
        let message = ledger.message();
        let number = message.number;
        let result = thread::scope(|scope| {
            let waits = scope.spawn(|| port.recv());
            if closes {
                other.close();
            } else {
                other.post(message).unwrap();
            }
            waits.join().unwrap()
        });
        if closes {
            assert!(result.err().unwrap().is_closed());
            *closed = true;
        } else {
            assert_eq!(result.unwrap().number, number);
        }
    }
}

fn post(channel: &mut Channel, end: usize, port: &Port<Message, Message>, ledger: &Ledger) {
    let message = ledger.message();
    let number = message.number;
    match port.post(message) {
        Ok(()) => {
            assert!(!channel.closed && !channel.is_full(1 - end));
            channel.ends[1 - end].waiting.push_back(number);
        }
        Err(error) => {
            let expected = if channel.closed {
                (true, false)
            } else {
                (false, true)
            };
            assert_eq!((error.is_closed(), error.is_full()), expected);
            assert!(channel.closed || channel.is_full(1 - end));
            assert_eq!(error.into_inner().number, number);
        }
    }
}

fn listen(
    main: &MainLoop,
    channel: &mut Channel,
    end: usize,
    port: &Port<Message, Message>,
    most: usize,
) {
    let heard = Rc::new(RefCell::new(Vec::new()));
    let own = Rc::new(Cell::new(None));
    let (hear, id, mut left) = (Rc::clone(&heard), Rc::clone(&own), most);
    let callback = move |main: &MainLoop, message: Message| {
        hear.borrow_mut().push(message.number);
        left -= 1;
        if left == 0 {
            main.clear(id.get().unwrap());
        }
    };
    match main.on_message(port, callback) {
        Ok(id) => {
            own.set(Some(id));
            let listener = Listener {
                id,
                left: most,
                heard,
            };
            channel.ends[end].receiver = Receiver::Listener(listener);
        }
        Err(error) => judge(channel, end, Err(error), |_| false),
    }
}

fn clear(main: &MainLoop, channel: &mut Channel, end: usize) {
    let End { receiver, .. } = &mut channel.ends[end];
    if let Receiver::Listener(listener) = receiver {
        main.clear(listener.id);
        *receiver = Receiver::Nobody;
    }
}

fn poll_stream(channel: &mut Channel, end: usize) {
    let End {
        waiting, receiver, ..
    } = &mut channel.ends[end];
    let Receiver::Stream(stream) = receiver else {
        return;
    };
    let polled = poll_once(|cx| std::pin::Pin::new(stream).poll_next(cx));
    let number = polled.map(|next| next.map(|message| message.number));
    match waiting.pop_front() {
        Some(expected) => assert_eq!(number, Some(Some(expected))),
        None => assert_eq!(number, channel.closed.then_some(None)),
    }
}

impl End {
    /// What a turn has delivered here.
    fn judge_turn(&mut self, closed: bool) {
        let Receiver::Listener(listener) = &mut self.receiver else {
            return;
        };
        let delivered = mem::take(&mut *listener.heard.borrow_mut());
        let there = listener.left.min(self.waiting.len());
        let expected: Vec<_> = self.waiting.drain(..there).collect();
        assert_eq!(delivered, expected);
        listener.left -= there;
        if listener.left == 0 || (closed && self.waiting.is_empty()) {
            self.receiver = Receiver::Nobody;
        }
    }
}

/// Runs one program; every message of it was dropped once when all is gone.
pub(crate) fn check(capacities: &[Option<usize>; CHANNELS], steps: &[Step]) {
    let mut program = Program::new(capacities);
    for step in steps {
        program.take(step);
    }
    let ledger = program.ledger.clone();
    drop(program);
    let drops = ledger.0.lock().unwrap();
    assert!(drops.iter().all(|&drops| drops == 1), "{drops:?}");
}
