//! Reads a body: bounded in bytes, both as sent and as decoded. Only one large body is read at a time.
//!
//! Lengths are added with saturation because each sum is compared with a limit below `usize::MAX`.

use super::coding::{Codings, DecodedTooLong};
use super::error::describe;
use super::failure::FetchFailure;
use super::retry::RetryBudget;
use reqwest::Response;
use std::error::Error;
use std::io::{self, BufRead as _, ErrorKind};
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// How much each body may hold without waiting for the others. Ordinary bundles are shorter; eight of the
/// longest together would take 128 MiB.
const LARGE_BODY: usize = 2 * 1024 * 1024;

/// Lets one body at a time grow past [`LARGE_BODY`], which bounds the memory of many threads together.
pub(super) struct LargeBodyLimit(Semaphore);

/// The permit to grow past [`LARGE_BODY`], once it is needed.
type LargeBodyPermit<'a> = Option<Result<SemaphorePermit<'a>, AcquireError>>;

impl LargeBodyLimit {
    pub(super) fn new() -> LargeBodyLimit {
        LargeBodyLimit(Semaphore::new(1))
    }

    /// The whole decoded body, if it has at most `limit` bytes. Of a longer body, at most one chunk past the
    /// limit is ever held.
    pub(super) async fn read(
        &self,
        mut response: Response,
        codings: &Codings,
        limit: usize,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, FetchFailure> {
        let most = codings.most_sent(limit);
        let mut room = None;
        let length = response.content_length();
        let sent =
            match length.is_none_or(|length| usize::try_from(length).is_ok_and(|length| length <= most)) {
                true => self.collect(async || response.chunk().await, most, &mut room, budget).await,
                false => Err(FetchFailure::TooLarge),
            };
        match sent {
            // The length as sent does not tell how long the decoded body is.
            Err(FetchFailure::TooLarge) if !codings.is_none() => Err(FetchFailure::Refused(format!(
                "even as {codings} (Content-Encoding) it is longer than {most} bytes, and the file itself may have \
                 {limit}"
            ))),
            Ok(sent) if !codings.is_none() => self.decode(sent, codings, limit, &mut room, budget).await,
            sent => sent,
        }
    }

    async fn decode<'a>(
        &'a self,
        sent: Vec<u8>,
        codings: &Codings,
        limit: usize,
        room: &mut LargeBodyPermit<'a>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, FetchFailure> {
        let fault = |error: io::Error| decoding_failure(codings, &error);
        let mut decoder = codings.decoder(sent, limit).map_err(fault)?;
        let mut body = Vec::new();
        loop {
            let piece = decoder.fill_buf().map_err(fault)?;
            if piece.is_empty() {
                return Ok(body);
            }
            let length = body.len().saturating_add(piece.len());
            if length > limit {
                return Err(FetchFailure::TooLarge);
            }
            self.make_room(length, room, budget).await?;
            body.extend_from_slice(piece);
            let taken = piece.len();
            decoder.consume(taken);
        }
    }

    /// Waits until the body may grow to `length` bytes.
    async fn make_room<'a>(
        &'a self,
        length: usize,
        room: &mut LargeBodyPermit<'a>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<(), FetchFailure> {
        if length > LARGE_BODY && room.is_none() {
            *room = Some(budget.off_the_clock(self.0.acquire()).await?);
        }
        Ok(())
    }

    async fn collect<'a, C: AsRef<[u8]>, E: Error + 'static>(
        &'a self,
        mut next_chunk: impl AsyncFnMut() -> Result<Option<C>, E>,
        limit: usize,
        room: &mut LargeBodyPermit<'a>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, FetchFailure> {
        let mut body = Vec::new();
        loop {
            let chunk = match budget.within_attempt(next_chunk()).await? {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(body),
                Err(error) => {
                    return Err(FetchFailure::failed(format!("the body broke off: {}", describe(&error))));
                }
            };
            let chunk = chunk.as_ref();
            let length = body.len().saturating_add(chunk.len());
            if length > limit {
                return Err(FetchFailure::TooLarge);
            }
            self.make_room(length, room, budget).await?;
            body.extend_from_slice(chunk);
        }
    }
}

/// The failure of a body that cannot be decoded, for example because it was cut or changed on its way.
fn decoding_failure(codings: &Codings, error: &io::Error) -> FetchFailure {
    if error.get_ref().is_some_and(|cause| cause.is::<DecodedTooLong>()) {
        return FetchFailure::Refused(format!("sent as {codings} (Content-Encoding): {error}"));
    }
    FetchFailure::failed(match error.kind() {
        ErrorKind::UnexpectedEof => {
            format!("the body broke off in the middle of its {codings} (Content-Encoding)")
        }
        _ => format!("the body is damaged, or is not the {codings} that its Content-Encoding says: {error}"),
    })
}

/// How many bytes of an unneeded response are read, and for how long.
const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(250));

/// Reads the rest of a response that is not needed, and returns its beginning. A connection with an unread
/// response on it is lost, and a log that answers "not there" to many requests would see a new connection for
/// each.
pub(super) async fn drain(mut response: Response) -> Vec<u8> {
    let (room, time) = DRAIN;
    let mut read = Vec::new();
    let reading = async {
        while let Ok(Some(chunk)) = response.chunk().await {
            let left = room.saturating_sub(read.len());
            read.extend(chunk.iter().take(left));
            if chunk.len() > left {
                return;
            }
        }
    };
    // If it takes too long, only the connection is lost.
    let _ = tokio::time::timeout(time, reading).await;
    read
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::options::HttpOptions;
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    const CHUNK: usize = 64 * 1024;

    #[test]
    fn large_bodies_are_read_one_at_a_time() {
        const BODY: usize = 16 * 1024 * 1024;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let (large_bodies, held, peak) = (LargeBodyLimit::new(), AtomicUsize::new(0), AtomicUsize::new(0));
        // Time spent waiting for other bodies does not count against a body.
        let options = HttpOptions { attempt_timeout: Duration::from_secs(2), ..HttpOptions::default() };
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut budget = RetryBudget::new(&options, None);
                    budget.begin_attempt().unwrap();
                    let mut left = BODY;
                    let chunks = async || {
                        // Slow enough that all eight are read together.
                        tokio::time::sleep(Duration::from_micros(200)).await;
                        let size = CHUNK.min(left);
                        left -= size;
                        peak.fetch_max(held.fetch_add(size, SeqCst) + size, SeqCst);
                        Ok::<_, Infallible>((size > 0).then(|| vec![0; size]))
                    };
                    let body = runtime.block_on(large_bodies.collect(chunks, BODY, &mut None, &mut budget));
                    assert_eq!(body.ok().map(|body| body.len()), Some(BODY));
                    held.fetch_sub(BODY, SeqCst);
                });
            }
        });
        let most = 8 * (LARGE_BODY + CHUNK) + BODY;
        // A finished body lets the next one in before this test has subtracted it.
        let slack = 1024 * 1024;
        let peak = peak.into_inner();
        assert!(peak > BODY && peak <= most + slack, "{peak} of {most} bytes");
    }

    #[test]
    fn a_body_ends_at_its_limit() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let options = HttpOptions::default();
        for (limit, fits) in [(3 * CHUNK, true), (3 * CHUNK - 1, false), (0, false)] {
            let mut budget = RetryBudget::new(&options, None);
            let mut left = 3;
            let chunks = async || {
                let more = left > 0;
                left -= usize::from(more);
                Ok::<_, Infallible>(more.then(|| vec![0; CHUNK]))
            };
            let large_bodies = LargeBodyLimit::new();
            let body = runtime.block_on(large_bodies.collect(chunks, limit, &mut None, &mut budget));
            assert!(if fits { body.is_ok() } else { matches!(body, Err(FetchFailure::TooLarge)) }, "{limit}");
        }
    }
}
