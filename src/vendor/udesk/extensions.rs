//! Extensions: Udesk 07 to 10. Udesk has no list of extensions; only those bound to an agent are visible (Udesk 06).

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    Api, Udesk, VendorId, about, about_new, agent_records, agent_records::AgentPage, ccapi::Ccapi,
    formats::Formats as _, is_missing, is_vague, operations::WRITE,
};
use crate::{
    adapter::Extensions,
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    lists::{Kept, Weigh, WholeList},
    name::{AgentName, CenterName, ExtensionName, ResourceName as _},
    page::Page,
    proto::{enum_value, v1},
    vendor::{
        de::{Anything, Object, Text},
        nameless,
    },
    vendor_data::VendorData,
};

/// `POST /agents/extensions` (Udesk 07). The rest of its table describes an agent (C36).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct BindExtensions<'a> {
    agent_id: &'a str,
    extensions: Vec<&'a str>,
}

endpoint!(Ccapi: BindExtensions<'_>, POST "/agents/extensions", write, WRITE => Anything);

/// `DELETE /agents/extensions` (Udesk 08), with a body (C7).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UnbindExtensions<'a> {
    agent_id: &'a str,
    extensions: Vec<&'a str>,
}

endpoint!(Ccapi: UnbindExtensions<'_>, DELETE "/agents/extensions", write, WRITE => Anything);

/// `DELETE /extensions` (Udesk 09), with a body (C7).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteExtension<'a> {
    extension: &'a str,
}

endpoint!(Ccapi: DeleteExtension<'_>, DELETE "/extensions", write, WRITE => Anything);

/// `POST /extensions` (Udesk 10). Udesk generates the password (C23).
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct CreateExtension<'a> {
    extension: &'a str,
    signal_type: u8,
}

endpoint!(Ccapi: CreateExtension<'_>, POST "/extensions", write, WRITE => Object<Fields>);

/// An extension and its details: the response of Udesk 10, and `ExtenInfos` of 04, 06, 25 and 26, where it may be a
/// bare number (C30). It contains a password.
#[derive(Clone, Default)]
pub(super) struct Line(Fields);

#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Fields {
    extension: VendorId,
    number: Text,
    password: Text,
    signal_type: Text,
}

/// Binds extensions to an agent.
pub(super) async fn bind(ccapi: &Api, cx: &Context, agent: &AgentName, extensions: &[ExtensionName]) -> Result<()> {
    let bind = BindExtensions { agent_id: agent.id(), extensions: checked(cx, agent, extensions)? };
    match ccapi.call(cx, &bind).await {
        Ok(Anything) => Ok(()),
        Err(error) => Err(missing(ccapi, cx, agent, extensions, error).await),
    }
}

/// Unbinds extensions from an agent.
pub(super) async fn unbind(ccapi: &Api, cx: &Context, agent: &AgentName, extensions: &[ExtensionName]) -> Result<()> {
    let unbind = UnbindExtensions { agent_id: agent.id(), extensions: checked(cx, agent, extensions)? };
    match ccapi.call(cx, &unbind).await {
        Ok(Anything) => Ok(()),
        Err(error) => Err(missing(ccapi, cx, agent, extensions, error).await),
    }
}

fn checked<'a>(cx: &Context, agent: &AgentName, extensions: &'a [ExtensionName]) -> Result<Vec<&'a str>> {
    let mut check = Check::of(cx);
    check.digits("agent", agent.id());
    for (index, extension) in extensions.iter().enumerate() {
        check.digits(format!("extensions[{index}]"), extension.id());
    }
    check.done()?;
    Ok(extensions.iter().map(ExtensionName::id).collect())
}

/// Udesk's "no records" does not name the resource. If the agent exists, an extension is not bound to it; the error
/// names it if only one is missing.
async fn missing(ccapi: &Api, cx: &Context, agent: &AgentName, extensions: &[ExtensionName], error: Error) -> Error {
    if !is_missing(&error) {
        return about(error, "Agent", agent);
    }
    match agent_records::get(ccapi, cx, agent).await {
        Ok(record) => {
            let mut missing =
                extensions.iter().filter(|extension| record.extension_ids().all(|id| id != extension.id()));
            match (missing.next(), missing.next()) {
                (Some(extension), None) => error.about("Extension", extension),
                _ => error,
            }
        }
        Err(read) if is_missing(&read) => error.about("Agent", agent),
        Err(_) => error,
    }
}

/// An extension of an agent, without its password.
#[derive(Clone)]
struct BoundLine {
    /// ID of the agent.
    agent: String,
    line: Line,
}

/// Every extension bound to an agent, each once.
async fn bound(ccapi: &Api, cx: &Context) -> Result<WholeList<BoundLine>> {
    let read = |page: AgentPage| {
        let mut lines = Vec::new();
        for agent in page.agents() {
            let agent = agent?;
            let holder = agent.id().to_owned();
            let bound = |line: Line| BoundLine { agent: holder.clone(), line: line.without_password() };
            lines.extend(agent.into_lines().into_iter().map(bound));
        }
        let nameless = nameless::remove::<ExtensionName, _>(&mut lines, BoundLine::id);
        lines.sort_by(|left, right| left.id().cmp(right.id()));
        lines.dedup_by(|later, first| later.id() == first.id());
        let reasons = [page.incomplete_reason(0), nameless::reason("Udesk", nameless, "extensions")];
        Ok(WholeList::counted(lines, nameless::joined(reasons)))
    };
    agent_records::all(ccapi, cx, read).await
}

#[async_trait]
impl Extensions for Udesk {
    async fn list_extensions(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
        request: v1::ListExtensionsRequest,
    ) -> Result<v1::ListExtensionsResponse> {
        list(self, cx, center, page, request).await
    }

    async fn get_extension(
        &self,
        cx: &Context,
        name: ExtensionName,
        request: v1::GetExtensionRequest,
    ) -> Result<v1::Extension> {
        get(self, cx, name, request).await
    }

    async fn create_extension(
        &self,
        cx: &Context,
        name: ExtensionName,
        extension: v1::Extension,
    ) -> Result<v1::Extension> {
        create(&self.ccapi, cx, name, extension).await
    }

    async fn delete_extension(&self, cx: &Context, name: ExtensionName) -> Result<()> {
        delete(&self.ccapi, cx, name).await
    }
}

/// Lists extensions.
async fn list(
    udesk: &Udesk,
    cx: &Context,
    center: CenterName,
    page: Page,
    request: v1::ListExtensionsRequest,
) -> Result<v1::ListExtensionsResponse> {
    let v1::ListExtensionsRequest { parent: _, page_size: _, page_token: _, view } = request;
    let view = enum_value(view);
    let page = udesk.lists.page(cx, &page, bound(&udesk.ccapi, cx)).await?;
    Ok(v1::ListExtensionsResponse {
        extensions: page.items().iter().map(|line| line.extension(&center, view)).collect(),
        total_size: page.total_size(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

/// Gets an extension. One list serves the calls of a second.
async fn get(
    udesk: &Udesk,
    cx: &Context,
    name: ExtensionName,
    request: v1::GetExtensionRequest,
) -> Result<v1::Extension> {
    let v1::GetExtensionRequest { name: _, view } = request;
    let view = enum_value(view);
    let mut check = Check::of(cx);
    check.digits("name", name.id());
    check.done()?;
    let center = CenterName::new(name.center());
    let lines = bound(&udesk.ccapi, cx);
    let lines = udesk.lists.recent(cx, "extensions", [0; 2], || udesk.ccapi.changes(), lines).await?;
    match lines.find(name.id()) {
        Some(line) => Ok(line.extension(&center, view)),
        None if lines.incomplete_reason().is_empty() => Err(Error::not_found("Extension", name)),
        None => Err(Error::not_found("Extension", name).with("cause", lines.incomplete_reason().to_owned())),
    }
}

/// Creates an extension.
async fn create(ccapi: &Api, cx: &Context, name: ExtensionName, extension: v1::Extension) -> Result<v1::Extension> {
    let v1::Extension {
        name: _,
        protocol,
        // All other fields but vendor_data are output only.
        account: _,
        agent: _,
        state: _,
        description: _,
        initial_password: _,
        vendor_data,
    } = extension;
    let mut check = Check::of(cx);
    check.chosen_extension("extension_id", name.id());
    let no_fields = "Udesk has no further fields for extensions";
    check.unsupported_if(vendor_data.is_some(), "extension.vendor_data", no_fields);
    check.done()?;
    let signal_type = u8::from(enum_value::<v1::ExtensionProtocol>(protocol) == v1::ExtensionProtocol::Webrtc);
    let create = CreateExtension { extension: name.id(), signal_type };
    let Object(mut made) = ccapi.call(cx, &create).await.map_err(|error| about_new(error, "Extension", &name))?;
    // The requested values fill what the response omits.
    if made.extension.0.is_empty() {
        made.extension = VendorId(name.id().to_owned());
    }
    if made.signal_type.is_empty() {
        made.signal_type = Text(signal_type.to_string());
    }
    Ok(Line(made).into_new(&CenterName::new(name.center())))
}

/// Deletes an extension.
async fn delete(ccapi: &Api, cx: &Context, name: ExtensionName) -> Result<()> {
    let mut check = Check::of(cx);
    check.digits("name", name.id());
    check.done()?;
    let Err(error) = ccapi.call(cx, &DeleteExtension { extension: name.id() }).await else { return Ok(()) };
    let error = about(error, "Extension", &name);
    if !is_vague(&error) {
        return Err(error);
    }
    // "An extension bound to an agent cannot be deleted"; the document does not name the code (C62).
    match bound(ccapi, cx).await {
        Ok(lines) if lines.find(name.id()).is_some() => Err(error
            .explained(ErrorReason::ResourceInUse, "an extension bound to an agent cannot be deleted")
            .about("Extension", name)),
        _ => Err(error),
    }
}

// === impl BoundLine ===

impl BoundLine {
    fn extension(&self, center: &CenterName, view: v1::View) -> v1::Extension {
        let agent = AgentName::new(center.center(), self.agent.as_str());
        self.line.clone().into_extension(center, &agent, view)
    }
}

impl Weigh for BoundLine {
    fn weight(&self) -> usize {
        let Line(Fields { extension, number, password, signal_type }) = &self.line;
        let texts = [&self.agent, &extension.0, &number.0, &password.0, &signal_type.0];
        size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

impl Kept for BoundLine {
    fn id(&self) -> &str {
        self.line.id()
    }
}

// === impl Line ===

impl Line {
    /// The extension without its password.
    fn without_password(self) -> Self {
        Self(Fields { password: Text::default(), ..self.0 })
    }

    /// An extension without a known type.
    pub(super) fn new(extension: VendorId, number: Text, password: Text) -> Self {
        Self(Fields { extension, number, password, signal_type: Text::default() })
    }

    /// An extension without known details.
    pub(super) fn bare(id: String) -> Self {
        Self::new(VendorId(id), Text::default(), Text::default())
    }

    /// Its number, which is its ID.
    pub(super) fn id(&self) -> &str {
        &self.0.extension.0
    }

    /// Whether it contains nothing.
    pub(super) fn is_empty(&self) -> bool {
        let Fields { extension: VendorId(id), number, password, signal_type } = &self.0;
        id.is_empty() && [number, password, signal_type].into_iter().all(|text| text.is_empty())
    }

    /// Its password; empty when unknown.
    pub(super) fn password(&self) -> &str {
        &self.0.password
    }

    /// The account its softphone registers with: company prefix and number, 14 digits (C24). Empty when unknown.
    pub(super) fn account(&self) -> &str {
        let number = &*self.0.number;
        let is_account =
            number.len() == 14 && number.starts_with('9') && number.bytes().all(|byte| byte.is_ascii_digit());
        if is_account { number } else { "" }
    }

    /// Its protocol. Udesk 25 shows `voip` for both, which is unspecified (C25).
    pub(super) fn protocol(&self) -> v1::ExtensionProtocol {
        protocol(&self.0.signal_type)
    }

    /// Fills in missing details from another record of the same extension.
    pub(super) fn complete(&mut self, other: Self) {
        for (field, value) in [(&mut self.0.number, other.0.number), (&mut self.0.password, other.0.password)] {
            if field.is_empty() {
                *field = value;
            }
        }
    }

    /// The extension as the contract shows it: without its password.
    fn into_extension(self, center: &CenterName, agent: &AgentName, view: v1::View) -> v1::Extension {
        let vendor_data = match view {
            v1::View::Full => {
                let number = if self.account().is_empty() { &*self.0.number } else { "" };
                VendorData::new().text("SignalType", &*self.0.signal_type).text("Number", number).build()
            }
            v1::View::Basic | v1::View::Unspecified => None,
        };
        v1::Extension {
            name: ExtensionName::new(center.center(), self.id()).to_string(),
            protocol: self.protocol().into(),
            account: self.account().to_owned(),
            agent: AgentName::text(agent.center(), agent.id()).unwrap_or_default(),
            vendor_data,
            ..v1::Extension::default()
        }
    }

    /// A new extension of an agent, with its password.
    pub(super) fn into_provisioned(self, center: &CenterName, agent: &AgentName) -> v1::Extension {
        let initial_password = self.password().to_owned();
        v1::Extension { initial_password, ..self.into_extension(center, agent, v1::View::Full) }
    }

    /// A new extension without an agent, with its password.
    fn into_new(self, center: &CenterName) -> v1::Extension {
        self.into_provisioned(center, &AgentName::default())
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Object(Fields),
            Number(VendorId),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Object(fields) => Self(fields),
            Form::Number(VendorId(id)) => Self::bare(id),
        })
    }
}

/// The protocol of a `SignalType`.
pub(super) fn protocol(signal_type: &str) -> v1::ExtensionProtocol {
    match signal_type {
        "0" => v1::ExtensionProtocol::Sip,
        "1" => v1::ExtensionProtocol::Webrtc,
        _ => v1::ExtensionProtocol::Unspecified,
    }
}
