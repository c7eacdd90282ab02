//! Reads the proxies from the environment: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`, each also
//! in lower case.
//!
//! They are parsed here, strictly, and passed to the HTTP client. The client itself would ignore what it cannot
//! parse and connect to the log directly: past egress control, and from the auditor's own address. A variable
//! that applies and cannot be parsed is therefore wrong usage. A value may hold a password, so no message shows
//! it.

use super::OpenError;
use super::auth::take_credentials;
use super::options::HttpOptions;
use crate::core::text::{escape, quoted};
use reqwest::Url;
use std::env::VarError;
use std::net::IpAddr;

/// The proxy through which requests go.
#[derive(Clone)]
pub(super) struct Proxy {
    /// With user and password.
    url: Url,
    variable: &'static str,
}

/// The proxy for requests to `base`, if one applies.
pub(super) fn proxy_for(base: &Url, options: &HttpOptions) -> Result<Option<Proxy>, OpenError> {
    // A proxy cannot reach this machine's loopback address, and would read the secrets if it were used.
    let in_the_clear = base.scheme() == "http" && !options.headers.is_empty();
    Ok(of_environment(base, options)?.filter(|_| !in_the_clear))
}

/// The same options without a proxy, for requests to `base` that must not go through one. The variables must be
/// valid all the same, so that a run does not start or fail depending on whether it has a secret to send.
pub(super) fn direct_only(base: &Url, options: &HttpOptions) -> Result<HttpOptions, OpenError> {
    of_environment(base, options)?;
    Ok(HttpOptions { env_proxy: false, ..options.clone() })
}

fn of_environment(base: &Url, options: &HttpOptions) -> Result<Option<Proxy>, OpenError> {
    if !options.env_proxy {
        return Ok(None);
    }
    let proxy = active_proxy(base, &|name| std::env::var(name));
    proxy.map_err(|cause| OpenError::Proxy { cause: escape(&cause) })
}

impl Proxy {
    /// For the client alone.
    pub(super) fn expose(&self) -> &Url {
        &self.url
    }

    /// Adds to `cause`, the reason why a request failed, that a proxy was used.
    pub(super) fn with_proxy_named(&self, cause: &str) -> String {
        let mut url = self.url.clone();
        take_credentials(&mut url);
        let shown = url.as_str().trim_end_matches('/');
        format!("{cause} (over the proxy {shown}, which {} names)", self.variable)
    }
}

/// Reads an environment variable.
type Environment<'a> = &'a dyn Fn(&str) -> Result<String, VarError>;

/// The proxy that the environment names for `base`.
///
/// The upper-case variable comes before the lower-case one, and `ALL_PROXY` after both. A blank variable counts
/// as unset. `NO_PROXY` applies to every URL. Of the other variables, the first that is set applies to URLs of
/// its scheme, unless `base` is excepted. A variable that does not apply is not parsed, because no request
/// depends on it.
fn active_proxy(base: &Url, environment: Environment<'_>) -> Result<Option<Proxy>, String> {
    if no_proxy_entries(environment)?.iter().any(|direct| direct.matches(base)) {
        return Ok(None);
    }
    let names: &[&str] = match (base.scheme(), environment("REQUEST_METHOD")) {
        ("https", _) => &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"],
        (_, Err(VarError::NotPresent)) => &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"],
        // Under CGI, a client of the web server can set HTTP_PROXY with a header named "Proxy".
        (_, _) => &["http_proxy", "ALL_PROXY", "all_proxy"],
    };
    first(names, environment)?.map(Value::proxy).transpose()
}

/// The exceptions in `NO_PROXY`.
fn no_proxy_entries(environment: Environment<'_>) -> Result<Vec<NoProxyEntry>, String> {
    match first(&["NO_PROXY", "no_proxy"], environment)? {
        Some(Value { variable, text }) => parse_no_proxy(&text).map_err(|why| format!("{variable}: {why}")),
        None => Ok(Vec::new()),
    }
}

/// The value of a variable, without surrounding blanks and quotation marks. Some settings files keep quotation
/// marks that were written for a shell.
#[derive(Clone)]
struct Value {
    variable: &'static str,
    text: String,
}

/// The first of these variables that is set and not blank.
fn first(names: &[&'static str], environment: Environment<'_>) -> Result<Option<Value>, String> {
    for variable in names {
        let text = match environment(variable) {
            Ok(text) => text,
            Err(VarError::NotPresent) => continue,
            Err(VarError::NotUnicode(_)) => return Err(format!("{variable} is not UTF-8")),
        };
        let text = without_quotes(&text);
        if !text.is_empty() {
            return Ok(Some(Value { variable, text: text.to_owned() }));
        }
    }
    Ok(None)
}

fn without_quotes(text: &str) -> &str {
    let text = text.trim();
    let inner = ['"', '\''].iter().find_map(|mark| text.strip_prefix(*mark)?.strip_suffix(*mark));
    inner.map_or(text, str::trim)
}

impl Value {
    fn proxy(self) -> Result<Proxy, String> {
        let Value { variable, text } = self;
        match proxy_url(&text) {
            Ok(url) => Ok(Proxy { url, variable }),
            Err(why) => Err(format!(
                "{variable} is not the URL of a proxy: {why}; write http://host:port, or unset it (its value is \
                 not shown here, as it may hold a password)"
            )),
        }
    }
}

/// Parses `http://host:port`, `https://host:port` or `host:port`, each with an optional `user:password@` before
/// the host.
fn proxy_url(text: &str) -> Result<Url, &'static str> {
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '\\')) {
        return Err("there is a space, a quotation mark or a backslash in it");
    }
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {}
        scheme if scheme.starts_with("socks") => return Err("SOCKS is not supported"),
        _ => return Err("a proxy is reached over http:// or https://"),
    }
    // The URL parser, which follows browsers, would skip further slashes.
    if rest.starts_with('/') {
        return Err("there is no host in it");
    }
    let url = Url::parse(&format!("{scheme}://{rest}")).map_err(|_| "it is not a URL")?;
    let of_a_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    match url.host_str() {
        Some(host) if !host.is_empty() && host.chars().all(of_a_host) => {}
        _ => return Err("there is no host in it"),
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err(
            "a proxy has no path, query or fragment (and a script such as proxy.pac is not supported)",
        );
    }
    // The client parses it again, and would use no proxy if it failed.
    match url.as_str().parse::<hyper::Uri>() {
        Ok(uri) if uri.authority().is_some() => Ok(url),
        _ => Err("it is not a URL"),
    }
}

/// One entry of `NO_PROXY`: hosts that are reached without a proxy.
#[derive(PartialEq, Eq, Debug)]
struct NoProxyEntry {
    hosts: HostPattern,
    port: Option<u16>,
}

#[derive(PartialEq, Eq, Debug)]
enum HostPattern {
    All,
    Network(IpAddr, u8),
    /// In lower case, including all subdomains.
    Domain(String),
}

/// Parses entries, separated by commas or blanks.
fn parse_no_proxy(list: &str) -> Result<Vec<NoProxyEntry>, String> {
    let entries = list.split(|c: char| c == ',' || c.is_whitespace());
    let entries = entries.map(without_quotes).filter(|entry| !entry.is_empty());
    entries.map(|entry| parse_entry(entry).map_err(|why| format!("{} is {why}", quoted(entry)))).collect()
}

/// Parses `*`, an address, a network such as `10.0.0.0/8`, or a name, optionally after `.` or `*.`; all but a
/// network with an optional port. A name that no host can have matches nothing, as in other programs.
fn parse_entry(entry: &str) -> Result<NoProxyEntry, &'static str> {
    const BAD_NETWORK: &str =
        "not a network such as 10.0.0.0/8 (an entry is a host, an address or a network)";
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Ok(NoProxyEntry { hosts: one(address), port: None });
    }
    if let Some((address, length)) = entry.split_once('/') {
        let address: IpAddr = address.parse().map_err(|_| BAD_NETWORK)?;
        let length: u8 = length.parse().map_err(|_| BAD_NETWORK)?;
        return match u32::from(length) <= bits(address) {
            true => Ok(NoProxyEntry { hosts: HostPattern::Network(address, length), port: None }),
            false => Err(BAD_NETWORK),
        };
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            (host, Some(port.parse().map_err(|_| "not a host with a valid port")?))
        }
        _ => (entry, None),
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let hosts = match bare.parse::<IpAddr>() {
        Ok(address) => one(address),
        Err(_) if host == "*" => HostPattern::All,
        Err(_) => HostPattern::Domain(domain(host)),
    };
    Ok(NoProxyEntry { hosts, port })
}

fn one(address: IpAddr) -> HostPattern {
    let address = address.to_canonical();
    HostPattern::Network(address, u8::try_from(bits(address)).unwrap_or(u8::MAX))
}

fn bits(address: IpAddr) -> u32 {
    if address.is_ipv4() { u32::BITS } else { u128::BITS }
}

/// A domain name as it appears in a parsed URL.
fn domain(name: &str) -> String {
    let name = name.strip_prefix('*').unwrap_or(name);
    let name = name.strip_prefix('.').unwrap_or(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    let url = Url::parse(&format!("http://{name}/")).ok();
    url.and_then(|url| url.domain().map(str::to_owned)).unwrap_or_else(|| name.to_ascii_lowercase())
}

impl NoProxyEntry {
    fn matches(&self, base: &Url) -> bool {
        if self.port.is_some() && self.port != base.port_or_known_default() {
            return false;
        }
        let host = base.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
        match (&self.hosts, address) {
            (HostPattern::All, _) => true,
            (HostPattern::Network(network, length), Some(address)) => is_inside(address, *network, *length),
            (HostPattern::Domain(domain), None) => {
                let host = host.strip_suffix('.').unwrap_or(host);
                let above = host.strip_suffix(domain.as_str());
                !domain.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
            (HostPattern::Network(..), None) | (HostPattern::Domain(_), Some(_)) => false,
        }
    }
}

/// An IPv4-mapped IPv6 address counts as the IPv4 address.
fn is_inside(address: IpAddr, network: IpAddr, length: u8) -> bool {
    let length = u32::from(length);
    match (address.to_canonical(), network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= length
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let differing = address.to_bits() ^ network.to_bits();
            differing.leading_zeros() >= length
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn active_proxy(variables: &[(&str, &str)], url: &str) -> Result<Option<Proxy>, String> {
        super::active_proxy(&Url::parse(url).unwrap(), &|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned()).ok_or(VarError::NotPresent)
        })
    }

    /// The proxy for `url`, with its variable.
    fn proxy(variables: &[(&str, &str)], url: &str) -> Option<(String, &'static str)> {
        active_proxy(variables, url).unwrap().map(|proxy| (proxy.url.to_string(), proxy.variable))
    }

    const LOG: &str = "https://log.example/x";
    const CLEAR: &str = "http://log.example/x";

    #[test]
    fn common_notations_are_accepted() {
        for value in [
            "http://proxy.example:3128",
            "http://proxy.example:3128/",
            "HTTP://proxy.example:3128",
            "proxy.example:3128",
            " http://proxy.example:3128\r\n",
            "\"http://proxy.example:3128\"",
            "'proxy.example:3128'",
            " \" http://proxy.example:3128 \" ",
        ] {
            let found = proxy(&[("https_proxy", value)], LOG);
            assert_eq!(found, Some(("http://proxy.example:3128/".to_owned(), "https_proxy")), "{value:?}");
        }
        let with_password = proxy(&[("ALL_PROXY", "https://u:p%40ss@[::1]:3128")], LOG);
        assert_eq!(with_password.unwrap().0, "https://u:p%40ss@[::1]:3128/");
        for blank in ["", "  ", "\"\"", "' '"] {
            assert_eq!(proxy(&[("HTTPS_PROXY", blank)], LOG), None, "{blank:?}");
        }
    }

    #[test]
    fn an_invalid_proxy_is_refused_and_not_shown() {
        for value in [
            "http//u:s3cret@proxy.example:3128",
            "htp://u:s3cret@proxy.example:3128",
            "socks5://u:s3cret@proxy.example:1080",
            "socks://u:s3cret@proxy.example:1080",
            "ftp://u:s3cret@proxy.example",
            "://u:s3cret@proxy.example",
            "http://u:s3cret@proxy.example:99999",
            "http://u:s3cret@proxy.example:3128x",
            "http://u:s3cret@",
            "http:///u:s3cret@proxy.example",
            "http:/u:s3cret@proxy.example",
            "http://u:s3cret/x@proxy.example:3128",
            "http://u:3/s3cret@proxy.example:3128",
            "http://u:s3cret@proxy.example:3128/proxy.pac",
            "http://u:s3cret@proxy.example:3128/?a",
            "http://u:s3cret@proxy.example:3128#a",
            "http://u:s3 cret@proxy.example:3128",
            "\"http://u:s3cret@proxy.example:3128",
            "http://u:s3cret@proxy.example:3128'",
            "“http://u:s3cret@proxy.example:3128”",
            "http://u:s3cret@pro\"xy.example:3128",
            "http://u:s3cret@proxy.example\\:3128",
            "http://u:s3cret@pro<xy.example",
            "http://u:s3cret@*",
            "http://u:s3cret@proxy\n.example",
            "s3cret@",
        ] {
            for (variable, urls) in [
                ("HTTP_PROXY", &[CLEAR][..]),
                ("http_proxy", &[CLEAR]),
                ("HTTPS_PROXY", &[LOG]),
                ("https_proxy", &[LOG]),
                ("ALL_PROXY", &[CLEAR, LOG]),
                ("all_proxy", &[CLEAR, LOG]),
            ] {
                for url in urls {
                    let why = active_proxy(&[(variable, value)], url).map(|_| value).unwrap_err();
                    assert!(why.starts_with(variable) && !why.contains("s3"), "{value:?}: {why}");
                }
            }
        }
        let base = Url::parse(LOG).unwrap();
        let odd = super::active_proxy(&base, &|_| Err(VarError::NotUnicode("s3cret".into())));
        assert!(odd.is_err_and(|why| why.starts_with("NO_PROXY") && !why.contains("s3cret")));
        let odd = super::active_proxy(&base, &|name| match name {
            "HTTPS_PROXY" => Err(VarError::NotUnicode("s3cret".into())),
            _ => Err(VarError::NotPresent),
        });
        assert!(odd.is_err_and(|why| why.starts_with("HTTPS_PROXY") && !why.contains("s3cret")));
    }

    #[test]
    fn variables_that_do_not_apply_are_not_parsed() {
        let wrong = "htp://x";
        for (variables, url) in [
            // A variable of the other scheme.
            (&[("HTTP_PROXY", wrong), ("http_proxy", wrong)][..], LOG),
            (&[("HTTPS_PROXY", wrong), ("https_proxy", wrong)], CLEAR),
            // Another variable comes first.
            (&[("HTTPS_PROXY", "a:1"), ("https_proxy", wrong), ("ALL_PROXY", wrong)], LOG),
            (&[("http_proxy", "a:1"), ("ALL_PROXY", wrong), ("all_proxy", wrong)], CLEAR),
            (&[("ALL_PROXY", "a:1"), ("all_proxy", wrong), ("HTTP_PROXY", wrong)], LOG),
            // The URL is excepted.
            (&[("HTTPS_PROXY", wrong), ("NO_PROXY", "log.example"), ("no_proxy", "::/129")], LOG),
            (&[("ALL_PROXY", wrong), ("no_proxy", "*")], CLEAR),
            // A client of a web server set it.
            (&[("REQUEST_METHOD", "GET"), ("HTTP_PROXY", wrong)], CLEAR),
        ] {
            assert!(active_proxy(variables, url).is_ok(), "{variables:?} {url}");
        }
        // A variable that applies to this URL is parsed, whatever NO_PROXY says of others.
        assert!(active_proxy(&[("HTTPS_PROXY", wrong), ("NO_PROXY", "other.example")], LOG).is_err());
        assert!(active_proxy(&[("HTTP_PROXY", "a:1"), ("ALL_PROXY", wrong)], LOG).is_err());
    }

    /// The client parses every accepted value too; otherwise it would use no proxy.
    #[test]
    fn the_client_parses_every_accepted_proxy() {
        for byte in (1..=u8::MAX).map(char::from) {
            for value in [
                format!("http://u{byte}:p@proxy.example:3128"),
                format!("http://u:p{byte}@proxy.example:3128"),
                format!("http://proxy{byte}.example:3128"),
                format!("http://proxy.example:3128{byte}"),
                format!("{byte}proxy.example:3128"),
            ] {
                let Ok(url) = proxy_url(without_quotes(&value)) else { continue };
                let uri: hyper::Uri = url.as_str().parse().unwrap();
                assert_eq!(uri.host(), url.host_str(), "{value:?}");
                let inner = uri.authority().unwrap().as_str().split_once('@');
                assert!(inner.is_none_or(|(_, host)| !host.contains('@')), "{value:?}");
            }
        }
    }

    #[test]
    fn the_first_set_variable_applies() {
        let of =
            |variables: &[(&'static str, &str)], url| proxy(variables, url).map(|(_, variable)| variable);
        let both = [("HTTPS_PROXY", "a:1"), ("https_proxy", "b:1"), ("ALL_PROXY", "c:1")];
        assert_eq!(of(&both, LOG), Some("HTTPS_PROXY"));
        assert_eq!(of(&both, "http://log.example/"), Some("ALL_PROXY"));
        assert_eq!(
            of(&[("HTTP_PROXY", " "), ("http_proxy", "b:1")], "http://log.example/"),
            Some("http_proxy")
        );
        assert_eq!(of(&[("HTTP_PROXY", "a:1")], LOG), None);
        // A variable that does not apply is not parsed.
        let desktop = [("http_proxy", "a:1"), ("https_proxy", "a:1"), ("all_proxy", "socks://a:1/")];
        assert_eq!(of(&desktop, LOG), Some("https_proxy"));
        assert!(active_proxy(&[("http_proxy", "a:1"), ("all_proxy", "socks://a:1/")], LOG).is_err());
        // A client of a web server must not name the proxy.
        let cgi = [("REQUEST_METHOD", "GET"), ("HTTP_PROXY", "evil:1"), ("HTTPS_PROXY", "a:1")];
        assert_eq!((of(&cgi, "http://log.example/"), of(&cgi, LOG)), (None, Some("HTTPS_PROXY")));
        let cgi = [("REQUEST_METHOD", ""), ("HTTP_PROXY", "://"), ("http_proxy", "a:1")];
        assert_eq!(of(&cgi, "http://log.example/"), Some("http_proxy"));
    }

    #[test]
    fn no_proxy_entries_match() {
        for (list, url, direct) in [
            ("*", "http://127.0.0.1:8080/", true),
            ("*", "http://[::1]/", true),
            ("*", LOG, true),
            (" \"*\" ", LOG, true),
            ("a.example *", LOG, true),
            ("*:443", LOG, true),
            ("*:80", LOG, false),
            ("log.example", LOG, true),
            ("LOG.Example.", LOG, true),
            ("log.example", "https://log.example./", true),
            ("example", LOG, true),
            (".example", LOG, true),
            ("*.example", LOG, true),
            (".log.example", LOG, true),
            ("og.example", LOG, false),
            ("log.example.org", LOG, false),
            ("b.example,,\tlog.example", LOG, true),
            ("b.example log.example", LOG, true),
            ("log.example:443", LOG, true),
            ("log.example:80", LOG, false),
            ("log.example:8443", "https://log.example:8443/", true),
            ("bücher.example", "https://xn--bcher-kva.example/", true),
            ("127.0.0.1", "http://127.0.0.1:8080/", true),
            ("127.0.0.1:8080", "http://127.0.0.1:8080/", true),
            ("127.0.0.1:81", "http://127.0.0.1:8080/", false),
            ("127.0.0.2", "http://127.0.0.1/", false),
            ("127.0.0.0/8", "http://127.9.9.9/", true),
            ("10.1.2.3/9", "http://10.127.0.1/", true),
            ("10.1.2.3/9", "http://10.128.0.1/", false),
            ("0.0.0.0/0", "http://192.0.2.1/", true),
            ("0.0.0.0/0", "http://[2001:db8::1]/", false),
            ("192.0.2.1/32", "http://192.0.2.1/", true),
            ("192.0.2.1/32", "http://192.0.2.0/", false),
            ("192.0.2.1", "http://[::ffff:192.0.2.1]/", true),
            ("::1", "http://[::1]:8080/", true),
            ("[::1]", "http://[::1]:8080/", true),
            ("[::1]:8080", "http://[::1]:8080/", true),
            ("[::1]:81", "http://[::1]:8080/", false),
            ("2001:DB8::/32", "http://[2001:db8:1::1]/", true),
            ("2001:db8::/32", "http://[2001:db9::1]/", false),
            ("::/0", "http://[2001:db9::1]/", true),
            // No part of an address is a domain.
            ("0.0.1", "http://127.0.0.1/", false),
            (".1", "http://127.0.0.1/", false),
            ("localhost", "http://127.0.0.1/", false),
            (".", LOG, false),
            ("", LOG, false),
            ("<local>", LOG, false),
        ] {
            let variables = [("ALL_PROXY", "proxy.example:3128"), ("no_proxy", list)];
            assert_eq!(proxy(&variables, url).is_none(), direct, "{list:?} {url}");
        }
        for wrong in ["10.0.0.0/33", "::/129", "10.0.0/8", "https://log.example/", "log.example:x", "a:99999"]
        {
            let why = active_proxy(&[("NO_PROXY", wrong)], LOG).map(|_| ()).unwrap_err();
            assert!(why.starts_with("NO_PROXY"), "{why}");
        }
    }

    #[test]
    fn a_failure_names_the_proxy_without_its_password() {
        let proxy = active_proxy(&[("https_proxy", "http://u:s3cret@proxy.example:3128")], LOG).unwrap();
        let message = proxy.unwrap().with_proxy_named("no answer");
        assert_eq!(message, "no answer (over the proxy http://proxy.example:3128, which https_proxy names)");
    }
}
