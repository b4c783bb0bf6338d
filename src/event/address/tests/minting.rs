//! Which addresses are minted, adopted and shown.

use super::*;

#[tokio::test]
async fn an_address_that_the_vendor_cannot_reach_is_not_minted() {
    let local = [
        "http://127.0.0.1:8080/",
        "http://127.9.9.9/",
        "http://localhost:1/",
        "https://[::1]/x/",
        "http://a.localhost/",
    ];
    let state = Arc::new(Database::in_memory().unwrap());
    let of =
        |base: &str| Addresses::new(&events(base, None), state.clone(), Clock::from_source(ManualClock::default()));
    for base in local.into_iter().chain(["http://[::ffff:127.0.0.1]/"]) {
        let refused = of(base).mint("acme", None, &vendor()).await.unwrap_err();
        assert_eq!(refused.reason(), ErrorReason::CenterMisconfigured, "{base}");
        assert!(refused.message().contains("events.callback_base_url"), "{}", refused.message());
    }
    assert!(state.list("").await.unwrap().is_empty(), "nothing is stored");
    for vendor in local {
        of(local[0]).mint("acme", None, &vendor.parse().unwrap()).await.unwrap();
    }
    for base in [GATEWAY, "http://192.0.2.1/", "http://localhost.example.com/", "https://[2001:db8::1]/"] {
        of(base).mint("acme", None, &vendor()).await.unwrap();
    }
}

#[tokio::test]
async fn debug_output_contains_no_address() {
    let fixture = Fixture::with(Database::in_memory().unwrap(), Some("configured-key"));
    let address = fixture.addresses.mint("acme", Some("102"), &vendor()).await.unwrap();
    let shown = format!("{:?} {:#?} {address:?} {:?}", fixture.addresses, fixture.addresses, address.nonce);
    assert_eq!(shown, "Addresses Addresses Address Nonce");
}

proptest! {
    #[test]
    fn a_parsed_segment_encodes_to_itself(segment in "[A-Za-z0-9_.=/-]{0,80}|\\PC{0,70}|[A-Za-z0-9_-]{22}\\.[A-Za-z0-9_-]{43}") {
        if let Some((nonce, mac)) = parse_segment(&segment) {
            prop_assert_eq!(format!("{nonce}.{}", BASE64.encode(mac)), segment);
        }
    }

    #[test]
    fn any_nonce_and_mac_parse(nonce: [u8; 16], mac: [u8; 32]) {
        let text = BASE64.encode(nonce);
        let segment = format!("{text}.{}", BASE64.encode(mac));
        prop_assert_eq!(parse_segment(&segment), Some((text.as_str(), mac)));
    }

    #[test]
    fn the_mac_input_is_unique_per_center_and_nonce(texts in proptest::collection::vec("[a-z.]{0,4}", 4)) {
        let (one, other) = (mac_input(&texts[0], &texts[1]), mac_input(&texts[2], &texts[3]));
        prop_assert_eq!(one == other, texts[0] == texts[2] && texts[1] == texts[3]);
    }
}

#[tokio::test]
async fn an_address_that_is_adopted_already_is_written_once() {
    let fixture = Fixture::new();
    let (uri, nonce) = fixture.mint_adopted("73").await;
    let record = async || fixture.store.store.list("address.").await.unwrap();
    let before = record().await;
    fixture.clock.advance(Duration::from_secs(1));
    fixture.addresses.adopt("acme", &nonce, "73").await.unwrap();
    assert_eq!(record().await, before);
    // By another subscription it is adopted anew.
    fixture.addresses.adopt("acme", &nonce, "74").await.unwrap();
    assert_ne!(record().await, before);
    assert!(fixture.accepts(&uri).await);
}
