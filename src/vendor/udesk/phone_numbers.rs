//! Relay numbers: Udesk 01 to 03.

use std::collections::HashSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{
    Api, Udesk, about,
    ccapi::Ccapi,
    incomplete_reason,
    operations::{READ, WRITE},
    or_empty,
};
use crate::{
    adapter::PhoneNumbers,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    lists::{Listed, WholeList},
    name::{CenterName, PhoneNumberName, ResourceName as _},
    page::Page,
    proto::v1,
    vendor::de::{Anything, Integer, List, Object, Text},
};

/// `GET /spnumbers` (Udesk 01).
#[derive(Serialize)]
struct ListNumbers {}

endpoint!(Ccapi: ListNumbers, GET "/spnumbers", read, READ => Object<Numbers>);

/// Response of Udesk 01. The default may be missing in the list (C28).
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Numbers {
    // Not documented; other lists have them (C35).
    curr_page: Integer,
    total: Integer,
    total_page: Integer,
    sp_numbers: List<Text>,
    def_sp_number: Text,
}

/// `PUT /spnumbers/default` (Udesk 02).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SetDefault<'a> {
    def_sp_number: &'a str,
}

endpoint!(Ccapi: SetDefault<'_>, PUT "/spnumbers/default", write, WRITE => Anything);

/// `DELETE /spnumbers/default` (Udesk 03), without a body.
#[derive(Serialize)]
struct ClearDefault {}

endpoint!(Ccapi: ClearDefault, DELETE "/spnumbers/default", write_bare, WRITE => Anything);

/// Sends a read without side effects.
pub(super) async fn probe(ccapi: &Api, cx: &Context) -> Result<()> {
    or_empty(ccapi.call(cx, &ListNumbers {}).await).map(drop)
}

/// The center's numbers, which are remembered.
async fn read(udesk: &Udesk, cx: &Context) -> Result<Numbers> {
    let Object(numbers) = or_empty(udesk.ccapi.call(cx, &ListNumbers {}).await)?;
    udesk.known_numbers.remember(&numbers.all(), numbers.incomplete_reason().is_empty());
    Ok(numbers)
}

/// Whether the center may have a number. Where the last list is older than a minute and does not have it, a new one is
/// read. A number that was added since a younger list is rejected until then.
pub(super) async fn may_exist(udesk: &Udesk, cx: &Context, number: &str) -> Result<bool> {
    if !udesk.known_numbers.contains(number) && udesk.known_numbers.is_stale() {
        let _lock = udesk.known_numbers_lock.lock((), cx.deadline()).await?;
        // Another call may have read it in the meantime.
        if udesk.known_numbers.is_stale() {
            read(udesk, cx).await?;
        }
    }
    Ok(udesk.known_numbers.may_contain(number))
}

/// The number is in the resource's name, never in the message.
fn unknown(name: &PhoneNumberName, incomplete_reason: String) -> Error {
    let error = Error::new(ErrorReason::ResourceNotFound, "the center has no such phone number");
    let error = error.about("PhoneNumber", name);
    if incomplete_reason.is_empty() { error } else { error.with("cause", incomplete_reason) }
}

// === impl Numbers ===

impl Numbers {
    /// Why numbers are missing; empty when none is.
    fn incomplete_reason(&self) -> String {
        let nameless = self.sp_numbers.0.iter().filter(|number| !PhoneNumberName::identifies(number)).count();
        let pages = [self.curr_page, self.total_page, self.total];
        incomplete_reason(pages, self.sp_numbers.0.len() - nameless, nameless, "numbers")
    }

    /// Every number that a name identifies once, the default one included.
    fn all(&self) -> Vec<String> {
        let mut seen = HashSet::with_capacity(self.sp_numbers.0.len() + 1);
        let numbers = self.sp_numbers.0.iter().chain([&self.def_sp_number]).map(|number| &number.0);
        numbers.filter(|number| PhoneNumberName::identifies(number) && seen.insert(*number)).cloned().collect()
    }

    fn resource(&self, center: &CenterName, number: String) -> v1::PhoneNumber {
        v1::PhoneNumber {
            name: PhoneNumberName::new(center.center(), number.as_str()).to_string(),
            is_default: number == *self.def_sp_number,
            number,
            vendor_data: None,
        }
    }
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

    async fn set_default_phone_number(&self, cx: &Context, name: PhoneNumberName) -> Result<()> {
        set_default(self, cx, name).await
    }

    async fn clear_default_phone_number(&self, cx: &Context, _center: CenterName) -> Result<()> {
        clear_default(&self.ccapi, cx).await
    }
}

/// Lists phone numbers.
async fn list(
    udesk: &Udesk,
    cx: &Context,
    center: CenterName,
    page: Page,
    request: v1::ListPhoneNumbersRequest,
) -> Result<v1::ListPhoneNumbersResponse> {
    let v1::ListPhoneNumbersRequest { parent: _, page_size: _, page_token: _, view: _ } = request;
    let read = async {
        let numbers = read(udesk, cx).await?;
        let number = |number: String| Listed::new(number.clone(), numbers.resource(&center, number));
        Ok(WholeList::counted(numbers.all().into_iter().map(number).collect(), numbers.incomplete_reason()))
    };
    let page = udesk.lists.page(cx, &page, read).await?;
    Ok(v1::ListPhoneNumbersResponse {
        phone_numbers: page.resources(),
        total_size: page.total_size(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

/// Gets a phone number.
async fn get(
    udesk: &Udesk,
    cx: &Context,
    name: PhoneNumberName,
    request: v1::GetPhoneNumberRequest,
) -> Result<v1::PhoneNumber> {
    let v1::GetPhoneNumberRequest { name: _, view: _ } = request;
    let numbers = read(udesk, cx).await?;
    match numbers.all().into_iter().find(|number| number == name.id()) {
        Some(number) => Ok(numbers.resource(&CenterName::new(name.center()), number)),
        None => Err(unknown(&name, numbers.incomplete_reason())),
    }
}

/// Makes a number the default caller ID.
async fn set_default(udesk: &Udesk, cx: &Context, name: PhoneNumberName) -> Result<()> {
    // The default must be in the list (C28). The document does not say that this operation rejects another with 100005.
    let numbers = read(udesk, cx).await?;
    let is_whole = numbers.incomplete_reason().is_empty();
    if is_whole && !numbers.all().iter().any(|number| number == name.id()) {
        return Err(unknown(&name, String::new()));
    }
    let set = udesk.ccapi.call(cx, &SetDefault { def_sp_number: name.id() }).await;
    set.map(|Anything| ()).map_err(|error| about(error, "PhoneNumber", &name))
}

/// Removes the center's default caller ID.
async fn clear_default(ccapi: &Api, cx: &Context) -> Result<()> {
    let cleared = ccapi.call(cx, &ClearDefault {}).await;
    cleared.map(|Anything| ())
}
