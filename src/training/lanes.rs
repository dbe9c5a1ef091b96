//! Passes of one step side by side: each on a thread of its own, where several cores wait and one pass does not fill them.
use std::{
    ops::ControlFlow,
    sync::{Arc, mpsc},
    thread,
};

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::{error::TrainingResult, stages::Step};

/// Where passes run: here one after the other, or that many at once.
#[derive(Clone, Debug)]
pub struct Lanes {
    /// One thread each, so that the kernels of one pass take no core from another; none where passes run here.
    pools: Vec<Arc<ThreadPool>>,
}

impl Lanes {
    /// `at_once` 1 or more.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn new(at_once: usize) -> TrainingResult<Self> {
        let of_one = |lane| {
            let builder = ThreadPoolBuilder::new().num_threads(1);
            builder
                .thread_name(move |_| format!("npedit-lane-{lane}"))
                .build()
        };
        let lanes = if at_once > 1 { at_once } else { 0 };
        let pools: Result<Vec<_>, _> = (0..lanes).map(|lane| of_one(lane).map(Arc::new)).collect();
        Ok(Self {
            pools: pools.map_err(candle_core::Error::wrap)?,
        })
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
        if self.pools.is_empty() || items.len() < 2 {
            return items.iter().try_for_each(|item| take(in_turn(item, step)?));
        }
        for group in items.chunks(self.pools.len()) {
            let (index, draws) = (step.index, step.draws);
            let (ask, asked) = mpsc::channel::<mpsc::Sender<ControlFlow<()>>>();
            let of_group: Vec<_> = thread::scope(|scope| {
                let in_turn = &in_turn;
                let mut running = Vec::with_capacity(group.len());
                for (item, pool) in group.iter().zip(&self.pools) {
                    let ask = ask.clone();
                    let of_item = move || {
                        let mut go_on = || answer(&ask);
                        let go_on = &mut go_on;
                        in_turn(
                            item,
                            &mut Step {
                                index,
                                draws,
                                go_on,
                            },
                        )
                    };
                    running.push(scope.spawn(|| pool.install(of_item)));
                }
                drop(ask);
                // whoever runs the training is asked from its own thread
                for reply in asked {
                    // a pass that failed meanwhile needs no answer
                    let _ = reply.send((step.go_on)());
                }
                running
                    .into_iter()
                    .map(thread::ScopedJoinHandle::join)
                    .collect()
            });
            for answer in of_group {
                take(answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?)?;
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

    #[test]
    fn passes_run_beside_each_other_with_a_kernel_thread_each() {
        let both = std::sync::Barrier::new(2);
        let mut step = Step {
            index: 0,
            draws: Draws::new(1, 0),
            go_on: &mut || ControlFlow::Continue(()),
        };
        let lanes = Lanes::new(2).unwrap();
        let pass = |(): &(), _: &mut Step| {
            both.wait();
            Ok(rayon::current_num_threads())
        };
        let mut threads = Vec::new();
        let ran = lanes.run(&[(), ()], &mut step, pass, |count| {
            threads.push(count);
            Ok(())
        });
        ran.unwrap();
        assert_eq!(threads, [1, 1]);
    }
}
