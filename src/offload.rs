//! Work on large responses, outside the threads that serve calls.
//!
//! Reading a list of 10,000 agents occupies a thread for tens of milliseconds. On a thread that serves calls, all its
//! calls would wait for it.

use std::{future::pending, panic::resume_unwind, sync::Arc, thread::available_parallelism};

use tokio::{sync::Semaphore, task::spawn_blocking};

/// The largest input in bytes whose work is done in place: it takes less than half a millisecond.
const LARGEST_IN_PLACE: usize = 64 << 10;

/// Threads for large work. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Offload(Arc<Semaphore>);

// === impl Offload ===

impl Offload {
    /// As many threads as half of the processors.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new((processors / 2).max(1))))
    }

    /// Does work on an input of this size. Large work waits for a free thread.
    pub(crate) async fn run<T: Send + 'static>(&self, size: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
        if size <= LARGEST_IN_PLACE {
            return work();
        }
        let permit = self.0.clone().acquire_owned().await;
        // Work that has begun holds its permit to its end, also when its caller disconnects.
        let work = move || {
            let _permit = permit;
            work()
        };
        match spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The runtime ends, and every task with it.
                Err(_) => pending().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, thread};

    use super::*;

    #[tokio::test]
    async fn small_work_is_done_in_place_and_large_work_elsewhere() {
        let (offload, here) = (Offload::new(), thread::current().id());
        let place = |size| offload.run(size, || thread::current().id());
        assert_eq!(place(LARGEST_IN_PLACE).await, here);
        assert_ne!(place(LARGEST_IN_PLACE + 1).await, here);
    }

    #[tokio::test]
    async fn large_work_is_bounded_and_holds_its_permit_past_its_caller() {
        let half = available_parallelism().map_or(1, usize::from) / 2;
        assert_eq!(Offload::new().0.available_permits(), half.max(1));
        let offload = Offload(Arc::new(Semaphore::new(1)));
        let (release, released) = mpsc::channel::<()>();
        let (begin, running) = tokio::sync::oneshot::channel();
        let first = tokio::spawn({
            let offload = offload.clone();
            async move {
                let work = move || {
                    begin.send(()).unwrap();
                    released.recv().unwrap();
                };
                offload.run(usize::MAX, work).await;
            }
        });
        running.await.unwrap();
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        assert_eq!(offload.0.available_permits(), 0);
        release.send(()).unwrap();
        offload.run(usize::MAX, || ()).await;
    }

    #[tokio::test]
    async fn a_panic_reaches_the_caller() {
        let call = tokio::spawn(async { Offload::new().run(usize::MAX, || panic!("broken")).await });
        assert!(call.await.unwrap_err().is_panic());
    }
}
