//! A process that answers: the main loop posts a text, the child posts one back. It
//! ends when it is disconnected; another one has to be killed. The same in Node:
//! `node/15-fork-ping-pong.js`.
//!
//! Run: `cargo run --features process --example node_15_fork_ping_pong`

use std::error::Error;
use std::rc::Rc;

use windlass::MainLoop;
use windlass::process::{ProcessExit, ProcessParent, ProcessWorker, Signal, Tasks};

type Child = ProcessWorker<String, String>;

fn answer(parent: &ProcessParent<String, String>) {
    while let Ok(text) = parent.recv() {
        if text == "loop" {
            let _ = parent.post("goodbye".into());
            loop {
                std::hint::spin_loop();
            }
        }
        let _ = parent.post(text.replace("ping", "pong"));
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let tasks = Tasks::new().with_worker("answer", answer).serve_if_child();
    let main = MainLoop::new();
    ping_pong(&main, &tasks)?;
    main.run();
    Ok(())
}

fn ping_pong(main: &MainLoop, tasks: &Tasks) -> Result<(), Box<dyn Error>> {
    let child = Rc::new(Child::start(tasks, "answer")?);
    let mut round = 1;
    let partner = Rc::clone(&child);
    main.on_message(&*child, move |_main, answer| {
        println!("ping {round} is answered by {answer}");
        round += 1;
        if round <= 3 {
            let _ = partner.post(format!("ping {round}"));
        } else {
            partner.disconnect();
            println!("connected: {}", partner.is_connected());
        }
    })?;
    let tasks = tasks.clone();
    main.on_exit(&*child, move |main, exit| {
        report(&exit);
        runaway(main, &tasks).expect("it could be started before");
    });
    child.post("ping 1".into())?;
    Ok(())
}

/// Nothing but a signal ends a loop that looks at nothing.
fn runaway(main: &MainLoop, tasks: &Tasks) -> Result<(), Box<dyn Error>> {
    let child = Rc::new(Child::start(tasks, "answer")?);
    let killed = Rc::clone(&child);
    main.on_message(&*child, move |_main, answer| {
        println!("the next one says {answer}, and loops");
        killed.kill(Signal::KILL);
    })?;
    main.on_exit(&*child, |_main, exit| report(&exit));
    child.post("loop".into())?;
    Ok(())
}

/// As Node does: what there is none of is null.
fn report(exit: &ProcessExit) {
    let code = exit.code().map_or("null".into(), |code| code.to_string());
    let signal = exit.signal();
    let signal = signal.map_or("null".into(), |signal| Signal::from(signal).to_string());
    println!("the child exited with code {code} and signal {signal}");
}
