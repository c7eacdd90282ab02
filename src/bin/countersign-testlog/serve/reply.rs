//! An answer on its way: status, headers, and a body that may be anything but whole.

use super::stats::Stats;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use std::collections::VecDeque;
use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// One thing that the server does in sending a body.
#[derive(Clone, Debug)]
pub enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Pieces of so many bytes, with a pause behind each.
    Pieces {
        bytes: Bytes,
        size: usize,
        pause: Duration,
    },
    /// The same bytes for ever.
    Endless(Bytes),
    /// The connection is closed, or the stream reset.
    Abort,
}

/// What is sent behind the headers.
#[derive(Clone, Debug)]
pub enum Sent {
    Whole(Vec<u8>),
    Played {
        steps: Vec<Step>,
        /// `Content-Length`, true or not.
        length: Option<usize>,
    },
}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    /// Before the status line.
    pub delay: Duration,
    pub sent: Sent,
}

impl Reply {
    pub fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Reply {
        Reply { status, content_type, headers: Vec::new(), delay: Duration::ZERO, sent: Sent::Whole(body) }
    }

    /// The body, where it is whole still.
    pub fn whole(&self) -> Option<&[u8]> {
        match &self.sent {
            Sent::Whole(body) => Some(body),
            Sent::Played { .. } => None,
        }
    }

    /// As a response for hyper; what is sent is counted.
    pub fn respond(self, stats: Arc<Stats>) -> hyper::http::Result<hyper::Response<Player>> {
        let mut response = hyper::Response::builder().status(self.status);
        if !self.content_type.is_empty() {
            response = response.header("content-type", self.content_type);
        }
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let steps = match self.sent {
            Sent::Whole(body) => {
                let player = Player { length: Some(body.len() as u64), ..Player::new(stats) };
                return response.body(player.playing(vec![Step::Send(body.into())]));
            }
            Sent::Played { steps, length } => {
                if let Some(length) = length {
                    response = response.header("content-length", length);
                }
                steps
            }
        };
        response.body(Player::new(stats).playing(steps))
    }
}

/// A body that is being sent.
pub struct Player {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Bytes left, where the length is what it should be.
    length: Option<u64>,
    stats: Arc<Stats>,
}

impl Player {
    fn new(stats: Arc<Stats>) -> Player {
        Player { steps: VecDeque::new(), waiting: None, length: None, stats }
    }

    fn playing(mut self, steps: Vec<Step>) -> Player {
        self.steps = steps.into();
        self
    }

    fn send(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.stats.sent(bytes.len());
        self.length = self.length.map(|left| left.saturating_sub(bytes.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl Body for Player {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let player = self.get_mut();
        loop {
            if let Some(waiting) = &mut player.waiting {
                if waiting.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                player.waiting = None;
            }
            match player.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) if bytes.is_empty() => {}
                Some(Step::Send(bytes)) => return player.send(bytes),
                Some(Step::Wait(time)) => player.waiting = Some(Box::pin(sleep(time))),
                Some(Step::Pieces { bytes, .. }) if bytes.is_empty() => {}
                Some(Step::Pieces { mut bytes, size, pause }) => {
                    let piece = bytes.split_to(size.clamp(1, bytes.len()));
                    player.steps.push_front(Step::Pieces { bytes, size, pause });
                    player.steps.push_front(Step::Wait(pause));
                    return player.send(piece);
                }
                Some(Step::Endless(bytes)) => {
                    player.steps.push_front(Step::Endless(bytes.clone()));
                    return player.send(bytes);
                }
                Some(Step::Abort) => {
                    return Poll::Ready(Some(Err(io::Error::other("cut short, as was asked for"))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
