//! Phone numbers.

use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::{CenterName, PhoneNumberName},
    page::Page,
    proto::v1::{
        ClearDefaultPhoneNumberRequest, ClearDefaultPhoneNumberResponse, GetPhoneNumberRequest,
        ListPhoneNumbersRequest, ListPhoneNumbersResponse, PhoneNumber, SetDefaultPhoneNumberRequest,
        SetDefaultPhoneNumberResponse, View,
    },
};

pub(super) async fn list_phone_numbers(
    centers: &Centers,
    cx: &Context,
    mut request: ListPhoneNumbersRequest,
) -> Result<ListPhoneNumbersResponse> {
    let ListPhoneNumbersRequest { parent, page_size, page_token: _, view } = &request; // Page::take reads the token
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.page_size(*page_size);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_phone_numbers(cx, parent, page, request).await
}

pub(super) async fn get_phone_number(
    centers: &Centers,
    cx: &Context,
    request: GetPhoneNumberRequest,
) -> Result<PhoneNumber> {
    let GetPhoneNumberRequest { name, view } = &request;
    let mut check = Check::new();
    let name: PhoneNumberName = check.name("name", name);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.adapter.get_phone_number(cx, name, request).await
}

pub(super) async fn set_default_phone_number(
    centers: &Centers,
    cx: &Context,
    request: SetDefaultPhoneNumberRequest,
) -> Result<SetDefaultPhoneNumberResponse> {
    let SetDefaultPhoneNumberRequest { name } = request;
    let mut check = Check::new();
    let name: PhoneNumberName = check.name("name", &name);
    check.hand_over(cx)?;
    centers
        .get(cx, &name)?
        .write(cx, async move |adapter, cx| adapter.set_default_phone_number(&cx, name).await)
        .await?;
    Ok(SetDefaultPhoneNumberResponse {})
}

pub(super) async fn clear_default_phone_number(
    centers: &Centers,
    cx: &Context,
    request: ClearDefaultPhoneNumberRequest,
) -> Result<ClearDefaultPhoneNumberResponse> {
    let ClearDefaultPhoneNumberRequest { parent } = request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &parent);
    check.hand_over(cx)?;
    centers
        .get(cx, &parent)?
        .write(cx, async move |adapter, cx| adapter.clear_default_phone_number(&cx, parent).await)
        .await?;
    Ok(ClearDefaultPhoneNumberResponse {})
}
