//! A reply to be sent: status, headers, and a body that may be incomplete or endless.

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

/// One step of sending a body.
#[derive(Clone, Debug)]
pub enum BodyStep {
    Send(Bytes),
    Wait(Duration),
    /// Pieces of `size` bytes, with a pause after each.
    Pieces {
        bytes: Bytes,
        size: usize,
        pause: Duration,
    },
    /// The same bytes without end.
    Endless(Bytes),
    /// Closes the connection, or resets the stream.
    Abort,
}

/// How a body is sent.
#[derive(Clone, Debug)]
pub enum BodyPlan {
    Whole(Vec<u8>),
    Steps {
        steps: Vec<BodyStep>,
        /// `Content-Length`, which may be wrong.
        length: Option<usize>,
    },
}

/// A complete reply.
#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    pub content_type: &'static str,
    pub headers: Vec<(&'static str, String)>,
    /// The delay before the status line.
    pub delay: Duration,
    pub sent: BodyPlan,
}

impl Reply {
    pub fn new(status: u16, content_type: &'static str, body: Vec<u8>) -> Reply {
        Reply {
            status,
            content_type,
            headers: Vec::new(),
            delay: Duration::ZERO,
            sent: BodyPlan::Whole(body),
        }
    }

    /// JSON.
    pub fn json(status: u16, value: &serde_json::Value) -> Reply {
        Reply::new(status, "application/json", value.to_string().into_bytes())
    }

    /// The body, if it is sent whole.
    pub fn whole(&self) -> Option<&[u8]> {
        match &self.sent {
            BodyPlan::Whole(body) => Some(body),
            BodyPlan::Steps { .. } => None,
        }
    }

    /// Converts it to a response for hyper. Sent bytes are counted in `stats`.
    ///
    /// # Errors
    /// A header is not valid.
    pub fn respond(self, stats: Arc<Stats>) -> hyper::http::Result<hyper::Response<ReplyBody>> {
        let mut response = hyper::Response::builder().status(self.status);
        if !self.content_type.is_empty() {
            response = response.header("content-type", self.content_type);
        }
        for (name, value) in self.headers {
            response = response.header(name, value);
        }
        let steps = match self.sent {
            BodyPlan::Whole(body) => {
                let reply = ReplyBody { length: Some(body.len() as u64), ..ReplyBody::new(stats) };
                return response.body(reply.with_steps(vec![BodyStep::Send(body.into())]));
            }
            BodyPlan::Steps { steps, length } => {
                if let Some(length) = length {
                    response = response.header("content-length", length);
                }
                steps
            }
        };
        response.body(ReplyBody::new(stats).with_steps(steps))
    }
}

/// A body while it is being sent.
pub struct ReplyBody {
    steps: VecDeque<BodyStep>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// The remaining bytes, if the length is right.
    length: Option<u64>,
    stats: Arc<Stats>,
}

impl ReplyBody {
    fn new(stats: Arc<Stats>) -> ReplyBody {
        ReplyBody { steps: VecDeque::new(), waiting: None, length: None, stats }
    }

    fn with_steps(mut self, steps: Vec<BodyStep>) -> ReplyBody {
        self.steps = steps.into();
        self
    }

    fn send(&mut self, bytes: Bytes) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.stats.count_sent(bytes.len());
        self.length = self.length.map(|left| left.saturating_sub(bytes.len() as u64));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let body = self.get_mut();
        loop {
            if let Some(waiting) = &mut body.waiting {
                if waiting.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                body.waiting = None;
            }
            match body.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(BodyStep::Send(bytes)) if bytes.is_empty() => {}
                Some(BodyStep::Send(bytes)) => return body.send(bytes),
                Some(BodyStep::Wait(time)) => body.waiting = Some(Box::pin(sleep(time))),
                Some(BodyStep::Pieces { bytes, .. }) if bytes.is_empty() => {}
                Some(BodyStep::Pieces { mut bytes, size, pause }) => {
                    let piece = bytes.split_to(size.clamp(1, bytes.len()));
                    body.steps.push_front(BodyStep::Pieces { bytes, size, pause });
                    body.steps.push_front(BodyStep::Wait(pause));
                    return body.send(piece);
                }
                Some(BodyStep::Endless(bytes)) => {
                    body.steps.push_front(BodyStep::Endless(bytes.clone()));
                    return body.send(bytes);
                }
                Some(BodyStep::Abort) => {
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
