//! Sends alerts over HTTP: a POST of the JSON, signed, with an idempotency key.
//!
//! The signature covers time and body, with a secret that both sides share, so a receiver knows that the alert
//! is recent and from this auditor. It proves nothing about the log: the misbehaviour file in it does.

use super::channels::{Delivery, Message, Transport};
use crate::core::encoding::encode_hex;
use crate::core::time::UnixSeconds;
use crate::source::{HttpOptions, OpenError, Post, PostError};
use aws_lc_rs::hmac;
use std::fmt;

/// The header with time and signature.
const SIGNATURE: &str = "countersign-signature";

/// The header with the key by which a receiver recognises an alert.
const IDEMPOTENCY: &str = "idempotency-key";

/// A URL to which alerts are posted.
pub struct Webhook {
    post: Post,
    secret: Vec<u8>,
}

impl Webhook {
    /// Sends alerts to this `https://` URL, signed with this secret.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage.
    pub fn new(url: &str, secret: &str, options: &HttpOptions) -> Result<Webhook, OpenError> {
        Ok(Webhook { post: Post::new(url, options)?, secret: secret.as_bytes().to_vec() })
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Webhook(not shown)")
    }
}

impl Transport for Webhook {
    fn send(&self, message: &Message<'_>) -> Delivery {
        let signed = signature(&self.secret, message.now.second(), message.json);
        let headers = [(SIGNATURE, signed.as_str()), (IDEMPOTENCY, message.alert.key.as_str())];
        match self.post.json(message.json, &headers) {
            Ok(200..=299) => Delivery::Delivered,
            // The receiver works and would refuse this alert again; the next may be accepted.
            Ok(status) if (400..=499).contains(&status) && ![408, 425, 429].contains(&status) => {
                Delivery::Refused(format!("{} answered HTTP {status}", self.post.place()))
            }
            Ok(status) => Delivery::Retryable(format!("{} answered HTTP {status}", self.post.place())),
            Err(PostError::Failed(why)) => Delivery::Retryable(format!("{}: {why}", self.post.place())),
            Err(PostError::ResourceExhausted(what)) => {
                Delivery::ResourceExhausted(format!("{}: {what}", self.post.place()))
            }
        }
    }
}

/// `t=<unix seconds>,v1=<hex HMAC-SHA256 over "<t>.<body>">`.
pub fn signature(secret: &[u8], at: UnixSeconds, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let seconds = at.get();
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", encode_hex(tag.as_ref()))
}
