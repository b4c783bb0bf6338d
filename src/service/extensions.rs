//! Extensions.

use crate::{
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

pub async fn list_extensions(
    centers: &Centers,
    cx: &Context,
    mut request: ListExtensionsRequest,
) -> Result<ListExtensionsResponse> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    check.page_size(request.page_size);
    check.known::<View>("view", request.view);
    check.done()?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_extensions(cx, parent, page, request).await
}

pub async fn get_extension(centers: &Centers, cx: &Context, request: GetExtensionRequest) -> Result<Extension> {
    let mut check = Check::new();
    let name: ExtensionName = check.name("name", &request.name);
    check.known::<View>("view", request.view);
    check.done()?;
    centers.get(cx, &name)?.adapter.get_extension(cx, name, request).await
}

pub async fn create_extension(centers: &Centers, cx: &Context, request: CreateExtensionRequest) -> Result<Extension> {
    let CreateExtensionRequest { parent, extension_id, extension, request_id } = request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &parent);
    check.id::<ExtensionName>("extension_id", &extension_id);
    let extension = check.message("extension", extension);
    check.chosen::<ExtensionProtocol>("extension.protocol", extension.protocol);
    check.request_id(&request_id);
    check.done()?;
    let name = ExtensionName::new(parent.center(), extension_id);
    centers.get(cx, &parent)?.adapter.create_extension(cx, name, extension).await
}

pub async fn delete_extension(centers: &Centers, cx: &Context, request: DeleteExtensionRequest) -> Result<()> {
    let mut check = Check::new();
    let name: ExtensionName = check.name("name", &request.name);
    check.done()?;
    centers.get(cx, &name)?.adapter.delete_extension(cx, name).await
}
