//! `vendor_data`: vendor fields without a neutral equivalent, under the vendor's own names.

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::Value as Json;

use crate::redact::is_secret;

/// Largest integer up to which a double represents every integer exactly.
const MAX_EXACT_INTEGER: u64 = 1 << 53;

/// Collects the fields of one resource.
#[derive(Debug, Default)]
pub(crate) struct VendorData(Struct);

impl VendorData {
    /// No fields yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a text, unless it is empty.
    #[must_use]
    pub(crate) fn text(mut self, key: &str, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.put(key, Kind::StringValue(text));
        }
        self
    }

    /// Adds a list of texts, unless it is empty.
    #[must_use]
    pub(crate) fn texts(mut self, key: &str, texts: impl IntoIterator<Item = String>) -> Self {
        let values: Vec<Value> = texts.into_iter().map(|text| Value { kind: Some(Kind::StringValue(text)) }).collect();
        if !values.is_empty() {
            self.put(key, Kind::ListValue(ListValue { values }));
        }
        self
    }

    /// Adds a JSON value without its secret members, unless it is null or an empty text.
    #[must_use]
    pub(crate) fn json(mut self, key: &str, json: &Json) -> Self {
        if !json.is_null() && json.as_str() != Some("") && !is_secret(key) {
            self.0.fields.insert(key.to_owned(), value(json));
        }
        self
    }

    /// The fields; `None` when there are none.
    pub(crate) fn build(self) -> Option<Struct> {
        (!self.0.fields.is_empty()).then_some(self.0)
    }

    fn put(&mut self, key: &str, kind: Kind) {
        self.0.fields.insert(key.to_owned(), Value { kind: Some(kind) });
    }
}

fn value(json: &Json) -> Value {
    let kind = match json {
        Json::Null => Kind::NullValue(0),
        Json::Bool(bool) => Kind::BoolValue(*bool),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(integer), _) if integer > MAX_EXACT_INTEGER => Kind::StringValue(number.to_string()),
            (None, Some(integer)) if integer.unsigned_abs() > MAX_EXACT_INTEGER => {
                Kind::StringValue(number.to_string())
            }
            _ => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Kind::StringValue(text.clone()),
        Json::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(value).collect() }),
        Json::Object(fields) => Kind::StructValue(Struct {
            fields: fields
                .iter()
                .filter(|(key, _)| !is_secret(key))
                .map(|(key, json)| (key.clone(), value(json)))
                .collect(),
        }),
    };
    Value { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn field<'a>(data: &'a Struct, key: &str) -> &'a Kind {
        data.fields[key].kind.as_ref().unwrap()
    }

    #[test]
    fn integers_that_a_double_cannot_represent_become_text() {
        let data = VendorData::new()
            .json("id", &json!(1_125_397_061_153_369_092_u64))
            .json("below", &json!(-1_125_397_061_153_369_092_i64))
            .json("small", &json!(168))
            .build()
            .unwrap();
        assert_eq!(field(&data, "id"), &Kind::StringValue("1125397061153369092".into()));
        assert_eq!(field(&data, "below"), &Kind::StringValue("-1125397061153369092".into()));
        assert_eq!(field(&data, "small"), &Kind::NumberValue(168.0));
    }

    #[test]
    fn secrets_are_removed_at_every_depth() {
        let data = VendorData::new()
            .json("sipPwd", &json!("p"))
            .json("ExtenInfos", &json!([{"Extension": "1002", "Password": "p"}]))
            .build()
            .unwrap();
        assert!(!data.fields.contains_key("sipPwd"));
        assert!(!format!("{data:?}").contains("Password"));
        assert!(format!("{data:?}").contains("1002"));
    }

    #[test]
    fn no_fields_are_no_struct() {
        assert_eq!(VendorData::new().text("a", "").texts("b", []).json("c", &Json::Null).build(), None);
    }
}
