//! One document at a URL, such as the heads that another auditor exports. It is fetched as a log is, and
//! trusted no more.

use super::http::Http;
use super::options::HttpOptions;
use super::tiled::{Fetcher as _, FileRequest};
use super::{FetchError, OpenError, plain_url};
use reqwest::Url;

/// A document over HTTP(S), not fetched yet.
pub struct Document {
    http: Http,
    /// The query with its `?`. It may hold the secret that grants access, so it is never shown.
    query: String,
}

impl Document {
    /// The document at this `http://` or `https://` URL, which may have a query.
    ///
    /// # Errors
    /// [`OpenError`], which is wrong usage.
    pub fn new(url: &str, options: &HttpOptions) -> Result<Document, OpenError> {
        let mut base =
            Url::parse(url).map_err(|error| OpenError::url(url, &format!("not a URL ({error})")))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(OpenError::Scheme { scheme: base.scheme().to_owned() });
        }
        let query = base.query().map(|query| format!("?{query}")).unwrap_or_default();
        // A server may send parts of the query back: hide them in messages, both as written and decoded.
        let mut parts: Vec<String> =
            query.trim_start_matches('?').split(['&', '=']).map(str::to_owned).collect();
        parts.extend(base.query_pairs().map(|(_, value)| value.into_owned()));
        parts.extend(base.query().map(str::to_owned));
        base.set_query(None);
        base.set_fragment(None);
        Ok(Document { http: Http::at(base, options)?.with_hidden(parts), query })
    }

    /// Fetches the whole document, at most `limit` bytes. Its content is not checked, except that an HTML page
    /// is refused.
    ///
    /// # Errors
    /// [`FetchError`], which shows the URL without its query.
    pub fn fetch(&self, limit: usize) -> Result<Vec<u8>, FetchError> {
        self.fetch_query(&self.query, limit)
    }

    /// The same with one more query parameter, which must not need encoding.
    pub(super) fn fetch_with(&self, parameter: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let mark = if self.query.is_empty() { '?' } else { '&' };
        self.fetch_query(&format!("{}{mark}{parameter}", self.query), limit)
    }

    /// The resource that this machine had run out of when the document could not be fetched.
    pub fn resource_exhaustion(&self) -> Option<String> {
        self.http.resource_exhaustion()
    }

    /// The URL without its query.
    pub(super) fn location(&self) -> String {
        self.http.location()
    }

    fn fetch_query(&self, query: &str, limit: usize) -> Result<Vec<u8>, FetchError> {
        let wanted = FileRequest { paths: &[query.to_owned()], limit, required: true };
        let answer = self.http.fetch(&wanted).map(|found| found.bytes);
        answer.map_err(|error| error.about(self.http.location()))
    }
}

/// Whether two URLs have the same scheme, host and port. False for anything that is not an HTTP URL. An `api+`
/// prefix, as in `--log`, makes no difference.
pub fn same_origin(a: &str, b: &str) -> bool {
    let [a, b] = [a, b].map(plain_url);
    match (Url::parse(a), Url::parse(b)) {
        (Ok(a), Ok(b)) => a.origin().is_tuple() && a.origin() == b.origin(),
        _ => false,
    }
}

/// Host and port of a URL, without secrets; `None` if it has no host.
pub fn host_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let host = url.host_str().filter(|host| !host.is_empty())?;
    Some(url.port().map_or(host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_not_shown() {
        let url = "https://u:s3cret@other.example/heads.jsonl?sig=s3cret#s3cret";
        let document = Document::new(url, &HttpOptions::default()).map_err(|e| e.to_string()).unwrap();
        assert_eq!(document.http.location(), "https://other.example/heads.jsonl");
        assert_eq!(document.query, "?sig=s3cret");
        for bad in ["http://", "ftp://u:s3cret@host/x", "https://u:s3cret@host:99999/?s3cret"] {
            let error = Document::new(bad, &HttpOptions::default()).err().map(|e| e.to_string()).unwrap();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn a_query_that_a_server_repeats_is_hidden() {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = [
            "HTTP/1.1 302 F\r\nLocation: https://evil.example/tok3n-s3cret\r\n",
            "HTTP/1.1 200 OK\r\nContent-Encoding: tok3n-s3cret\r\n",
            "HTTP/1.1 302 F\r\nLocation: https://evil.example/?tok3n-s3cret/tok3n%2Ds3cret/\r\n",
            "HTTP/1.1 302 F\r\nLocation: https://evil.example/tok3n%2Ds3cret/\r\n",
        ];
        let server = std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 4096]).unwrap();
                stream
                    .write_all(format!("{answer}Connection: close\r\nContent-Length: 0\r\n\r\n").as_bytes())
                    .unwrap();
            }
        });
        for _ in answers {
            let options = HttpOptions { env_proxy: false, retries: 0, ..HttpOptions::default() };
            let url = format!("http://127.0.0.1:{port}/heads?log=a&key=tok3n%2Ds3cret");
            let document = Document::new(&url, &options).map_err(|e| e.to_string()).unwrap();
            let error = document.fetch(1000).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        server.join().unwrap();
    }

    #[test]
    fn hosts() {
        for (url, host) in [
            ("https://u:s3cret@Log.example:9464/heads?key=s3cret@s3cret", Some("log.example:9464")),
            ("https://log.example:443", Some("log.example")),
            ("http://[::1]:1/", Some("[::1]:1")),
            ("/srv/log", None),
            ("file:///srv/log", None),
        ] {
            assert_eq!(host_of(url).as_deref(), host, "{url}");
        }
    }

    #[test]
    fn origins() {
        assert!(same_origin("https://log.example/a", "HTTPS://u@log.example:443/b?c"));
        assert!(same_origin("api+https://log.example/a", "https://log.example/heads.jsonl"));
        for other in
            ["http://log.example/a", "https://log.example:444/a", "https://x.log.example/", "/srv/log", ""]
        {
            assert!(!same_origin("https://log.example/a", other), "{other}");
            assert!(!same_origin("/srv/log", other));
        }
    }
}
