//! Relay numbers: operations 01 to 03.

use serde_json::{Value, json};

use super::{
    call::Call,
    codes::{Failure, NUMBER_NOT_FOUND},
    state::State,
};

/// Operation 01. The default need not be in the list, as in the document's example (C28).
#[expect(clippy::unnecessary_wraps, reason = "every handler has one signature")]
pub(super) fn list(state: &mut State, _: &Call<'_>) -> Result<Value, Failure> {
    Ok(json!({ "SpNumbers": state.numbers, "DefSpNumber": state.default_number }))
}

/// Operation 02. "The default relay number is the first one in the list, but it can be any number from the list": a
/// number outside the list is refused (C28), and an absent number means the first.
pub(super) fn set_default(state: &mut State, call: &Call<'_>) -> Result<Value, Failure> {
    let chosen = match call.text_if_given("DefSpNumber") {
        Some(number) => state.numbers.iter().find(|known| *known == number),
        None => state.numbers.first(),
    };
    state.default_number = chosen.ok_or(NUMBER_NOT_FOUND.because("DefSpNumber"))?.clone();
    Ok(Value::Null)
}

/// Operation 03.
#[expect(clippy::unnecessary_wraps, reason = "every handler has one signature")]
pub(super) fn clear_default(state: &mut State, _: &Call<'_>) -> Result<Value, Failure> {
    state.default_number.clear();
    Ok(json!(""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::udesk::testing::TestServer;

    #[tokio::test]
    async fn the_default_is_one_of_the_list_or_the_first_or_none() {
        let server = TestServer::start().await;
        let default = async || server.done(1, "", Value::Null).await["DefSpNumber"].clone();

        assert_eq!(server.done(2, "", json!({ "DefSpNumber": "02155500102" })).await, Value::Null);
        assert_eq!(default().await, "02155500102");
        assert_eq!(server.refused(2, "", json!({ "DefSpNumber": "057126200670" })).await, "100005");
        assert_eq!(default().await, "02155500102");
        server.done(2, "", json!({})).await;
        assert_eq!(default().await, "01055500100");
        assert_eq!(server.done(3, "", Value::Null).await, "");
        assert_eq!(default().await, "");
    }
}
