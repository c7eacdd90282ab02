//! Work on numbered tasks in parallel, results in order, memory bounded.
//!
//! Threads take task after task, and the caller's thread gets the results strictly in order. However
//! large the tasks turn out to be, what is held at once stays within a budget: a thread takes a
//! new task only while the results that wait, and one task of the largest size seen for every
//! thread at work, fit. The task that is wanted next is always let through, so nothing deadlocks.
//! Counts of bytes and threads saturate: near the end of their range, nothing fits the budget.

use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Bytes of results and of tasks at work. Six full bundles of the longest leaves, or thousands of
/// ordinary ones.
const BUDGET: usize = 96 * 1024 * 1024;

/// Tasks ahead of the one wanted next. Enough to keep every thread busy. Without this limit, small tasks would fill the
/// budget with work that a stop throws away.
const AHEAD: u64 = 64;

/// A full bundle of the longest leaves, and as much again for what is decoded from it.
const LARGEST: usize = 32 * 1024 * 1024;

struct Shared<T> {
    next: u64,
    wanted: u64,
    waiting: BTreeMap<u64, (T, usize)>,
    waiting_bytes: usize,
    at_work: usize,
    /// `None` until a first task is done. Until then, every task counts as the largest that there can be.
    largest: Option<usize>,
    stopped: bool,
}

struct Pipe<T> {
    shared: Mutex<Shared<T>>,
    changed: Condvar,
    end: u64,
}

impl<T> Pipe<T> {
    fn lock(&self) -> MutexGuard<'_, Shared<T>> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, guard: MutexGuard<'a, Shared<T>>) -> MutexGuard<'a, Shared<T>> {
        self.changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<u64> {
        let mut shared = self.lock();
        loop {
            if shared.stopped || shared.next >= self.end {
                return None;
            }
            let at_work = shared.at_work.saturating_add(1).saturating_mul(shared.largest.unwrap_or(LARGEST));
            let fits = shared.waiting_bytes.saturating_add(at_work) <= BUDGET
                && shared.next < shared.wanted.saturating_add(AHEAD);
            if fits || shared.next == shared.wanted {
                let task = shared.next;
                shared.next = task.saturating_add(1);
                shared.at_work = shared.at_work.saturating_add(1);
                return Some(task);
            }
            shared = self.wait(shared);
        }
    }

    fn put(&self, task: u64, result: T, bytes: usize) {
        let mut shared = self.lock();
        shared.at_work = shared.at_work.saturating_sub(1);
        shared.largest = shared.largest.max(Some(bytes));
        shared.waiting_bytes = shared.waiting_bytes.saturating_add(bytes);
        shared.waiting.insert(task, (result, bytes));
        self.changed.notify_all();
    }

    fn get(&self) -> Option<(u64, T)> {
        let mut shared = self.lock();
        let wanted = shared.wanted;
        if wanted >= self.end {
            return None;
        }
        loop {
            if let Some((result, bytes)) = shared.waiting.remove(&wanted) {
                shared.waiting_bytes = shared.waiting_bytes.saturating_sub(bytes);
                shared.wanted = wanted.saturating_add(1);
                self.changed.notify_all();
                return Some((wanted, result));
            }
            if shared.stopped {
                return None;
            }
            shared = self.wait(shared);
        }
    }

    fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// Stops everything if a thread panics, so that the panic is seen and nobody waits for its result.
struct StopOnDrop<'a, T>(&'a Pipe<T>, bool);

impl<T> Drop for StopOnDrop<'_, T> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.stop();
        }
    }
}

/// Runs `work` on every task of `tasks` (end excluded) in `threads` threads and hands the results
/// to `consume` in order, until it breaks. `work` also returns the bytes that its result holds, and
/// `local` makes what each thread keeps between tasks.
pub(super) fn in_order<L, T: Send, B>(
    tasks: Range<u64>,
    threads: usize,
    local: impl Fn() -> L + Sync,
    work: impl Fn(u64, &mut L) -> (T, usize) + Sync,
    mut consume: impl FnMut(u64, T) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let pipe = Pipe {
        shared: Mutex::new(Shared {
            next: tasks.start,
            wanted: tasks.start,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            at_work: 0,
            largest: None,
            stopped: false,
        }),
        changed: Condvar::new(),
        end: tasks.end,
    };
    // At most one thread a task: a monitor has one task at a time, and each thread costs memory that stays.
    let most = usize::try_from(tasks.end.saturating_sub(tasks.start)).unwrap_or(usize::MAX);
    let at_work = || {
        let mut guard = StopOnDrop(&pipe, false);
        let mut kept = local();
        while let Some(task) = pipe.take() {
            let (result, bytes) = work(task, &mut kept);
            pipe.put(task, result, bytes);
        }
        guard.1 = true;
    };
    std::thread::scope(|scope| {
        let start = |_: &usize| std::thread::Builder::new().spawn_scoped(scope, at_work).is_ok();
        // As many as can be had: fewer take longer, and give the same.
        if (0..threads.min(most).max(1)).take_while(start).count() == 0 {
            return one_by_one(tasks, &local, &work, consume);
        }
        let _stop = StopOnDrop(&pipe, false);
        while let Some((task, result)) = pipe.get() {
            consume(task, result)?;
        }
        ControlFlow::Continue(())
    })
}

/// The same where no thread can be had.
fn one_by_one<L, T, B>(
    tasks: Range<u64>,
    local: &impl Fn() -> L,
    work: &impl Fn(u64, &mut L) -> (T, usize),
    mut consume: impl FnMut(u64, T) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let mut kept = local();
    for task in tasks {
        consume(task, work(task, &mut kept).0)?;
    }
    ControlFlow::Continue(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn results_come_in_order() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            let flow = in_order(
                3..500,
                threads,
                || (),
                |task, ()| {
                    if task % 17 == 0 {
                        std::thread::yield_now();
                    }
                    (task * 2, 100)
                },
                |task, result| {
                    assert_eq!(result, task * 2);
                    seen.push(task);
                    ControlFlow::<()>::Continue(())
                },
            );
            assert!(flow.is_continue());
            assert_eq!(seen, (3..500).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn a_break_stops_the_threads() {
        let flow = in_order(
            0..u64::MAX,
            4,
            || (),
            |task, ()| (task, 1),
            |task, _| {
                if task == 1000 { ControlFlow::Break("enough") } else { ControlFlow::Continue(()) }
            },
        );
        assert_eq!(flow, ControlFlow::Break("enough"));
    }

    #[test]
    fn large_results_are_bounded() {
        let held = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let size = BUDGET / 4;
        let flow = in_order(
            0..64,
            4,
            || (),
            |_, ()| {
                let now = held.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(now, Ordering::SeqCst);
                ((), size)
            },
            |_, ()| {
                std::thread::sleep(std::time::Duration::from_millis(1));
                held.fetch_sub(1, Ordering::SeqCst);
                ControlFlow::<()>::Continue(())
            },
        );
        assert!(flow.is_continue());
        // The first round of threads starts before any size is known.
        assert!(most.load(Ordering::SeqCst) <= 4 + 2, "held {}", most.load(Ordering::SeqCst));
    }

    #[test]
    #[should_panic]
    fn a_panic_in_a_thread_is_propagated() {
        let _ = in_order(
            0..100,
            2,
            || (),
            |task, ()| (assert_ne!(task, 50), 1),
            |_, ()| ControlFlow::<()>::Continue(()),
        );
    }
}
