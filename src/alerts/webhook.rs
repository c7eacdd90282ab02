//! Alerts over HTTP: a POST of the JSON, signed, under a key that makes it idempotent.
//!
//! The signature is over time and body with a secret that both sides have, so a receiver knows that it
//! came from this auditor and lately. It proves nothing about the log: the misbehaviour file in it does.

use super::channels::{Delivery, Message, Transport};
use crate::core::encoding::encode_hex;
use crate::source::{HttpOptions, NotPosted, OpenError, Post};
use aws_lc_rs::hmac;
use std::fmt;

/// The header with time and signature.
const SIGNATURE: &str = "countersign-signature";

/// The header by which a receiver knows an alert that it has.
const IDEMPOTENCY: &str = "idempotency-key";

/// A URL that alerts are posted to.
pub struct Webhook {
    post: Post,
    secret: Vec<u8>,
}

impl Webhook {
    /// Alerts to this `https://` URL, signed with this secret.
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
        let signed = signature(&self.secret, message.now / 1000, message.json);
        let headers = [(SIGNATURE, signed.as_str()), (IDEMPOTENCY, message.alert.key.as_str())];
        match self.post.json(message.json, &headers) {
            Ok(200..=299) => Delivery::Delivered,
            // It is there, and will say the same of this alert; the next may fare better.
            Ok(status) if (400..=499).contains(&status) && ![408, 425, 429].contains(&status) => {
                Delivery::Refused(format!("{} answered HTTP {status}", self.post.place()))
            }
            Ok(status) => Delivery::Retryable(format!("{} answered HTTP {status}", self.post.place())),
            Err(NotPosted::Failed(why)) => Delivery::Retryable(format!("{}: {why}", self.post.place())),
            Err(NotPosted::Lacking(what)) => Delivery::Lacking(format!("{}: {what}", self.post.place())),
        }
    }
}

/// `t=<unix seconds>,v1=<hex HMAC-SHA256 over "<t>.<body>">`.
pub fn signature(secret: &[u8], seconds: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", encode_hex(tag.as_ref()))
}
