//! Access tokens, from the first call to the refused one.

use super::*;
use crate::error::ErrorReason;

async fn probe(server: &TestServer) -> Result<()> {
    server.adapter.probe(&cx("Probe")).await
}

async fn probe_at_once(server: &Arc<TestServer>, callers: usize) {
    let calls: Vec<_> = (0..callers)
        .map(|_| {
            let server = server.clone();
            tokio::spawn(async move { probe(&server).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

fn one_live_token() -> Setup {
    Setup { tokens: TokenRules { one_live_token: true, ..TokenRules::default() }, ..Setup::default() }
}

#[tokio::test]
async fn a_thousand_first_calls_are_one_token_request() {
    let server = Arc::new(TestServer::start("").await);
    probe_at_once(&server, 1000).await;
    let requests = server.simulator.requests();
    // The journal keeps the last thousand, so the first of 1,001 may be gone.
    assert!(server.token_requests() <= 1 && requests.len() == 1000);
    let text = server.metrics.text().unwrap();
    assert!(text.contains("switchboard_token_fetches_total{center=\"beta\",outcome=\"ok\"} 1\n"), "{text}");
}

#[tokio::test]
async fn the_requested_lifetime_is_sent() {
    for (config, sent) in [("", "3600"), ("token_lifetime = '20s'", "20")] {
        let server = TestServer::with(Setup { config, ..Setup::default() }).await;
        probe(&server).await.unwrap();
        let request = &server.simulator.requests()[0];
        let header = request.headers.iter().find(|(name, _)| name == "x-token-expire").unwrap();
        assert_eq!(header.1, sent);
    }
}

#[tokio::test]
async fn a_revoked_token_costs_one_extra_round_trip_once() {
    let server = TestServer::start("").await;
    probe(&server).await.unwrap();
    server.simulator.forget_requests();
    server.simulator.revoke_tokens();
    probe(&server).await.unwrap();
    let paths: Vec<String> = server.simulator.requests().iter().map(|request| last(&request.path)).collect();
    assert_eq!(paths, ["querySysInfo", "tokenByAkSk", "querySysInfo"]);
    server.simulator.forget_requests();
    probe(&server).await.unwrap();
    assert_eq!(server.calls(), ["querySysInfo"]);
}

#[tokio::test]
async fn a_token_revoked_under_many_callers_is_fetched_once() {
    for setup in [Setup::default(), one_live_token()] {
        let server = Arc::new(TestServer::with(setup).await);
        probe(&server).await.unwrap();
        server.simulator.forget_requests();
        server.simulator.revoke_tokens();
        probe_at_once(&server, 100).await;
        assert_eq!(server.token_requests(), 1);
    }
}

#[tokio::test]
async fn a_write_with_a_revoked_token_is_done_once() {
    let server = TestServer::start("").await;
    probe(&server).await.unwrap();
    server.simulator.revoke_tokens();
    server.simulator.forget_requests();
    server.adapter.logout_agent(&cx("LogoutAgent"), agent_name("1001")).await.unwrap_err();
    // Refused with 401, then because the agent is not signed in.
    let calls = server.calls();
    assert_eq!(calls, ["offline/agent/logout", "offline/agent/logout", "queryAgentInfo"].map(str::to_owned));
}

#[tokio::test]
async fn an_early_refresh_fails_no_call_where_one_token_is_valid() {
    let setup = Setup { config: "token_lifetime = '20s'", ..one_live_token() };
    let server = Arc::new(TestServer::with(setup).await);
    for _ in 0..60 {
        probe_at_once(&server, 8).await;
        server.time.advance(Duration::from_secs(1));
    }
    let fetches = server.token_requests();
    // Usable for 18 s, renewed from 14.4 s on.
    assert!((3..=6).contains(&fetches), "{fetches}");
}

#[tokio::test]
async fn ten_minutes_with_tokens_of_20_seconds_are_no_failure_and_no_burst() {
    let server = TestServer::with(Setup { config: "token_lifetime = '20s'", ..Setup::default() }).await;
    let mut fetches = Vec::new();
    for second in 0..600 {
        probe(&server).await.unwrap();
        fetches.extend(std::iter::repeat_n(second, server.token_requests()));
        server.simulator.forget_requests();
        server.time.advance(Duration::from_secs(1));
    }
    assert!((33..=45).contains(&fetches.len()), "{fetches:?}");
    assert!(fetches.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{fetches:?}");
}

#[tokio::test]
async fn a_token_that_is_refused_again_is_not_fetched_again() {
    let server = TestServer::start("").await;
    probe(&server).await.unwrap();
    server.simulator.forget_requests();
    server.respond("querySysInfo", 401, "Unauthorized operation.");
    server.respond("querySysInfo", 401, "Unauthorized operation.");
    let error = probe(&server).await.unwrap_err();
    assert_eq!((error.reason(), server.token_requests()), (ErrorReason::VendorAuthFailed, 1));
}

#[tokio::test]
async fn a_new_token_that_the_vendor_does_not_know_yet_is_kept() {
    let server = TestServer::start("").await;
    for _ in 0..30 {
        server.respond(
            "querySysInfo",
            401,
            "Unauthorized operation. 1. Check whether you have purchased related services.",
        );
        let error = probe(&server).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::VendorAuthFailed);
        assert!(metadata(&error, "vendorMessage").starts_with("Unauthorized operation."));
    }
    assert_eq!(server.token_requests(), 1);
    probe(&server).await.unwrap();
    assert_eq!(server.token_requests(), 1, "the first token works after a moment");
    server.simulator.forget_requests();
    server.simulator.revoke_tokens();
    probe(&server).await.unwrap();
    assert_eq!(server.token_requests(), 1, "an accepted token is replaced at once");
}

#[tokio::test]
async fn a_token_that_is_never_accepted_is_replaced_ever_more_rarely() {
    let server = TestServer::start("").await;
    let mut fetches = Vec::new();
    for second in 0..120 {
        // Once more after a replacement.
        for _ in 0..2 {
            server.respond("querySysInfo", 401, "Unauthorized operation.");
        }
        probe(&server).await.unwrap_err();
        fetches.extend(std::iter::repeat_n(second, server.token_requests()));
        server.simulator.forget_requests();
        server.time.advance(Duration::from_secs(1));
    }
    assert_eq!(fetches, [0, 5, 15, 35, 75]);
}

#[tokio::test]
async fn a_refusal_by_a_proxy_does_not_show_that_a_token_is_accepted() {
    let server = TestServer::start("").await;
    server.respond("querySysInfo", 404, "<html>");
    probe(&server).await.unwrap_err();
    server.respond("querySysInfo", 401, "Unauthorized operation.");
    probe(&server).await.unwrap_err();
    assert_eq!(server.token_requests(), 1);
}

#[tokio::test]
async fn a_403_drops_the_token_only_where_configured() {
    for (config, fetches) in [("", 0), ("token_retry_on_403 = true", 1)] {
        let server = TestServer::with(Setup { config, ..Setup::default() }).await;
        probe(&server).await.unwrap();
        server.simulator.forget_requests();
        server.respond("querySysInfo", 403, "Forbidden");
        let result = probe(&server).await.map_err(|error| error.reason());
        let expected = if fetches == 0 { Err(ErrorReason::VendorAuthFailed) } else { Ok(()) };
        assert_eq!((result, server.token_requests()), (expected, fetches), "{config}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_tried_once_per_pause_and_shown_nowhere() {
    let server = TestServer::start("").await;
    let page = format!("<html>403 Forbidden {APP_SECRET}</html>");
    server.respond("tokenByAkSk", 403, &page);
    for _ in 0..20 {
        let error = probe(&server).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::VendorAuthFailed);
        let shown = format!("{error:?} {error} {:?}", error.clone().into_status(&cx("Probe")));
        assert!(!shown.contains(APP_SECRET) && !shown.contains("127.0.0.1"), "{shown}");
    }
    assert_eq!(server.token_requests(), 0);
    server.time.advance(Duration::from_secs(1));
    probe(&server).await.unwrap();
}

#[tokio::test]
async fn responses_without_a_usable_token_are_reported() {
    for body in ["{}", "{\"AccessToken\":\"\"}", "{\"AccessToken\":\"two\\nlines\"}", "<html>", "[]", ""] {
        let server = TestServer::start("").await;
        server.respond("tokenByAkSk", 200, body);
        let error = probe(&server).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::VendorResponseInvalid, "{body}");
        // The failure is cached.
        assert_eq!(probe(&server).await.unwrap_err().reason(), ErrorReason::VendorResponseInvalid, "{body}");
        assert_eq!(server.token_requests(), 0, "{body}");
    }
}

#[tokio::test]
async fn other_spellings_of_a_token_are_read() {
    for body in [
        r#"{"AccessToken":"t0k3n","Expires":"600"}"#,
        r#"{"access_token":"t0k3n","expires_in":600}"#,
        r#"{"accessToken":"t0k3n","expiresIn":"soon"}"#,
        r#"{"AccessToken":"t0k3n","Expires":0,"Added":{"later":1}}"#,
    ] {
        let server = TestServer::start("").await;
        server.respond("tokenByAkSk", 200, body);
        server.respond("querySysInfo", 200, "{}");
        probe(&server).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_the_vendor_echoes_is_not_shown() {
    let server = TestServer::start("").await;
    server.respond("tokenByAkSk", 200, r#"{"AccessToken":"t0.k3-n","Expires":"600"}"#);
    server.respond("offline/agent/logout", 200, r#"{"returnCode":"7","description":"no right for t0.k3-n"}"#);
    server.respond("queryAgentInfo", 200, r#"{"agents":[{"workNo":1001}]}"#);
    let error = server.adapter.logout_agent(&cx("LogoutAgent"), agent_name("1001")).await.unwrap_err();
    assert_eq!((error.reason(), error.vendor_code()), (ErrorReason::VendorRejected, "7"));
    assert_eq!(metadata(&error, "vendorMessage"), "no right for ***");
}

#[tokio::test]
async fn tokens_may_be_fetched_elsewhere_and_paths_spelled_otherwise() {
    let elsewhere = TestServer::start("").await;
    let base: &'static str = Box::leak(elsewhere_base(&elsewhere).await.into_boxed_str());
    let setup = Setup { config: base, ..Setup::default() };
    let server = TestServer::with(setup).await;
    // Its own simulator does not know that token.
    assert_eq!(probe(&server).await.unwrap_err().reason(), ErrorReason::VendorAuthFailed);
    // A new token that was never accepted is not replaced.
    assert_eq!((elsewhere.token_requests(), server.token_requests()), (1, 0));
    let path = &server.simulator.requests()[0].path;
    assert_eq!(path, "/apiaccess/CC-Mangemant/v1/querySysInfo");
}

/// Keys that send token requests to another server.
async fn elsewhere_base(server: &TestServer) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = server.simulator.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!(
        "token_base_url = 'http://{address}'\n[centers.beta.paths]\n\
         querySysInfo = '/apiaccess/CC-Mangemant/v1/querySysInfo'"
    )
}
