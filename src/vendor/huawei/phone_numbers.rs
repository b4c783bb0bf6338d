//! Hot-line numbers: accessCodeInfo/queryAccessCodeList (B3.17).

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

use super::{Huawei, api_fabric::ApiFabric, operations::QUERY_ACCESS_CODES, slices::LARGEST};
use crate::{
    adapter::PhoneNumbers,
    context::Context,
    endpoint,
    error::{Error, Result},
    name::{CenterName, PhoneNumberName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
    vendor::de::{Integer, List, Text, without_values},
    vendor_data::VendorData,
};

/// The largest offset: codes after the first 200 cannot be read.
const LARGEST_OFFSET: usize = 100;

/// `POST accessCodeInfo/queryAccessCodeList` for all codes.
#[derive(Serialize)]
struct ListCodes {
    limit: usize,
    offset: usize,
}

/// `POST accessCodeInfo/queryAccessCodeList` for codes that contain a text.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FindCodes<'a> {
    access_code: &'a str,
    limit: usize,
    offset: usize,
}

endpoint!(ApiFabric: ListCodes, POST "accessCodeInfo/queryAccessCodeList", ask, QUERY_ACCESS_CODES => AccessCodes);
endpoint!(ApiFabric: FindCodes<'_>, POST "accessCodeInfo/queryAccessCodeList", ask, QUERY_ACCESS_CODES.of_caller() => AccessCodes);

/// Response of queryAccessCodeList.
#[derive(Default, Deserialize)]
#[serde(default)]
struct AccessCodes {
    data: Codes,
}

/// The codes: in a member with another name, beside a total; in the older version a bare list.
#[derive(Default)]
struct Codes {
    list: Vec<Code>,
    total: Option<usize>,
}

/// One access code.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Code {
    id: Value,
    access_code: Text,
    // With a lower-case t in this response.
    #[serde(rename = "mediatypeId")]
    media_type_id: Value,
    #[serde(rename = "n400Number")]
    n400_number: Value,
    description: Value,
    num_call_attr: Value,
}

/// The codes that can be read, and why they may not be all.
struct Reached {
    codes: Vec<Code>,
    total: i32,
    incomplete_reason: String,
}

// === impl Codes ===

impl<'de> Deserialize<'de> for Codes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        struct Counted {
            total: Integer,
            called_route_list: List<Code>,
        }
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let codes = if json.starts_with('{') {
            serde_json::from_str(json).map(|it: Counted| Self {
                list: it.called_route_list.0,
                total: it.total.0.and_then(|total| usize::try_from(total).ok()),
            })
        } else {
            serde_json::from_str(json).map(|list: List<Code>| Self { list: list.0, total: None })
        };
        // The error's text quotes the input.
        codes.map_err(|error| without_values(&error, "not a list of access codes"))
    }
}

// === impl Code ===

impl Code {
    fn into_phone_number(self, center: &str, view: v1::View) -> v1::PhoneNumber {
        let vendor_data = match view {
            v1::View::Full => VendorData::new()
                .json("id", &self.id)
                .json("mediatypeId", &self.media_type_id)
                .json("n400Number", &self.n400_number)
                .json("description", &self.description)
                .json("numCallAttr", &self.num_call_attr)
                .build(),
            v1::View::Basic | v1::View::Unspecified => None,
        };
        v1::PhoneNumber {
            name: PhoneNumberName::new(center, self.access_code.0.as_str()).to_string(),
            number: self.access_code.into_string(),
            is_default: false,
            vendor_data,
        }
    }
}

#[async_trait]
impl PhoneNumbers for Huawei {
    async fn list_phone_numbers(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
        request: v1::ListPhoneNumbersRequest,
    ) -> Result<v1::ListPhoneNumbersResponse> {
        list(self, cx, center, page, request).await
    }

    async fn get_phone_number(
        &self,
        cx: &Context,
        name: PhoneNumberName,
        request: v1::GetPhoneNumberRequest,
    ) -> Result<v1::PhoneNumber> {
        get(self, cx, name, request).await
    }
}

/// Lists phone numbers.
async fn list(
    huawei: &Huawei,
    cx: &Context,
    center: CenterName,
    page: Page,
    request: v1::ListPhoneNumbersRequest,
) -> Result<v1::ListPhoneNumbersResponse> {
    let v1::ListPhoneNumbersRequest { parent: _, page_size: _, page_token: _, view } = request;
    let view = enum_value(view);
    let ask = async |offset| Ok(huawei.api_fabric.call(cx, &ListCodes { limit: LARGEST, offset }).await?.data);
    let Reached { codes, total, incomplete_reason } = Reached::read(ask).await?;
    let (codes, next_page_token) = page.cut(codes, |code| &code.access_code);
    Ok(v1::ListPhoneNumbersResponse {
        phone_numbers: codes.into_iter().map(|code| code.into_phone_number(center.center(), view)).collect(),
        next_page_token,
        total_size: total,
        incomplete_reason,
    })
}

/// Gets a phone number.
async fn get(
    huawei: &Huawei,
    cx: &Context,
    name: PhoneNumberName,
    request: v1::GetPhoneNumberRequest,
) -> Result<v1::PhoneNumber> {
    let v1::GetPhoneNumberRequest { name: _, view } = request;
    let view = enum_value(view);
    // The vendor returns every code that contains the number.
    let access_code = name.id();
    let ask =
        async |offset| Ok(huawei.api_fabric.call(cx, &FindCodes { access_code, limit: LARGEST, offset }).await?.data);
    let found = Reached::read(ask).await?.codes.into_iter().find(|code| *code.access_code == *access_code);
    let code = found.ok_or_else(|| Error::not_found(PhoneNumberName::KIND, &name))?;
    Ok(code.into_phone_number(name.center(), view))
}

// === impl Reached ===

impl Reached {
    /// Reads both pages. `ask` reads the page at an offset.
    async fn read<F: Future<Output = Result<Codes>>>(ask: impl Fn(usize) -> F) -> Result<Self> {
        let Codes { mut list, mut total } = ask(0).await?;
        if list.len() >= LARGEST && total.is_none_or(|total| total > LARGEST) {
            let second = ask(LARGEST_OFFSET).await?;
            list.extend(second.list);
            total = second.total;
        }
        let reached = list.len();
        let more = total.map_or(reached >= LARGEST + LARGEST_OFFSET, |total| total > reached);
        // A code may occur once per media type; its resource name must be unique.
        let mut seen = HashSet::new();
        list.retain(|code| seen.insert(code.access_code.0.clone()));
        let doubles = reached - list.len();
        let total = total.unwrap_or(reached).saturating_sub(doubles);
        Ok(Self {
            codes: list,
            total: i32::try_from(total).unwrap_or(i32::MAX),
            incomplete_reason: if more {
                format!("Huawei returns only the first {reached} access codes")
            } else {
                String::new()
            },
        })
    }
}
