//! Reading a body: bounded in bytes, as it is sent and as it is, and large ones one at a time.

use super::coding::{Codings, TooLong};
use super::http::describe;
use super::miss::Miss;
use super::retry::RetryBudget;
use reqwest::Response;
use std::error::Error;
use std::io::{self, BufRead as _, ErrorKind};
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};

/// What each of several bodies may hold at once without waiting for the others. Ordinary bundles
/// are shorter; eight of the longest together would be 128 MiB.
const LARGE: usize = 2 * 1024 * 1024;

/// Lets one body at a time grow past [`LARGE`], so that what many threads hold does not add up.
pub(super) struct Gate(Semaphore);

/// The right to grow past [`LARGE`], once there is need for it.
type Room<'a> = Option<Result<SemaphorePermit<'a>, AcquireError>>;

impl Gate {
    pub(super) fn new() -> Gate {
        Gate(Semaphore::new(1))
    }

    /// The whole body, out of its codings, if it has at most `limit` bytes. Of a longer one no more than
    /// a chunk past the limit was ever held.
    pub(super) async fn read(
        &self,
        mut response: Response,
        codings: &Codings,
        limit: usize,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, Miss> {
        let most = codings.most_sent(limit);
        let mut room = None;
        let length = response.content_length();
        let sent =
            match length.is_none_or(|length| usize::try_from(length).is_ok_and(|length| length <= most)) {
                true => self.collect(async || response.chunk().await, most, &mut room, budget).await,
                false => Err(Miss::TooLarge),
            };
        match sent {
            // Too long as it was sent says nothing of how long it is.
            Err(Miss::TooLarge) if !codings.is_none() => Err(Miss::Refused(format!(
                "as {codings} (Content-Encoding) alone it is longer than {most} bytes, and the file itself may have \
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
        room: &mut Room<'a>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, Miss> {
        let fault = |error: io::Error| undecoded(codings, &error);
        let mut decoder = codings.decoder(sent, limit).map_err(fault)?;
        let mut body = Vec::new();
        loop {
            let piece = decoder.fill_buf().map_err(fault)?;
            if piece.is_empty() {
                return Ok(body);
            }
            let length = body.len().saturating_add(piece.len());
            if length > limit {
                return Err(Miss::TooLarge);
            }
            self.make_room(length, room, budget).await?;
            body.extend_from_slice(piece);
            let taken = piece.len();
            decoder.consume(taken);
        }
    }

    /// Waits until a body may have so many bytes.
    async fn make_room<'a>(
        &'a self,
        length: usize,
        room: &mut Room<'a>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<(), Miss> {
        if length > LARGE && room.is_none() {
            *room = Some(budget.off_the_clock(self.0.acquire()).await?);
        }
        Ok(())
    }

    async fn collect<'a, C: AsRef<[u8]>, E: Error + 'static>(
        &'a self,
        mut next_chunk: impl AsyncFnMut() -> Result<Option<C>, E>,
        limit: usize,
        room: &mut Room<'a>,
        budget: &mut RetryBudget<'_>,
    ) -> Result<Vec<u8>, Miss> {
        let mut body = Vec::new();
        loop {
            let chunk = match budget.within_attempt(next_chunk()).await? {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(body),
                Err(error) => return Err(Miss::failed(format!("the body broke off: {}", describe(&error)))),
            };
            let chunk = chunk.as_ref();
            let length = body.len().saturating_add(chunk.len());
            if length > limit {
                return Err(Miss::TooLarge);
            }
            self.make_room(length, room, budget).await?;
            body.extend_from_slice(chunk);
        }
    }
}

/// A body that does not come out of its codings, as where it was cut or changed on its way.
fn undecoded(codings: &Codings, error: &io::Error) -> Miss {
    if error.get_ref().is_some_and(|cause| cause.is::<TooLong>()) {
        return Miss::Refused(format!("sent as {codings} (Content-Encoding): {error}"));
    }
    Miss::failed(match error.kind() {
        ErrorKind::UnexpectedEof => {
            format!("the body broke off in the middle of its {codings} (Content-Encoding)")
        }
        _ => format!("the body is damaged, or is not the {codings} that its Content-Encoding says: {error}"),
    })
}

/// How much of an answer that is not needed is read, and for how long.
const DRAIN: (usize, Duration) = (64 * 1024, Duration::from_millis(250));

/// Reads what is left of an answer that is not needed: a connection with an unread answer on it is
/// lost, and a log that says "not there" to many requests would see a new one for each. Gives how it began.
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
    // Not in time: the connection is lost, which is all that would be won.
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
                    let mut budget = RetryBudget::new(&options, None);
                    budget.begin_attempt().unwrap();
                    let mut left = BODY;
                    let chunks = async || {
                        // Slow enough that all eight are under way together.
                        tokio::time::sleep(Duration::from_micros(200)).await;
                        let size = CHUNK.min(left);
                        left -= size;
                        peak.fetch_max(held.fetch_add(size, SeqCst) + size, SeqCst);
                        Ok::<_, Infallible>((size > 0).then(|| vec![0; size]))
                    };
                    let body = runtime.block_on(gate.collect(chunks, BODY, &mut None, &mut budget));
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
            let mut budget = RetryBudget::new(&options, None);
            let mut left = 3;
            let chunks = async || {
                let more = left > 0;
                left -= usize::from(more);
                Ok::<_, Infallible>(more.then(|| vec![0; CHUNK]))
            };
            let gate = Gate::new();
            let body = runtime.block_on(gate.collect(chunks, limit, &mut None, &mut budget));
            assert!(if fits { body.is_ok() } else { matches!(body, Err(Miss::TooLarge)) }, "{limit}");
        }
    }
}
