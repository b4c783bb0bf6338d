//! Addresses and credentials of softphones.

use super::*;
use crate::error::ErrorReason;

async fn config(server: &TestServer) -> Result<v1::SoftphoneConfig> {
    server.adapter.get_softphone_config(&cx("GetSoftphoneConfig"), center()).await
}

async fn credentials(
    server: &TestServer,
    agent: Option<&str>,
    page_size: i32,
    page_token: &str,
) -> Result<v1::AccessSoftphoneCredentialsResponse> {
    let mut request = v1::AccessSoftphoneCredentialsRequest {
        page_size,
        page_token: page_token.into(),
        agent: agent.map(|id| agent_name(id).to_string()).unwrap_or_default(),
        ..Default::default()
    };
    let page = Page::take("AccessSoftphoneCredentials", &mut request)?;
    let cx = cx("AccessSoftphoneCredentials");
    server.adapter.access_softphone_credentials(&cx, center(), agent.map(agent_name), page).await
}

fn address(host: &str, port: i32) -> v1::ServiceAddress {
    v1::ServiceAddress { host: host.into(), port }
}

fn registrar(node: &str, host: &str) -> v1::SoftphoneRegistrar {
    v1::SoftphoneRegistrar {
        node: node.into(),
        registration_address: Some(address(host, 5061)),
        sip_address: Some(address("203.0.113.10", 5060)),
    }
}

#[tokio::test]
async fn addresses_are_read_in_all_shapes() {
    for (quirks, registrars) in [
        ("", vec![registrar("single", "203.0.113.20")]),
        ("text-numbers", vec![registrar("single", "203.0.113.20")]),
        ("pool", vec![registrar("node1", "203.0.113.20"), registrar("node2", "203.0.113.21")]),
        ("v1-shape", vec![registrar("single", "203.0.113.20")]),
        (
            "pool,extra-fields,unknown-enums",
            vec![registrar("node1", "203.0.113.20"), registrar("node2", "203.0.113.21")],
        ),
    ] {
        let server = TestServer::start(quirks).await;
        let expected = v1::SoftphoneConfig {
            name: "centers/beta/softphoneConfig".into(),
            agent_login_address: Some(address("agents.example.com", 8043)),
            registrars,
        };
        assert_eq!(config(&server).await.unwrap(), expected, "{quirks}");
    }
}

#[tokio::test]
async fn a_tenant_without_softphones_has_addresses() {
    let server = TestServer::with(Setup { tenant: Tenant::Empty, ..Setup::default() }).await;
    let config = config(&server).await.unwrap();
    assert_eq!(config.agent_login_address, Some(address("agents.example.com", 8043)));
    let only = v1::SoftphoneRegistrar { registration_address: None, ..registrar("single", "") };
    assert_eq!(config.registrars, [only]);
    assert_eq!(credentials(&server, None, 0, "").await.unwrap(), v1::AccessSoftphoneCredentialsResponse::default());
}

#[tokio::test]
async fn the_examples_of_the_documents() {
    let server = TestServer::with(Setup { tenant: Tenant::Document, ..Setup::default() }).await;
    let config = config(&server).await.unwrap();
    assert_eq!(config.agent_login_address, Some(address("127.0.0.0", 448)));
    assert_eq!(config.registrars[0].registration_address, Some(address("10.162.98.43", 5060)));
    assert_eq!(config.registrars[0].sip_address, Some(address("127.0.0.0", 5060)));
    let page = credentials(&server, None, 0, "").await.unwrap();
    let shown: Vec<_> = page
        .credentials
        .iter()
        .map(|it| [last(&it.agent), last(&it.extension), it.password.clone(), it.agent_login_password.clone()])
        .collect();
    let expected = [
        ["1522", "88881619", "1****tt", "7****tt"],
        ["1523", "88881620", "1*****xL", "f*****xL"],
        ["", "88881196", "****", ""],
        ["", "88881197", "****", ""],
    ];
    assert_eq!(shown, expected);
    let extensions = server.list_extensions(v1::ListExtensionsRequest::default()).await.unwrap();
    let accounts: Vec<&str> = extensions.extensions.iter().map(|it| it.account.as_str()).collect();
    assert_eq!((accounts, extensions.total_size), (vec!["88881196", "88881197"], 2));
}

#[tokio::test]
async fn credentials_are_paged_over_agents_and_numbers() {
    let server = TestServer::start("").await;
    let (mut seen, mut token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = credentials(&server, None, 5, &token).await.unwrap();
        assert!(page.credentials.len() <= 5);
        seen.extend(page.credentials.into_iter().map(|it| (it.agent, it.account)));
        token = page.next_page_token;
        pages += 1;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!((seen.len(), pages), (12 + 16, 6));
    assert!(seen[..12].iter().all(|(agent, _)| !agent.is_empty()));
    assert!(seen[12..].iter().all(|(agent, _)| agent.is_empty()));
}

#[tokio::test]
async fn the_credentials_of_one_agent() {
    let server = TestServer::start("").await;
    let page = credentials(&server, Some("1002"), 0, "").await.unwrap();
    assert_eq!(page.credentials.len(), 1);
    assert_eq!(page.credentials[0].agent_login_password, "Aa#1002z");
    assert_eq!(credentials(&server, Some("1099"), 0, "").await.unwrap_err().reason(), ErrorReason::ResourceNotFound);
    let error = credentials(&server, Some("x"), 0, "").await.unwrap_err();
    assert_eq!((error.reason(), fields(&error)), (ErrorReason::FieldInvalid, vec!["agent"]));
}

#[tokio::test]
async fn failures_of_query_phone_are_distinguished_by_code() {
    for (code, reason) in [
        ("1", ErrorReason::VendorInternal),
        ("3", ErrorReason::CenterMisconfigured),
        ("4", ErrorReason::VendorInternal),
        ("5", ErrorReason::CenterMisconfigured),
        ("9", ErrorReason::VendorCodeUnmapped),
    ] {
        let server = TestServer::start("").await;
        server.respond("queryPhone", 200, &format!(r#"{{"retCode":"{code}","retMsg":"no"}}"#));
        let error = server.list_extensions(v1::ListExtensionsRequest::default()).await.unwrap_err();
        assert_eq!((error.reason(), error.vendor_code()), (reason, code));
    }
    let server = TestServer::start("").await;
    server.respond("querySysInfo", 404, "The requested content is not found. Check the request path.");
    assert_eq!(config(&server).await.unwrap_err().reason(), ErrorReason::CenterMisconfigured);
}
