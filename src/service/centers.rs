//! Centers and what they can do. Nothing here asks a vendor.

use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::{CapabilitiesName, CenterName},
    page::Page,
    proto::v1::{
        Capabilities, Center, GetCapabilitiesRequest, GetCenterRequest, ListCentersRequest, ListCentersResponse,
    },
};

pub(super) async fn list_centers(
    centers: &Centers,
    cx: &Context,
    mut request: ListCentersRequest,
) -> Result<ListCentersResponse> {
    let ListCentersRequest { page_size, page_token: _ } = &request; // Page::take reads the token
    let mut check = Check::new();
    check.page_size(*page_size);
    check.done()?;
    let page = Page::take(cx.method(), &mut request)?;
    let resources: Vec<Center> = centers.iter().map(crate::center::Center::resource).collect();
    let (centers, next_page_token) = page.cut_by_name(resources, |center| &center.name);
    Ok(ListCentersResponse { centers, next_page_token })
}

pub(super) async fn get_center(centers: &Centers, cx: &Context, request: GetCenterRequest) -> Result<Center> {
    let GetCenterRequest { name } = request;
    let mut check = Check::new();
    let name: CenterName = check.name("name", &name);
    check.done()?;
    Ok(centers.get(cx, &name)?.resource())
}

pub(super) async fn get_capabilities(
    centers: &Centers,
    cx: &Context,
    request: GetCapabilitiesRequest,
) -> Result<Capabilities> {
    let GetCapabilitiesRequest { name } = request;
    let mut check = Check::new();
    let name: CapabilitiesName = check.name("name", &name);
    check.done()?;
    let mut capabilities = centers.get(cx, &name)?.adapter.capabilities();
    capabilities.name = name.to_string();
    Ok(capabilities)
}
