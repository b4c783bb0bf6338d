//! Hot-line numbers: accessCodeInfo/queryAccessCodeList (B3.17).

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, value::RawValue};

use super::{
    Huawei,
    api_fabric::ApiFabric,
    operations::QUERY_ACCESS_CODES,
    paging::{OFFSETS, not_found, reason_with},
};
use crate::{
    adapter::PhoneNumbers,
    context::Context,
    endpoint,
    error::Result,
    lists::{Listed, WholeList},
    name::{CenterName, PhoneNumberName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
    vendor::{
        de::{Integer, List, Text, without_values},
        nameless,
        slices::{Batch, Item, Paging, Slice},
    },
    vendor_data::VendorData,
};

/// At most 100 codes from at most the 100th on: those after the first 200 cannot be read.
const CODES: Paging = Paging { largest_offset: 100, ..OFFSETS };

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
    list: List<Code>,
    total: Integer,
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
            serde_json::from_str(json).map(|it: Counted| Self { list: it.called_route_list, total: it.total })
        } else {
            serde_json::from_str(json).map(|list| Self { list, total: Integer(None) })
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

impl Item for Code {
    fn key(&self) -> String {
        if self.access_code.0.is_empty() {
            return String::new();
        }
        format!("{} {}", self.access_code.0, self.media_type_id)
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
    let every = Box::pin(every(huawei, cx, center.center(), view));
    let page = huawei.lists.page(cx, &page, every).await?;
    Ok(v1::ListPhoneNumbersResponse {
        phone_numbers: page.resources(),
        total_size: page.total_size(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

async fn every(
    huawei: &Huawei,
    cx: &Context,
    center: &str,
    view: v1::View,
) -> Result<WholeList<Listed<v1::PhoneNumber>>> {
    let slice = Slice::all(CODES, async |offset, limit| {
        let Codes { list, total } = huawei.api_fabric.call(cx, &ListCodes { limit, offset }).await?.data;
        Ok(Batch { items: list, total })
    });
    let Slice { items: mut codes, total, next: _, incomplete } = slice.await?;
    let nameless = nameless::remove::<PhoneNumberName, _>(&mut codes, |code| &code.access_code);
    // A code may occur once per media type; its resource name must be unique.
    let read = codes.len();
    let mut seen = HashSet::new();
    codes.retain(|code| seen.insert(code.access_code.0.clone()));
    let total = total.unwrap_or(read + nameless).saturating_sub(read - codes.len());
    let number = |code: Code| Listed::new(code.access_code.0.clone(), code.into_phone_number(center, view));
    let numbers = codes.into_iter().map(number).collect();
    let incomplete_reason = reason_with(nameless, "access codes", incomplete);
    Ok(WholeList::new(numbers, i32::try_from(total).unwrap_or(i32::MAX), incomplete_reason))
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
    let is_it = |code: &Code| *code.access_code == *access_code;
    let found = Slice::find(CODES, is_it, async |offset, limit| {
        let Codes { list, total } = huawei.api_fabric.call(cx, &FindCodes { access_code, limit, offset }).await?.data;
        Ok(Batch { items: list, total })
    });
    match found.await? {
        (Some(code), _) => Ok(code.into_phone_number(name.center(), view)),
        (None, incomplete) => Err(not_found(&name, "access codes", incomplete)),
    }
}
