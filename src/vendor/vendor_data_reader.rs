//! The keys of a caller's `vendor_data`: an operation reads those that it accepts, and refuses the others.

use std::{collections::BTreeMap, ops::RangeInclusive};

use prost_types::{Struct, Value, value::Kind};
use serde_json::{Map, Value as Json};

use crate::check::Check;

/// A caller's `vendor_data`, without the keys that were read.
pub(super) struct VendorDataReader<'a> {
    check: &'a mut Check,
    field: &'static str,
    fields: BTreeMap<String, Value>,
}

impl<'a> VendorDataReader<'a> {
    /// The keys beneath `field`, the dotted path of the `vendor_data` in the request.
    pub(super) fn new(check: &'a mut Check, field: &'static str, vendor_data: Option<Struct>) -> Self {
        Self { check, field, fields: vendor_data.unwrap_or_default().fields }
    }

    /// One of a few numbers.
    pub(super) fn one_of(&mut self, key: &str, allowed: &[u32]) -> Option<u32> {
        let value = self.fields.remove(key)?;
        let number = whole(&value).filter(|number| allowed.contains(number));
        if number.is_none() {
            let allowed: Vec<String> = allowed.iter().map(u32::to_string).collect();
            self.check.invalid(format!("{}.{key}", self.field), format!("one of the numbers {}", allowed.join(", ")));
        }
        number
    }

    /// A whole number within bounds.
    pub(super) fn number(&mut self, key: &str, bounds: RangeInclusive<u32>) -> Option<u32> {
        let value = self.fields.remove(key)?;
        let number = whole(&value).filter(|number| bounds.contains(number));
        if number.is_none() {
            let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
            self.check.invalid(format!("{}.{key}", self.field), expected);
        }
        number
    }

    /// A whole number.
    pub(super) fn integer(&mut self, key: &str) -> Option<i64> {
        /// Beyond this a double does not hold every whole number.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        match self.fields.remove(key)?.kind {
            Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() < EXACT => {
                #[expect(clippy::cast_possible_truncation, reason = "the guard is what makes it exact")]
                let whole = number as i64;
                Some(whole)
            }
            _ => {
                self.check.invalid(format!("{}.{key}", self.field), "a whole number");
                None
            }
        }
    }

    /// Letters and digits of any language, up to so many.
    pub(super) fn letters_and_digits(&mut self, key: &str, longest: usize) -> Option<String> {
        match self.fields.remove(key)?.kind {
            Some(Kind::StringValue(text))
                if text.chars().count() <= longest && text.chars().all(char::is_alphanumeric) =>
            {
                Some(text)
            }
            _ => {
                let expected = format!("up to {longest} letters and digits, no space");
                self.check.invalid(format!("{}.{key}", self.field), expected);
                None
            }
        }
    }

    /// An object, whatever is in it.
    pub(super) fn object(&mut self, key: &str) -> Option<Map<String, Json>> {
        match self.fields.remove(key)?.kind {
            Some(Kind::StructValue(fields)) => Some(object(fields)),
            _ => {
                self.check.invalid(format!("{}.{key}", self.field), "an object");
                None
            }
        }
    }

    /// Refuses every key that was not read. `accepted` says which keys are.
    pub(super) fn refuse_others(self, accepted: &'static str) {
        for key in self.fields.into_keys() {
            self.check.unsupported(format!("{}.{key}", self.field), accepted);
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the guard is what makes it exact")]
fn whole(value: &Value) -> Option<u32> {
    match value.kind {
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) => {
            Some(number as u32)
        }
        _ => None,
    }
}

/// Without its nulls: the vendor knows none, an optional member is left out.
fn object(fields: Struct) -> Map<String, Json> {
    let members = fields.fields.into_iter().map(|(key, value)| (key, json(value)));
    members.filter(|(_, value)| !value.is_null()).collect()
}

/// As JSON; whole numbers without a fraction, because the vendor wants integers.
fn json(value: Value) -> Json {
    let integer = whole(&value);
    match value.kind {
        None | Some(Kind::NullValue(_)) => Json::Null,
        Some(Kind::BoolValue(bool)) => Json::Bool(bool),
        Some(Kind::NumberValue(number)) => integer.map_or_else(|| number.into(), Json::from),
        Some(Kind::StringValue(text)) => Json::String(text),
        Some(Kind::ListValue(list)) => list.values.into_iter().map(json).collect(),
        Some(Kind::StructValue(fields)) => Json::Object(object(fields)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{error::ErrorReason, vendor_data::VendorData};

    fn data(json: &Json) -> Option<Struct> {
        let Json::Object(fields) = json else { panic!("not an object") };
        fields.iter().fold(VendorData::new(), |data, (key, json)| data.json(key, json)).build()
    }

    #[test]
    fn keys_are_taken_and_all_that_is_wrong_is_told() {
        let mut check = Check::new();
        let given = json!({
            "agentType": 5, "ccRoleId": 1, "maxWaitNum": 1.5, "description": "two words", "skillParam": 3, "other": 1,
        });
        let mut reader = VendorDataReader::new(&mut check, "queue.vendor_data", data(&given));
        assert_eq!(reader.one_of("agentType", &[4, 5]), Some(5));
        assert_eq!(reader.one_of("ccRoleId", &[2, 3, 4]), None);
        assert_eq!(reader.number("maxWaitNum", 0..=10_000), None);
        assert_eq!(reader.letters_and_digits("description", 50), None);
        assert_eq!(reader.object("skillParam"), None);
        assert_eq!(reader.number("absent", 0..=1), None);
        reader.refuse_others("Huawei takes none");
        let error = check.done().unwrap_err();
        let fields: Vec<&str> = error.violations().iter().map(|violation| violation.field.as_str()).collect();
        let expected = ["ccRoleId", "maxWaitNum", "description", "skillParam", "other"];
        assert_eq!(fields, expected.map(|key| format!("queue.vendor_data.{key}")));
    }

    #[test]
    fn only_keys_that_nobody_takes_are_unsupported() {
        let mut check = Check::new();
        VendorDataReader::new(&mut check, "vendor_data", data(&json!({ "other": 1 })))
            .refuse_others("Huawei takes none");
        assert_eq!(check.done().unwrap_err().reason(), ErrorReason::FieldUnsupported);
    }

    #[test]
    fn objects_keep_what_they_hold_and_whole_numbers_are_integers() {
        let param = json!({ "timeOut": { "transferType": "Transfer", "value": 1, "list": [1.5, true, null, -2] } });
        let mut check = Check::new();
        let mut reader = VendorDataReader::new(&mut check, "f", data(&json!({ "skillParam": param })));
        let read = Json::Object(reader.object("skillParam").unwrap());
        assert_eq!(read["timeOut"]["value"].to_string(), "1");
        assert_eq!(read["timeOut"]["list"][0], 1.5);
        assert_eq!(read["timeOut"]["transferType"], "Transfer");
        let null = Value { kind: Some(Kind::NullValue(0)) };
        assert!(object(Struct { fields: [("absent".to_owned(), null)].into() }).is_empty());
    }
}
