use tokio::time::Instant;

use super::*;

#[test]
fn a_status_is_small_whatever_it_repeats() {
    let cx = Context::new("CreateAgent", String::new(), Instant::now());
    for text in ["k".repeat(5000), "\u{5ea7}\u{5e2d}".repeat(3000), "%\n".repeat(900)] {
        let violation = |index| Violation::new(format!("agent.vendor_data.{index}{text}"), text.clone());
        for violations in [vec![violation(0)], (0..100).map(violation).collect()] {
            let vendor =
                Vendor { operation: "POST /agents", code: text.clone(), message: text.clone(), http_status: Some(400) };
            let error = Error::invalid(violations).about("Agent", &text).from_vendor(vendor).with("cause", &text);
            let status = error.into_status(&cx);
            assert!(header_bytes(&status) <= MAX_STATUS_BYTES, "{}", header_bytes(&status));
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, "FIELD_INVALID");
            let first = &details.bad_request().unwrap().field_violations[0];
            assert!(first.field.starts_with("agent.") && first.field.ends_with('\u{2026}'), "{}", first.field);
        }
    }
}
