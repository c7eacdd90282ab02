//! The plain-text part of a mail conversation, which an attacker on the network may have written: greeting,
//! `EHLO` and `STARTTLS` (RFC 3207).
//!
//! This part is used for one thing only: whether TLS is offered. A byte after an answer ends the conversation.
//! Kept in a buffer, it would be read as the server's answer inside TLS, and an alert that the server then
//! refuses would count as delivered. For the same reason no state of this reader is kept: the mail library
//! starts over on the stream inside TLS.

use super::mail_stream::MAX_LINES;
use std::fmt::Display;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader, ReadBuf};

/// An answer of the server.
struct Answer {
    /// Three digits.
    code: String,
    /// The text after the code, line by line.
    lines: Vec<String>,
}

/// Negotiates STARTTLS. Returns true if TLS starts now on this stream; false if it is not offered and the
/// server waits for a command.
///
/// # Errors
/// The conversation failed. The message may contain text of the server.
pub(super) async fn start_tls<S>(stream: &mut S, hello: &impl Display) -> io::Result<bool>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut server = BufReader::new(stream);
    positive(answer(&mut server).await?)?;
    let offers = positive(ask(&mut server, &format!("EHLO {hello}")).await?)?;
    // The first line is the server's name.
    let is_offered = offers.lines.iter().skip(1).any(|line| line.trim().eq_ignore_ascii_case("STARTTLS"));
    if is_offered {
        positive(ask(&mut server, "STARTTLS").await?)?;
    }
    expect_silence(&mut server).await?;
    Ok(is_offered)
}

/// Sends a command and reads its answer.
async fn ask<S>(server: &mut BufReader<S>, command: &str) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    expect_silence(server).await?;
    server.get_mut().write_all(format!("{command}\r\n").as_bytes()).await?;
    server.get_mut().flush().await?;
    answer(server).await
}

/// Reads one answer. It is bounded because the stream is.
async fn answer<S: AsyncRead + Unpin>(server: &mut BufReader<S>) -> io::Result<Answer> {
    let wrong = || io::Error::other("its answer cannot be understood");
    let (mut code, mut lines) = (None, Vec::new());
    while lines.len() < MAX_LINES {
        let mut line = Vec::new();
        server.read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Err(io::Error::other("it closed the connection in the middle"));
        }
        let line = String::from_utf8_lossy(&line);
        let line = line.strip_suffix('\r').unwrap_or(&line);
        let (digits, rest) = line.split_at_checked(3).ok_or_else(wrong)?;
        let is_same = code.as_deref().is_none_or(|code| code == digits);
        if !is_same || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(wrong());
        }
        lines.push(rest.get(1..).unwrap_or_default().to_owned());
        let code = code.get_or_insert_with(|| digits.to_owned());
        match rest.chars().next() {
            Some('-') => {}
            Some(' ') | None => return Ok(Answer { code: code.clone(), lines }),
            Some(_) => return Err(wrong()),
        }
    }
    Err(wrong())
}

fn positive(answer: Answer) -> io::Result<Answer> {
    match answer.code.starts_with('2') {
        true => Ok(answer),
        false => Err(io::Error::other(format!("{} {}", answer.code, answer.lines.join(" ")))),
    }
}

/// Fails if there is unrequested plain text: it does not come, or not only, from the server. Text that arrives
/// later disturbs TLS, which then fails.
async fn expect_silence<S: AsyncRead + Unpin>(server: &mut BufReader<S>) -> io::Result<()> {
    let mut byte = [0];
    let mut byte = ReadBuf::new(&mut byte);
    let looked = poll_fn(|cx| match Pin::new(&mut *server).poll_read(cx, &mut byte) {
        Poll::Ready(Ok(())) if byte.filled().is_empty() => {
            Poll::Ready(Err(io::Error::other("it closed the connection in the middle")))
        }
        Poll::Ready(Ok(())) => Poll::Ready(Err(io::Error::other(
            "it sent more than an answer before TLS began, as an attacker on the way would who injects commands",
        ))),
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Ready(Ok(())),
    });
    // A task that used up its budget is told that no data is available, even if there is some.
    tokio::task::unconstrained(looked).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, DuplexStream, duplex};

    const GREETING: &str = "220 mail.example\r\n";
    const OFFER: &str = "250-mail.example\r\n250-8BITMIME\r\n250 STARTTLS\r\n";

    /// Sends each of these, the first at once and each other after a line was received. Returns what was
    /// received.
    async fn play(mut server: DuplexStream, replies: Vec<String>) -> String {
        let mut received = Vec::new();
        for (n, reply) in replies.iter().enumerate() {
            while n > 0 && received.iter().filter(|byte| **byte == b'\n').count() < n {
                match server.read_u8().await {
                    Ok(byte) => received.push(byte),
                    Err(_) => return String::from_utf8(received).unwrap(),
                }
            }
            server.write_all(reply.as_bytes()).await.unwrap();
        }
        let _ = server.read_to_end(&mut received).await;
        String::from_utf8(received).unwrap()
    }

    /// The result, and what the server received.
    fn talk(replies: &[&str]) -> (Result<bool, String>, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let replies: Vec<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
        let (mut client, server) = duplex(4096);
        runtime.block_on(async move {
            let server = tokio::spawn(play(server, replies));
            let outcome = start_tls(&mut client, &"me").await.map_err(|error| error.to_string());
            drop(client);
            (outcome, server.await.unwrap())
        })
    }

    #[test]
    fn tls_starts_if_it_is_offered() {
        let all = "EHLO me\r\nSTARTTLS\r\n".to_owned();
        for replies in [
            [GREETING, OFFER, "220 go on\r\n"],
            ["220-a\r\n220-b\r\n220\r\n", "250-x\r\n250-starttls \r\n250 SIZE\r\n", "220-go\r\n220 on\r\n"],
            ["220 a\n", "250-x\n250 STARTTLS\n", "220 go\n"],
        ] {
            assert_eq!(talk(&replies), (Ok(true), all.clone()), "{replies:?}");
        }
        for offers in ["250 STARTTLS\r\n", "250-x\r\n250 NOSTARTTLS\r\n", "250-x\r\n250 SIZE STARTTLS\r\n"] {
            assert_eq!(talk(&[GREETING, offers]), (Ok(false), "EHLO me\r\n".to_owned()), "{offers:?}");
        }
    }

    /// Every byte after every answer.
    #[test]
    fn an_unrequested_byte_ends_the_conversation() {
        for byte in (0..=127u8).map(char::from) {
            for place in 0..3 {
                let mut replies = [GREETING, OFFER, "220 go on\r\n"].map(str::to_owned);
                replies[place].push(byte);
                let replies = replies.each_ref().map(String::as_str);
                let (outcome, received) = talk(&replies);
                assert!(
                    outcome.is_err_and(|why| why.contains("more than an answer before TLS")),
                    "{replies:?}"
                );
                assert_eq!(received.lines().count(), place, "nothing is said after it");
            }
        }
        for more in
            ["250 ok\r\n", "250-mail.example\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"]
        {
            assert!(talk(&[GREETING, OFFER, &format!("220 go on\r\n{more}")]).0.is_err());
            assert!(talk(&[&format!("{GREETING}{OFFER}220 go on\r\n{more}")]).0.is_err());
            // Also if a task has used up its budget by then.
            assert!(
                talk(&[GREETING, OFFER, &format!("{}220 go on\r\n{more}", "220-x\r\n".repeat(200))])
                    .0
                    .is_err()
            );
        }
    }

    #[test]
    fn other_answers_are_refused() {
        for (replies, part) in [
            (vec!["554 go away\r\n"], "554 go away"),
            (vec!["garbage\r\n"], "cannot be understood"),
            (vec!["220-a\r\n250 b\r\n"], "cannot be understood"),
            (vec!["220_a\r\n"], "cannot be understood"),
            (vec!["2\u{e9}0 a\r\n"], "cannot be understood"),
            (vec!["\r\n"], "cannot be understood"),
            (vec![GREETING, "502 no\r\n"], "502 no"),
            (vec![GREETING, OFFER, "454-not\r\n454 now\r\n"], "454 not now"),
            (vec![GREETING, OFFER, "354 go on\r\n"], "354 go on"),
        ] {
            let (outcome, _) = talk(&replies);
            assert!(outcome.clone().is_err_and(|why| why.contains(part)), "{replies:?}: {outcome:?}");
        }
    }
}
