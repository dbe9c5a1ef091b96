//! Turns on the device: edits and scores of clients, and the passes of a training that runs beside them.
//!
//! On the CPU the device is the pool of kernel threads. A turn of training is one pass, not one optimiser step, so a client
//! waits for at most one pass; and where clients queue up, training has every second turn.
use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long clients must have been away before training runs where it may only use idle time.
const IDLE: Duration = Duration::from_secs(2);
/// How often idle time is looked for.
const LOOK: Duration = Duration::from_millis(100);

/// When training may have the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// In turns with clients.
    Turns,
    /// While no client is there.
    Idle,
}

/// Hands out turns, one at a time.
#[derive(Clone, Debug, Default)]
pub struct DeviceGate(Arc<Gate>);

#[derive(Debug, Default)]
struct Gate {
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    taken: Option<Side>,
    last: Option<Side>,
    clients_waiting: usize,
    last_client: Option<Instant>,
    waits: Waits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Training,
}

/// How long clients waited for training, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waits {
    pub count: u64,
    pub total: Duration,
    pub longest: Duration,
}

/// The right to compute, until dropped.
#[derive(Debug)]
pub struct Turn {
    gate: Arc<Gate>,
}

impl DeviceGate {
    /// A turn for a client's request: waits while a pass of training runs.
    pub fn client(&self) -> Turn {
        let start = Instant::now();
        let mut state = self.0.state();
        state.clients_waiting += 1;
        while state.taken.is_some() {
            state = self.0.wait(state);
        }
        state.clients_waiting -= 1;
        let waited = start.elapsed();
        state.waits.count += 1;
        state.waits.total += waited;
        state.waits.longest = state.waits.longest.max(waited);
        self.take(state, Side::Client)
    }

    /// A turn for one pass of training; none once `stop` says so.
    pub fn training(&self, sharing: Sharing, stop: &dyn Fn() -> bool) -> Option<Turn> {
        let mut state = self.0.state();
        loop {
            if stop() {
                return None;
            }
            if state.lets_training(sharing) {
                return Some(self.take(state, Side::Training));
            }
            // nobody tells that clients have stayed away long enough, or that the job is to stop
            let waited = self.0.freed.wait_timeout(state, LOOK);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How long clients waited so far.
    pub fn waits(&self) -> Waits {
        self.0.state().waits
    }

    fn take(&self, mut state: MutexGuard<State>, side: Side) -> Turn {
        state.taken = Some(side);
        Turn {
            gate: self.0.clone(),
        }
    }
}

impl State {
    fn lets_training(&self, sharing: Sharing) -> bool {
        let away = self.last_client.is_none_or(|last| last.elapsed() >= IDLE);
        let mine = match sharing {
            Sharing::Turns => self.clients_waiting == 0 || self.last != Some(Side::Training),
            Sharing::Idle => self.clients_waiting == 0 && away,
        };
        self.taken.is_none() && mine
    }
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.freed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.last = state.taken.take();
        if state.last == Some(Side::Client) {
            state.last_client = Some(Instant::now());
        }
        drop(state);
        self.gate.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    const GO_ON: &dyn Fn() -> bool = &|| false;

    #[test]
    fn a_client_waits_for_one_pass_and_then_goes_first() {
        let gate = DeviceGate::default();
        let pass = gate.training(Sharing::Turns, GO_ON).unwrap();
        let (served, order) = mpsc::channel();
        let client = {
            let (gate, served) = (gate.clone(), served.clone());
            thread::spawn(move || {
                let turn = gate.client();
                served.send("client").unwrap();
                thread::sleep(Duration::from_millis(20));
                drop(turn);
            })
        };
        while gate.0.state().clients_waiting == 0 {
            thread::yield_now();
        }
        drop(pass);
        let next = gate.training(Sharing::Turns, GO_ON).unwrap();
        served.send("training").unwrap();
        drop(next);
        client.join().unwrap();
        assert_eq!(
            [order.recv().unwrap(), order.recv().unwrap()],
            ["client", "training"]
        );
        assert_eq!(gate.waits().count, 1);
    }

    #[test]
    fn training_has_every_second_turn_however_many_clients_wait() {
        let gate = DeviceGate::default();
        let turn = gate.client();
        drop(turn);
        gate.0.state().clients_waiting = 5;
        let pass = gate.training(Sharing::Turns, GO_ON).unwrap();
        drop(pass);
        assert!(!gate.0.state().lets_training(Sharing::Turns));
    }

    #[test]
    fn idle_time_begins_some_time_after_the_last_client() {
        let gate = DeviceGate::default();
        assert!(gate.0.state().lets_training(Sharing::Idle));
        drop(gate.client());
        assert!(!gate.0.state().lets_training(Sharing::Idle));
        assert!(gate.training(Sharing::Idle, &|| true).is_none());
        gate.0.state().last_client = Instant::now().checked_sub(IDLE);
        assert!(gate.0.state().lets_training(Sharing::Idle));
    }
}
