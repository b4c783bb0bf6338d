//! Extensions.

use std::sync::Arc;

use crate::{
    adapter::Adapter,
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::{CenterName, ExtensionName, ResourceName as _},
    page::Page,
    proto::v1::{
        CreateExtensionRequest, DeleteExtensionRequest, Extension, ExtensionProtocol, GetExtensionRequest,
        ListExtensionsRequest, ListExtensionsResponse, View,
    },
};

pub(super) async fn list_extensions(
    centers: &Centers,
    cx: &Context,
    mut request: ListExtensionsRequest,
) -> Result<ListExtensionsResponse> {
    let ListExtensionsRequest { parent, page_size, page_token: _, view } = &request; // Page::take reads the token
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.page_size(*page_size);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_extensions(cx, parent, page, request).await
}

pub(super) async fn get_extension(centers: &Centers, cx: &Context, request: GetExtensionRequest) -> Result<Extension> {
    let GetExtensionRequest { name, view } = &request;
    let mut check = Check::new();
    let name: ExtensionName = check.name("name", name);
    check.known::<View>("view", *view);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.adapter.get_extension(cx, name, request).await
}

pub(super) async fn create_extension(
    centers: &Centers,
    cx: &Context,
    mut request: CreateExtensionRequest,
) -> Result<Extension> {
    let CreateExtensionRequest { parent, extension_id, extension, request_id } = &request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.id::<ExtensionName>("extension_id", extension_id);
    match extension {
        Some(extension) => extension_fields(&mut check, extension),
        None => check.invalid("extension", "required"),
    }
    check.request_id(request_id);
    check.hand_over(cx)?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    let call = async move |adapter: Arc<dyn Adapter>, cx: Context, request: CreateExtensionRequest| {
        let CreateExtensionRequest { parent: _, extension_id, extension, request_id: _ } = request;
        let name = ExtensionName::new(parent.center(), extension_id);
        adapter.create_extension(&cx, name, extension.unwrap_or_default()).await
    };
    center.write_idempotent(cx, &request_id, request, call).await
}

pub(super) async fn delete_extension(centers: &Centers, cx: &Context, request: DeleteExtensionRequest) -> Result<()> {
    let DeleteExtensionRequest { name } = request;
    let mut check = Check::new();
    let name: ExtensionName = check.name("name", &name);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.delete_extension(&cx, name).await).await
}

/// Validates the fields of a new extension. The contract ignores output-only fields.
fn extension_fields(check: &mut Check, extension: &Extension) {
    let Extension {
        name: _, // extension_id names it
        protocol,
        account: _,
        agent: _,
        state: _,
        description: _,
        initial_password: _,
        vendor_data: _, // the vendor validates its keys
    } = extension;
    check.chosen::<ExtensionProtocol>("extension.protocol", *protocol);
}
