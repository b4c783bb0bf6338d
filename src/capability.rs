//! What a center supports, as a table: one row per method of the contract.

use crate::proto::{METHODS, v1};

/// How one method is supported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    /// Unqualified name of the method.
    pub(crate) method: &'static str,
    /// Level of support.
    pub(crate) support: v1::Support,
    /// Request fields that are rejected with `FIELD_UNSUPPORTED` when set.
    pub(crate) unsupported: &'static [&'static str],
    /// Response fields that are never filled.
    pub(crate) unfilled: &'static [&'static str],
    /// Request fields required beyond those the contract requires.
    pub(crate) required: &'static [&'static str],
    /// What a derived method does not guarantee.
    pub(crate) limitation: &'static str,
}

/// The methods that the gateway implements itself, so every center supports them.
const GATEWAY: [Row; 3] = [Row::native("ListCenters"), Row::native("GetCenter"), Row::native("GetCapabilities")];

/// What no vendor accepts, because the contract says so.
const REFUSED_BY_CONTRACT: [(&str, &[&str]); 1] =
    [("UpdateAgent", &["agent.provision_extensions", "agent.login_password"])];

// === impl Row ===

impl Row {
    /// One vendor operation implements the method.
    pub(crate) const fn native(method: &'static str) -> Self {
        Self { method, support: v1::Support::Native, unsupported: &[], unfilled: &[], required: &[], limitation: "" }
    }

    /// The gateway composes the method from several vendor operations.
    pub(crate) const fn derived(method: &'static str, limitation: &'static str) -> Self {
        Self { support: v1::Support::Derived, limitation, ..Self::native(method) }
    }

    /// These request fields are rejected.
    #[must_use]
    pub(crate) const fn refuses(mut self, fields: &'static [&'static str]) -> Self {
        self.unsupported = fields;
        self
    }

    /// These response fields stay empty.
    #[must_use]
    pub(crate) const fn never_fills(mut self, fields: &'static [&'static str]) -> Self {
        self.unfilled = fields;
        self
    }

    /// These request fields are required here.
    #[must_use]
    pub(crate) const fn requires(mut self, fields: &'static [&'static str]) -> Self {
        self.required = fields;
        self
    }

    /// The method has this limitation, in text for people.
    #[must_use]
    pub(crate) const fn limited(mut self, limitation: &'static str) -> Self {
        self.limitation = limitation;
        self
    }
}

/// Every method of the contract, in its order. A method without a row is unsupported.
pub(crate) fn methods(rows: &[Row]) -> Vec<v1::MethodCapability> {
    let texts = |texts: &[&str]| -> Vec<String> { texts.iter().map(|&text| text.to_owned()).collect() };
    METHODS
        .iter()
        .map(|&method| match GATEWAY.iter().chain(rows).find(|row| row.method == method) {
            Some(row) => v1::MethodCapability {
                method: method.to_owned(),
                support: row.support.into(),
                unsupported_fields: texts(row.unsupported).into_iter().chain(refused_by_contract(method)).collect(),
                unfilled_fields: texts(row.unfilled),
                limitation: row.limitation.to_owned(),
                required_fields: texts(row.required),
            },
            None => v1::MethodCapability {
                method: method.to_owned(),
                support: v1::Support::Unsupported.into(),
                ..v1::MethodCapability::default()
            },
        })
        .collect()
}

fn refused_by_contract(method: &str) -> impl Iterator<Item = String> {
    let rows = REFUSED_BY_CONTRACT.iter().filter(move |(refusing, _)| *refusing == method);
    rows.flat_map(|(_, fields)| fields.iter().map(|&field| field.to_owned()))
}

/// Formats that are narrower than the contract's.
pub(crate) fn formats(formats: &[(&str, &str)]) -> Vec<v1::FieldFormat> {
    formats
        .iter()
        .map(|&(field, pattern)| v1::FieldFormat { field: field.to_owned(), pattern: pattern.to_owned() })
        .collect()
}
