//! Relay numbers: Udesk 01.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Udesk, or_empty,
    sign::{Ccapi, READ},
};
use crate::{
    adapter::PhoneNumbers,
    context::Context,
    endpoint,
    error::Result,
    http::Client,
    name::{CenterName, PhoneNumberName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::lenient::{List, Object, Text},
};

/// `GET /spnumbers` (Udesk 01).
#[derive(Serialize)]
struct ListNumbers {}

/// Answer of Udesk 01. The default need not be one of the list (C28).
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Numbers {
    sp_numbers: List<Text>,
    def_sp_number: Text,
}

endpoint!(Ccapi: ListNumbers, GET "/spnumbers", read, READ => Object<Numbers>);

/// Asks one harmless question.
pub async fn probe(ccapi: &Arc<Client<Ccapi>>, cx: &Context) -> Result<()> {
    ccapi.call(cx, &ListNumbers {}).await.map(|_| ())
}

#[async_trait]
impl PhoneNumbers for Udesk {
    async fn list_phone_numbers(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
        request: v1::ListPhoneNumbersRequest,
    ) -> Result<v1::ListPhoneNumbersResponse> {
        let v1::ListPhoneNumbersRequest { parent: _, page_size: _, page_token: _, view: _ } = request;
        let Object(Numbers { sp_numbers, def_sp_number }) = or_empty(self.ccapi.call(cx, &ListNumbers {}).await)?;
        let mut numbers: Vec<String> =
            sp_numbers.into_iter().map(Text::into_string).filter(|number| !number.is_empty()).collect();
        if !def_sp_number.is_empty() && !numbers.contains(&def_sp_number.0) {
            numbers.push(def_sp_number.to_string());
        }
        let total_size = i32::try_from(numbers.len()).unwrap_or(i32::MAX);
        let (numbers, next_page_token) = page.cut(numbers, |number| number);
        let phone_numbers = numbers
            .into_iter()
            .map(|number| v1::PhoneNumber {
                name: PhoneNumberName::new(center.center(), number.as_str()).to_string(),
                is_default: number == *def_sp_number,
                number,
                vendor_data: None,
            })
            .collect();
        Ok(v1::ListPhoneNumbersResponse {
            phone_numbers,
            next_page_token,
            total_size,
            incomplete_reason: String::new(),
        })
    }
}
