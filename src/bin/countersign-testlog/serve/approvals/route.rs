//! Which requests are for the approval service.

use hyper::Method;

/// A request for the approval service, without its headers and body.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Route {
    /// `POST /api/confirmations`
    Ask,
    /// `GET /api/confirmations/{id}`, and the query.
    Wait {
        id: String,
        query: String,
    },
    Page(PageRoute),
    /// Where the lie `redirect` points to.
    Redirected,
    /// A known path that is asked with another method than this.
    WrongMethod(&'static str),
}

/// A request by a person's browser.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PageRoute {
    Script,
    Style,
    /// `GET /approve/{id}`
    Html(String),
    /// `GET /approve/{id}/request`: what the page shows.
    Request(String),
    /// `POST /approve/{id}/passkey`: a new passkey.
    Register(String),
    /// `POST /approve/{id}/approval`: an assertion.
    Approve(String),
    /// `POST /approve/{id}/rejection`
    Reject(String),
}

impl Route {
    /// The request for this path and query; `None` if it is not for the approval service.
    pub fn read(method: &Method, target: &str) -> Option<Route> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let (allowed, route) = match parts.as_slice() {
            ["api", "confirmations"] => ("POST", Route::Ask),
            ["api", "confirmations", id] => {
                ("GET", Route::Wait { id: (*id).to_owned(), query: query.to_owned() })
            }
            ["approve.js"] => ("GET", Route::Page(PageRoute::Script)),
            ["approve.css"] => ("GET", Route::Page(PageRoute::Style)),
            ["approve", id] => ("GET", Route::Page(PageRoute::Html((*id).to_owned()))),
            ["approve", id, what] => {
                let id = (*id).to_owned();
                let (allowed, page) = match *what {
                    "request" => ("GET", PageRoute::Request(id)),
                    "passkey" => ("POST", PageRoute::Register(id)),
                    "approval" => ("POST", PageRoute::Approve(id)),
                    "rejection" => ("POST", PageRoute::Reject(id)),
                    _ => return None,
                };
                (allowed, Route::Page(page))
            }
            ["redirected", ..] => return Some(Route::Redirected),
            _ => return None,
        };
        let fits = method == allowed || *method == Method::HEAD && allowed == "GET";
        Some(if fits { route } else { Route::WrongMethod(allowed) })
    }

    /// Whether the request has a body that matters.
    pub fn takes_body(&self) -> bool {
        matches!(
            self,
            Route::Ask | Route::Page(PageRoute::Register(_) | PageRoute::Approve(_) | PageRoute::Reject(_))
        )
    }

    /// The name for statistics.
    pub fn counted_as(&self) -> &'static str {
        match self {
            Route::Ask => "confirmations",
            Route::Wait { .. } => "confirmations/id",
            Route::Page(_) => "approve",
            Route::Redirected => "redirected",
            Route::WrongMethod(_) => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        let get = |target| Route::read(&Method::GET, target);
        let post = |target| Route::read(&Method::POST, target);
        let page = |route| Some(Route::Page(route));
        let a = || "a".to_owned();
        assert_eq!(post("/api/confirmations"), Some(Route::Ask));
        assert_eq!(get("/api/confirmations"), Some(Route::WrongMethod("POST")));
        let waits = Route::Wait { id: a(), query: "wait=1".to_owned() };
        assert_eq!(get("/api/confirmations/a?wait=1"), Some(waits));
        assert_eq!(get("/approve/a"), page(PageRoute::Html(a())));
        assert_eq!(get("/approve/a/request"), page(PageRoute::Request(a())));
        assert_eq!(post("/approve/a/passkey"), page(PageRoute::Register(a())));
        assert_eq!(post("/approve/a/approval"), page(PageRoute::Approve(a())));
        assert_eq!(post("/approve/a/rejection"), page(PageRoute::Reject(a())));
        assert_eq!(get("/approve/a/rejection"), Some(Route::WrongMethod("POST")));
        assert_eq!(post("/redirected/api/confirmations"), Some(Route::Redirected));
        for target in ["/", "/log/head", "/stats", "/api", "/approve", "/approve/a/b", "/approve/a/request/b"]
        {
            assert_eq!(get(target), None, "{target}");
        }
    }
}
