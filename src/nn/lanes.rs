//! Work side by side, a thread each: where models are small, several cores do more with a piece of work each than with all
//! pieces together.
use std::{io, sync::Arc, thread};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// How many pieces of work run at once.
#[derive(Clone, Debug, Default)]
pub struct Lanes {
    /// One thread each, so that the kernels of one piece take no core from another; none where work runs as it is called.
    pools: Vec<Arc<ThreadPool>>,
}

impl Lanes {
    /// `count` 0 and 1: none.
    ///
    /// # Errors
    /// The system starts no more threads.
    pub fn new(count: usize) -> io::Result<Self> {
        let lanes = if count > 1 { count } else { 0 };
        let of_one = |lane| {
            ThreadPoolBuilder::new()
                .num_threads(1)
                .thread_name(move |_| format!("lane-{lane}"))
                .build()
                .map(Arc::new)
        };
        let pools: Result<_, _> = (0..lanes).map(of_one).collect();
        Ok(Self {
            pools: pools.map_err(io::Error::other)?,
        })
    }

    /// Pieces of work that run at once, at least 1.
    pub fn count(&self) -> usize {
        self.pools.len().max(1)
    }

    /// What each piece of `work` gives, in order; `meanwhile` runs on the caller's own thread, and before the work where that runs
    /// there too: where it is one piece, or there are no lanes.
    pub fn run<A: Send, F: FnOnce() -> A + Send>(
        &self,
        work: Vec<F>,
        meanwhile: impl FnOnce(),
    ) -> Vec<A> {
        if self.pools.is_empty() || work.len() < 2 {
            meanwhile();
            return work.into_iter().map(|piece| piece()).collect();
        }
        let (count, pieces) = (self.pools.len(), work.len());
        let mut hands: Vec<Vec<F>> = self.pools.iter().map(|_| Vec::new()).collect();
        for (at, piece) in work.into_iter().enumerate() {
            hands[at % count].push(piece);
        }
        let mut answers: Vec<_> = thread::scope(|scope| {
            let running = hands.into_iter().zip(&self.pools).map(|(hand, pool)| {
                let all = move || hand.into_iter().map(|piece| piece()).collect::<Vec<A>>();
                scope.spawn(move || pool.install(all))
            });
            let running: Vec<_> = running.collect();
            meanwhile();
            let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
            ended
                .map(|answers| answers.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .map(Vec::into_iter)
                .collect()
        });
        (0..pieces)
            .filter_map(|at| answers[at % count].next())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_come_in_order_however_many_run_at_once() {
        for count in [0, 1, 2, 3, 8] {
            let lanes = Lanes::new(count).unwrap();
            let work = (0..5).map(|at| move || at * at).collect();
            let mut told = false;
            assert_eq!(lanes.run(work, || told = true), [0, 1, 4, 9, 16]);
            assert!(told);
        }
    }

    #[test]
    fn pieces_run_beside_each_other_with_a_kernel_thread_each() {
        let both = std::sync::Barrier::new(2);
        let piece = || {
            both.wait();
            rayon::current_num_threads()
        };
        let lanes = Lanes::new(2).unwrap();
        assert_eq!(lanes.run(vec![piece, piece], || {}), [1, 1]);
        // one alone has all threads
        let all = rayon::current_num_threads();
        assert_eq!(lanes.run(vec![rayon::current_num_threads], || {}), [all]);
    }

    #[test]
    #[should_panic(expected = "a piece")]
    fn a_panic_is_not_lost() {
        let lanes = Lanes::new(2).unwrap();
        let work: Vec<fn()> = vec![|| panic!("a piece"), || {}];
        lanes.run(work, || {});
    }
}
