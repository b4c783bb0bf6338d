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

#[test]
fn each_part_of_a_status_has_a_bound_of_its_own() {
    let cx = Context::new("CreateAgent", String::new(), Instant::now());
    for more in [0, 1] {
        // The mark of a cut is within the bound.
        let message = Error::new(ErrorReason::VendorRejected, "m".repeat(512 + more)).into_status(&cx);
        assert_eq!((message.message().len(), message.message().ends_with('\u{2026}')), (512, more > 0));

        let violation = Violation::new("f".repeat(128 + more), "d".repeat(256 + more));
        let details = Error::invalid(vec![violation]).into_status(&cx).get_error_details();
        let violation = &details.bad_request().unwrap().field_violations[0];
        assert_eq!((violation.field.len(), violation.description.len()), (128, 256));
        assert_eq!((violation.field.ends_with('f'), violation.description.ends_with('d')), (more == 0, more == 0));

        let violations = (0..8 + more).map(|index| Violation::new(format!("f{index}"), "wrong"));
        let status = Error::invalid(violations.collect()).into_status(&cx);
        let reported = status.get_error_details().bad_request().unwrap().field_violations.len();
        assert_eq!(reported, 8);
        let message = format!("{} fields are invalid: f0, f1, f2, f3, f4, f5, f6, f7", 8 + more);
        assert_eq!(status.message(), message, "the message counts all, and names as many");
    }
}
