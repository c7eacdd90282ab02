//! A stream from a mail server, bounded in bytes and in time whatever the server sends.
//!
//! A time-out around the conversation is not enough: it is checked only when there is nothing to read, and a
//! server that floods us leaves no such moment. So each read checks the clock itself.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes of text from a server. A mail to fifty recipients takes about sixty one-line answers, and the
/// greeting and the answer to `EHLO` have a few lines more.
pub(super) const MAX_TEXT: usize = 32 * 1024;

/// The most lines. An answer may have several, and is parsed again with each of them.
pub(super) const MAX_LINES: usize = 500;

/// The most bytes on the wire if the text is inside TLS, which adds certificates.
pub(super) const MAX_WIRE: usize = 96 * 1024;

/// When a conversation must end.
#[derive(Clone)]
pub(super) struct Deadline {
    until: Option<Instant>,
    limit: Duration,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Deadline {
    /// This long from now.
    pub(super) fn after(limit: Duration) -> Deadline {
        Deadline::by(limit, Arc::new(Instant::now))
    }

    /// With another clock.
    fn by(limit: Duration, now: Arc<dyn Fn() -> Instant + Send + Sync>) -> Deadline {
        Deadline { until: now().checked_add(limit), limit, now }
    }

    /// The message after the deadline.
    pub(super) fn message(&self) -> String {
        format!("not done within {} s", self.limit.as_secs())
    }

    fn check(&self) -> io::Result<()> {
        match self.until {
            Some(until) if (self.now)() >= until => {
                Err(io::Error::new(io::ErrorKind::TimedOut, self.message()))
            }
            _ => Ok(()),
        }
    }
}

/// A stream that fails once too much was received, or too late.
pub(super) struct BoundedStream<S> {
    stream: S,
    address: SocketAddr,
    deadline: Deadline,
    most: usize,
    left: usize,
    lines_left: Option<usize>,
}

impl<S> BoundedStream<S> {
    /// Bounds plain text, in bytes and lines.
    pub(super) fn text(stream: S, address: SocketAddr, deadline: &Deadline) -> BoundedStream<S> {
        BoundedStream {
            lines_left: Some(MAX_LINES),
            ..BoundedStream::new(stream, address, deadline, MAX_TEXT)
        }
    }

    /// Bounds the bytes of TLS.
    pub(super) fn wire(stream: S, address: SocketAddr, deadline: &Deadline) -> BoundedStream<S> {
        BoundedStream::new(stream, address, deadline, MAX_WIRE)
    }

    fn new(stream: S, address: SocketAddr, deadline: &Deadline, most: usize) -> BoundedStream<S> {
        BoundedStream { stream, address, deadline: deadline.clone(), most, left: most, lines_left: None }
    }

    /// The stream without the bounds.
    pub(super) fn into_inner(self) -> S {
        self.stream
    }

    /// Counts received bytes. Once a limit is exceeded, every later read fails too.
    fn take_in(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.left.checked_sub(bytes.len()) {
            Some(left) => self.left = left,
            None => {
                self.left = 0;
                return Err(io::Error::other(format!("it sent more than {} bytes", self.most)));
            }
        }
        let Some(lines_left) = &mut self.lines_left else { return Ok(()) };
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
        match lines_left.checked_sub(lines) {
            Some(left) => *lines_left = left,
            None => {
                (self.left, *lines_left) = (0, 0);
                return Err(io::Error::other(format!("it sent more than {MAX_LINES} lines")));
            }
        }
        Ok(())
    }
}

impl<S> fmt::Debug for BoundedStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoundedStream({}, {} bytes left)", self.address, self.left)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for BoundedStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.deadline.check()?;
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.take_in(buf.filled().get(before..).unwrap_or_default())?;
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for BoundedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.deadline.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> AsyncTokioStream for BoundedStream<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
    use tokio::io::AsyncReadExt as _;

    /// Always has data, and counts how much it sent.
    struct Flood {
        pattern: &'static [u8],
        sent: usize,
    }

    impl AsyncRead for Flood {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buf: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            while buf.remaining() >= self.pattern.len() {
                buf.put_slice(self.pattern);
                self.sent += self.pattern.len();
            }
            Poll::Ready(Ok(()))
        }
    }

    fn address() -> SocketAddr {
        "127.0.0.1:25".parse().unwrap()
    }

    /// Reads pieces of this many bytes to the end. Returns the error.
    fn read<S: AsyncRead + Unpin>(bounded: &mut BoundedStream<S>, piece: usize) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut bytes = vec![0; piece];
        loop {
            if let Err(error) = runtime.block_on(bounded.read(&mut bytes)) {
                return error.to_string();
            }
        }
    }

    #[test]
    fn a_flood_ends_at_the_limits() {
        let deadline = Deadline::after(Duration::from_secs(3600));
        for piece in [10, 1000, 8192] {
            let mut bounded = BoundedStream::text(Flood { pattern: b"xxxxx", sent: 0 }, address(), &deadline);
            assert_eq!(read(&mut bounded, piece), "it sent more than 32768 bytes");
            assert!(bounded.stream.sent <= MAX_TEXT + piece, "{}", bounded.stream.sent);
            assert_eq!(read(&mut bounded, piece), "it sent more than 32768 bytes", "and goes on to");

            let mut bounded =
                BoundedStream::text(Flood { pattern: b"220-x\r\n", sent: 0 }, address(), &deadline);
            assert_eq!(read(&mut bounded, piece), "it sent more than 500 lines");
            assert!(bounded.stream.sent <= MAX_LINES * 7 + piece, "{}", bounded.stream.sent);
            assert!(read(&mut bounded, piece).starts_with("it sent more than"), "and goes on to");

            let mut bounded =
                BoundedStream::wire(Flood { pattern: b"220-x\r\n", sent: 0 }, address(), &deadline);
            assert_eq!(read(&mut bounded, piece), "it sent more than 98304 bytes");
            assert!(bounded.stream.sent <= MAX_WIRE + piece, "{}", bounded.stream.sent);
        }
    }

    /// With a clock that advances by a second at each look.
    #[test]
    fn a_flood_ends_at_the_deadline() {
        let (begun, looks) = (Instant::now(), Arc::new(AtomicU64::new(0)));
        let clock = Arc::clone(&looks);
        let now = move || begun + Duration::from_secs(clock.fetch_add(1, SeqCst));
        let deadline = Deadline::by(Duration::from_secs(3), Arc::new(now));
        let mut bounded = BoundedStream::text(Flood { pattern: b"x", sent: 0 }, address(), &deadline);
        assert_eq!(read(&mut bounded, 1), "not done within 3 s");
        assert_eq!((bounded.stream.sent, looks.load(SeqCst)), (2, 4));
    }
}
