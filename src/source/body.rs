//! Reading a body: bounded in bytes, after decompression, and large ones one at a time.

use super::http::describe;
use super::miss::Miss;
use super::retry::Patience;
use reqwest::Response;
use std::error::Error;
use std::time::Duration;
use tokio::sync::Semaphore;

/// What each of several bodies may hold at once without waiting for the others. Ordinary bundles
/// are shorter; eight of the longest together would be 128 MiB.
const LARGE: usize = 2 * 1024 * 1024;

/// Lets one body at a time grow past [`LARGE`], so that what many threads hold does not add up.
pub(super) struct Gate(Semaphore);

impl Gate {
    pub(super) fn new() -> Gate {
        Gate(Semaphore::new(1))
    }

    /// The whole body, decompressed, if it has at most `limit` bytes. Of a longer one no more than
    /// a chunk past the limit was ever held.
    pub(super) async fn read(
        &self,
        mut response: Response,
        limit: usize,
        patience: &mut Patience<'_>,
    ) -> Result<Vec<u8>, Miss> {
        let length = response.content_length();
        if length.is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit)) {
            return Err(Miss::TooLarge);
        }
        self.collect(async || response.chunk().await, limit, patience).await
    }

    async fn collect<C: AsRef<[u8]>, E: Error + 'static>(
        &self,
        mut next_chunk: impl AsyncFnMut() -> Result<Option<C>, E>,
        limit: usize,
        patience: &mut Patience<'_>,
    ) -> Result<Vec<u8>, Miss> {
        let mut body = Vec::new();
        let mut place = None;
        loop {
            let chunk = match patience.hurry(next_chunk()).await? {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(body),
                Err(error) => return Err(Miss::failed(format!("the body broke off: {}", describe(&error)))),
            };
            let chunk = chunk.as_ref();
            let length = body.len().saturating_add(chunk.len());
            if length > limit {
                return Err(Miss::TooLarge);
            }
            if length > LARGE && place.is_none() {
                place = Some(patience.bide(self.0.acquire()).await?);
            }
            body.extend_from_slice(chunk);
        }
    }
}

/// How much of an answer that is not needed is read, and for how long.
const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(250));

/// Reads what is left of an answer that is not needed: a connection with an unread answer on it is
/// lost, and a log that says "not there" to many requests would see a new one for each.
pub(super) async fn drain(mut response: Response) {
    let (mut room, time) = DRAIN;
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            match room.checked_sub(chunk.len()) {
                Some(rest) => room = rest,
                None => return,
            }
        }
    };
    // Not in time: the connection is lost, which is all that would be won.
    let _ = tokio::time::timeout(time, reading).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::options::HttpOptions;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    const CHUNK: usize = 64 * 1024;

    #[test]
    fn large_bodies_do_not_add_up() {
        const BODY: usize = 16 * 1024 * 1024;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let (gate, held, peak) = (Gate::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        // Waiting for the others is not held against a body, however many there are.
        let options = HttpOptions { attempt_timeout: Duration::from_secs(2), ..HttpOptions::default() };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut patience = Patience::new(&options, None);
                    patience.begin_attempt().unwrap();
                    let mut left = BODY;
                    let chunks = async || {
                        // Slow enough that all eight are under way together.
                        tokio::time::sleep(Duration::from_micros(200)).await;
                        let size = CHUNK.min(left);
                        left -= size;
                        peak.fetch_max(held.fetch_add(size, SeqCst) + size, SeqCst);
                        Ok::<_, Infallible>((size > 0).then(|| vec![0; size]))
                    };
                    let body = runtime.block_on(gate.collect(chunks, BODY, &mut patience));
                    assert_eq!(body.ok().map(|body| body.len()), Some(BODY));
                    held.fetch_sub(BODY, SeqCst);
                });
            }
        });
        let most = 8 * (LARGE + CHUNK) + BODY;
        // A body that is done lets the next one in before this test has counted it out.
        let slack = 1024 * 1024;
        let peak = peak.into_inner();
        assert!(peak > BODY && peak <= most + slack, "{peak} of {most} bytes");
    }

    #[test]
    fn a_body_ends_at_its_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let options = HttpOptions::default();
        for (limit, fits) in [(3 * CHUNK, true), (3 * CHUNK - 1, false), (0, false)] {
            let mut patience = Patience::new(&options, None);
            let mut left = 3;
            let chunks = async || {
                let more = left > 0;
                left -= usize::from(more);
                Ok::<_, Infallible>(more.then(|| vec![0; CHUNK]))
            };
            let body = runtime.block_on(Gate::new().collect(chunks, limit, &mut patience));
            assert!(if fits { body.is_ok() } else { matches!(body, Err(Miss::TooLarge)) }, "{limit}");
        }
    }
}
