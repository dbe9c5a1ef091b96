//! Passes of one step side by side: each on a thread of its own, where several cores wait and one pass does not fill them.
use std::{ops::ControlFlow, sync::mpsc};

use super::{error::TrainingResult, stages::Step};
use crate::nn;

/// Where passes run: one after the other, or several at once.
#[derive(Clone, Debug)]
pub struct Lanes(nn::Lanes);

impl Lanes {
    /// `at_once` 1 or more.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn new(at_once: usize) -> TrainingResult<Self> {
        let lanes = nn::Lanes::new(at_once).map_err(candle_core::Error::wrap)?;
        Ok(Self(lanes))
    }

    /// Hands what `pass` makes of every item to `take`, in the items' order and the same however many run at once. Each pass asks
    /// for its turn first; no more answers wait in memory than passes run at once.
    ///
    /// # Errors
    /// The first failing item's.
    pub fn run<T, A, F>(
        &self,
        items: &[T],
        step: &mut Step,
        pass: F,
        mut take: impl FnMut(A) -> TrainingResult<()>,
    ) -> TrainingResult<()>
    where
        T: Sync,
        A: Send,
        F: Fn(&T, &mut Step) -> TrainingResult<A> + Sync,
    {
        let in_turn = |item: &T, step: &mut Step| {
            step.turn()?;
            pass(item, step)
        };
        let (index, draws) = (step.index, step.draws);
        for group in items.chunks(self.0.count()) {
            // nobody would answer one that runs on this thread
            if let [alone] = group {
                take(in_turn(alone, step)?)?;
                continue;
            }
            let (ask, asked) = mpsc::channel::<mpsc::Sender<ControlFlow<()>>>();
            let in_turn = &in_turn;
            let of_item = |item| {
                let ask = ask.clone();
                move || {
                    let go_on = &mut || answer(&ask);
                    let step = &mut Step {
                        index,
                        draws,
                        go_on,
                    };
                    in_turn(item, step)
                }
            };
            let passes: Vec<_> = group.iter().map(of_item).collect();
            drop(ask);
            // whoever runs the training is asked from its own thread
            let answers = self.0.run(passes, || {
                for reply in asked {
                    // a pass that failed meanwhile needs no answer
                    let _ = reply.send((step.go_on)());
                }
            });
            for answer in answers {
                take(answer?)?;
            }
        }
        Ok(())
    }
}

/// What the thread that holds the training says to a pass that asks for its turn.
fn answer(ask: &mpsc::Sender<mpsc::Sender<ControlFlow<()>>>) -> ControlFlow<()> {
    let (reply, answer) = mpsc::channel();
    if ask.send(reply).is_err() {
        return ControlFlow::Break(());
    }
    answer.recv().unwrap_or(ControlFlow::Break(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{draws::Draws, error::TrainingError};

    fn run(at_once: usize, go_on: &mut dyn FnMut() -> ControlFlow<()>) -> TrainingResult<Vec<u64>> {
        let mut step = Step {
            index: 7,
            draws: Draws::new(1, 7),
            go_on,
        };
        let items: Vec<u64> = (0..5).collect();
        let pass = |item: &u64, step: &mut Step| {
            step.turn()?;
            Ok(item + step.index)
        };
        let mut answers = Vec::new();
        Lanes::new(at_once)?.run(&items, &mut step, pass, |answer| {
            answers.push(answer);
            Ok(())
        })?;
        Ok(answers)
    }

    #[test]
    fn answers_come_in_order_however_many_run_at_once() {
        for at_once in [1, 2, 3, 8] {
            let mut asked = 0;
            let answers = run(at_once, &mut || {
                asked += 1;
                ControlFlow::Continue(())
            });
            assert_eq!(answers.unwrap(), [7, 8, 9, 10, 11]);
            assert_eq!(asked, 10, "every pass asks twice");
        }
    }

    #[test]
    fn a_training_that_is_to_stop_stops_every_lane() {
        for at_once in [1, 2, 8] {
            let mut asked = 0;
            let answers = run(at_once, &mut || {
                asked += 1;
                match asked < 4 {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
            assert!(matches!(answers, Err(TrainingError::Interrupted)));
        }
    }
}
