//! Events that expired before a stream read them.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stream_asks_for_the_ends_of_the_log_only_where_events_are_missing() {
    let fixture = Fixture::new([WANTED; 250]);
    let mut watch = fixture.watch(options(Fixture::cursor(0, false))).await.unwrap();
    let at_start = fixture.log.extents.load(Ordering::Acquire);
    for sequence in 1..=250 {
        assert_eq!(next(&mut watch).await, Received::Event(sequence, WANTED));
    }
    assert_eq!(fixture.log.extents.load(Ordering::Acquire), at_start);
}

#[tokio::test]
async fn events_are_missing_when_the_one_right_after_the_position_expired() {
    let fixture = Fixture::new([WANTED; 10]);
    let mut watch = fixture.watch(options(Fixture::cursor(8, false))).await.unwrap();
    for (oldest, is_missing) in [(0, false), (8, false), (9, true)] {
        fixture.log.oldest.store(oldest, Ordering::Release);
        assert_eq!(watch.reject_gap().await.is_err(), is_missing, "{oldest}");
    }
}
