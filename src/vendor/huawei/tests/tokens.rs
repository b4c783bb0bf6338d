//! Access tokens, from the first call to the refused one.

use super::*;
use crate::error::ErrorReason;

async fn probe(bench: &Bench) -> Result<()> {
    bench.adapter.probe(&cx("Probe")).await
}

async fn probe_at_once(bench: &Arc<Bench>, callers: usize) {
    let calls: Vec<_> = (0..callers)
        .map(|_| {
            let bench = bench.clone();
            tokio::spawn(async move { probe(&bench).await })
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
    let bench = Arc::new(Bench::start("").await);
    probe_at_once(&bench, 1000).await;
    let requests = bench.simulator.requests();
    // The journal keeps the last thousand, so the first of 1,001 may be gone.
    assert!(bench.token_requests() <= 1 && requests.len() == 1000);
    let text = bench.metrics.text().unwrap();
    assert!(text.contains("switchboard_token_fetches_total{center=\"beta\",outcome=\"ok\"} 1\n"), "{text}");
}

#[tokio::test]
async fn the_life_that_is_asked_for_is_sent() {
    for (config, sent) in [("", "3600"), ("token_lifetime = '20s'", "20")] {
        let bench = Bench::with(Setup { config, ..Setup::default() }).await;
        probe(&bench).await.unwrap();
        let request = &bench.simulator.requests()[0];
        let header = request.headers.iter().find(|(name, _)| name == "x-token-expire").unwrap();
        assert_eq!(header.1, sent);
    }
}

#[tokio::test]
async fn a_revoked_token_costs_one_extra_round_trip_once() {
    let bench = Bench::start("").await;
    probe(&bench).await.unwrap();
    bench.simulator.forget_requests();
    bench.simulator.revoke_tokens();
    probe(&bench).await.unwrap();
    let paths: Vec<String> = bench.simulator.requests().iter().map(|request| last(&request.path)).collect();
    assert_eq!(paths, ["querySysInfo", "tokenByAkSk", "querySysInfo"]);
    bench.simulator.forget_requests();
    probe(&bench).await.unwrap();
    assert_eq!(bench.calls(), ["querySysInfo"]);
}

#[tokio::test]
async fn a_token_revoked_under_many_callers_is_fetched_once() {
    for setup in [Setup::default(), one_live_token()] {
        let bench = Arc::new(Bench::with(setup).await);
        probe(&bench).await.unwrap();
        bench.simulator.forget_requests();
        bench.simulator.revoke_tokens();
        probe_at_once(&bench, 100).await;
        assert_eq!(bench.token_requests(), 1);
    }
}

#[tokio::test]
async fn a_write_with_a_revoked_token_is_done_once() {
    let bench = Bench::start("").await;
    probe(&bench).await.unwrap();
    bench.simulator.revoke_tokens();
    bench.simulator.forget_requests();
    bench.adapter.logout_agent(&cx("LogoutAgent"), agent_name("1001")).await.unwrap_err();
    // Refused with 401, then refused for what it says: nobody is signed in.
    let calls = bench.calls();
    assert_eq!(calls, ["offline/agent/logout", "offline/agent/logout", "queryAgentInfo"].map(str::to_owned));
}

#[tokio::test]
async fn where_one_token_lives_a_renewal_ahead_fails_no_call() {
    let setup = Setup { config: "token_lifetime = '20s'", ..one_live_token() };
    let bench = Arc::new(Bench::with(setup).await);
    for _ in 0..60 {
        probe_at_once(&bench, 8).await;
        bench.hand.advance(Duration::from_secs(1));
    }
    let fetches = bench.token_requests();
    // Usable for 18 s, renewed from 14.4 s on.
    assert!((3..=6).contains(&fetches), "{fetches}");
}

#[tokio::test]
async fn ten_minutes_with_tokens_of_20_seconds_are_no_failure_and_no_burst() {
    let bench = Bench::with(Setup { config: "token_lifetime = '20s'", ..Setup::default() }).await;
    let mut fetches = Vec::new();
    for second in 0..600 {
        probe(&bench).await.unwrap();
        fetches.extend(std::iter::repeat_n(second, bench.token_requests()));
        bench.simulator.forget_requests();
        bench.hand.advance(Duration::from_secs(1));
    }
    assert!((33..=45).contains(&fetches.len()), "{fetches:?}");
    assert!(fetches.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{fetches:?}");
}

#[tokio::test]
async fn a_token_that_is_refused_again_is_not_fetched_again() {
    let bench = Bench::start("").await;
    probe(&bench).await.unwrap();
    bench.simulator.forget_requests();
    bench.reply("querySysInfo", 401, "Unauthorized operation.");
    bench.reply("querySysInfo", 401, "Unauthorized operation.");
    let error = probe(&bench).await.unwrap_err();
    assert_eq!((error.reason(), bench.token_requests()), (ErrorReason::VendorAuthFailed, 1));
}

#[tokio::test]
async fn a_new_token_that_the_vendor_does_not_know_yet_is_kept() {
    let bench = Bench::start("").await;
    for _ in 0..30 {
        bench.reply(
            "querySysInfo",
            401,
            "Unauthorized operation. 1. Check whether you have purchased related services.",
        );
        let error = probe(&bench).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::VendorAuthFailed);
        assert!(metadata(&error, "vendorMessage").starts_with("Unauthorized operation."));
    }
    assert_eq!(bench.token_requests(), 1);
    probe(&bench).await.unwrap();
    assert_eq!(bench.token_requests(), 1, "the first token works after a moment");
    bench.simulator.forget_requests();
    bench.simulator.revoke_tokens();
    probe(&bench).await.unwrap();
    assert_eq!(bench.token_requests(), 1, "an accepted token is replaced at once");
}

#[tokio::test]
async fn a_token_that_is_never_accepted_is_replaced_ever_more_rarely() {
    let bench = Bench::start("").await;
    let mut fetches = Vec::new();
    for second in 0..120 {
        // Once more after a replacement.
        for _ in 0..2 {
            bench.reply("querySysInfo", 401, "Unauthorized operation.");
        }
        probe(&bench).await.unwrap_err();
        fetches.extend(std::iter::repeat_n(second, bench.token_requests()));
        bench.simulator.forget_requests();
        bench.hand.advance(Duration::from_secs(1));
    }
    assert_eq!(fetches, [0, 5, 15, 35, 75]);
}

#[tokio::test]
async fn a_refusal_by_a_proxy_does_not_show_that_a_token_is_accepted() {
    let bench = Bench::start("").await;
    bench.reply("querySysInfo", 404, "<html>");
    probe(&bench).await.unwrap_err();
    bench.reply("querySysInfo", 401, "Unauthorized operation.");
    probe(&bench).await.unwrap_err();
    assert_eq!(bench.token_requests(), 1);
}

#[tokio::test]
async fn a_403_drops_the_token_only_where_configured() {
    for (config, fetches) in [("", 0), ("token_retry_on_403 = true", 1)] {
        let bench = Bench::with(Setup { config, ..Setup::default() }).await;
        probe(&bench).await.unwrap();
        bench.simulator.forget_requests();
        bench.reply("querySysInfo", 403, "Forbidden");
        let result = probe(&bench).await.map_err(|error| error.reason());
        let expected = if fetches == 0 { Err(ErrorReason::VendorAuthFailed) } else { Ok(()) };
        assert_eq!((result, bench.token_requests()), (expected, fetches), "{config}");
    }
}

#[tokio::test]
async fn a_wrong_secret_is_asked_once_a_pause_and_shown_nowhere() {
    let bench = Bench::start("").await;
    let page = format!("<html>403 Forbidden {APP_SECRET}</html>");
    bench.reply("tokenByAkSk", 403, &page);
    for _ in 0..20 {
        let error = probe(&bench).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::VendorAuthFailed);
        let shown = format!("{error:?} {error} {:?}", error.clone().into_status(&cx("Probe")));
        assert!(!shown.contains(APP_SECRET) && !shown.contains("127.0.0.1"), "{shown}");
    }
    assert_eq!(bench.token_requests(), 0);
    bench.hand.advance(Duration::from_secs(1));
    probe(&bench).await.unwrap();
}

#[tokio::test]
async fn answers_without_a_usable_token_are_told_as_such() {
    for body in ["{}", "{\"AccessToken\":\"\"}", "{\"AccessToken\":\"two\\nlines\"}", "<html>", "[]", ""] {
        let bench = Bench::start("").await;
        bench.reply("tokenByAkSk", 200, body);
        let error = probe(&bench).await.unwrap_err();
        assert_eq!(error.reason(), ErrorReason::VendorResponseInvalid, "{body}");
        // The failure is remembered.
        assert_eq!(probe(&bench).await.unwrap_err().reason(), ErrorReason::VendorResponseInvalid, "{body}");
        assert_eq!(bench.token_requests(), 0, "{body}");
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
        let bench = Bench::start("").await;
        bench.reply("tokenByAkSk", 200, body);
        bench.reply("querySysInfo", 200, "{}");
        probe(&bench).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_the_vendor_repeats_is_not_shown() {
    let bench = Bench::start("").await;
    bench.reply("tokenByAkSk", 200, r#"{"AccessToken":"t0.k3-n","Expires":"600"}"#);
    bench.reply("offline/agent/logout", 200, r#"{"returnCode":"7","description":"no right for t0.k3-n"}"#);
    bench.reply("queryAgentInfo", 200, r#"{"agents":[{"workNo":1001}]}"#);
    let error = bench.adapter.logout_agent(&cx("LogoutAgent"), agent_name("1001")).await.unwrap_err();
    assert_eq!((error.reason(), error.vendor_code()), (ErrorReason::VendorRejected, "7"));
    assert_eq!(metadata(&error, "vendorMessage"), "no right for ***");
}

#[tokio::test]
async fn tokens_may_be_fetched_elsewhere_and_paths_spelled_otherwise() {
    let elsewhere = Bench::start("").await;
    let base: &'static str = Box::leak(elsewhere_base(&elsewhere).await.into_boxed_str());
    let setup = Setup { config: base, ..Setup::default() };
    let bench = Bench::with(setup).await;
    // Its own simulator does not know that token.
    assert_eq!(probe(&bench).await.unwrap_err().reason(), ErrorReason::VendorAuthFailed);
    // A new token that was never accepted is not replaced.
    assert_eq!((elsewhere.token_requests(), bench.token_requests()), (1, 0));
    let path = &bench.simulator.requests()[0].path;
    assert_eq!(path, "/apiaccess/CC-Mangemant/v1/querySysInfo");
}

/// Keys that send token requests to another bench.
async fn elsewhere_base(bench: &Bench) -> String {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = bench.simulator.router();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!(
        "token_base_url = 'http://{address}'\n[centers.beta.paths]\n\
         querySysInfo = '/apiaccess/CC-Mangemant/v1/querySysInfo'"
    )
}
