//! A mail server on this machine that answers as a test says, and records what it received.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

type Lines = Arc<Mutex<Vec<String>>>;

/// See the module.
pub struct MailServer {
    /// `smtp://…`
    pub url: String,
    /// Every line that it received.
    pub received: Lines,
    /// Every message that it took to its end, as it came.
    pub taken: Lines,
}

impl MailServer {
    /// Answers each command as `answer` says (`None`: as a good server would); the greeting is the command "".
    pub fn start(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> MailServer {
        MailServer::at("127.0.0.1:0", answer)
    }

    /// The same at another address.
    pub fn at(address: &str, answer: impl Fn(&str) -> Option<String> + Send + 'static) -> MailServer {
        let listener = TcpListener::bind(address).unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        let (received, taken) = (Lines::default(), Lines::default());
        let kept = (Arc::clone(&received), Arc::clone(&taken));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A killed client closes the connection.
                let _ = talk(stream, &answer, &kept.0, &kept.1);
            }
        });
        MailServer { url, received, taken }
    }
}

fn talk(
    stream: TcpStream,
    answer: &impl Fn(&str) -> Option<String>,
    received: &Lines,
    taken: &Lines,
) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    let greeting = answer("").unwrap_or_else(|| "220 mail.example".to_owned());
    writer.write_all(format!("{greeting}\r\n").as_bytes())?;
    if !greeting.starts_with("220") {
        return Ok(());
    }
    let mut message: Option<String> = None;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        received.lock().unwrap().push(line.clone());
        if let Some(message) = message.as_mut().filter(|_| line != ".") {
            // A point at the start of a line comes doubled.
            message.push_str(line.strip_prefix('.').unwrap_or(&line));
            message.push('\n');
            continue;
        }
        let command = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let usual = match command.as_str() {
            "." => "250 taken",
            "DATA" => "354 go on",
            "EHLO" => "250-mail.example\r\n250 8BITMIME",
            "QUIT" => "221 bye",
            _ => "250 well",
        };
        let answer = answer(&command).unwrap_or_else(|| usual.to_owned());
        if command == "." && answer.starts_with("250") {
            taken.lock().unwrap().extend(message.take());
        }
        message = answer.starts_with("354").then(String::new);
        writer.write_all(format!("{answer}\r\n").as_bytes())?;
        if ["QUIT", "STARTTLS"].contains(&command.as_str()) {
            break;
        }
    }
    Ok(())
}
